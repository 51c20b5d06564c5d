package codec

import "unsafe"

// Slab is room for strings and []byte that are decoded: one allocation for
// many of them. What was decoded into it is never overwritten, and may be kept;
// as long as it is, so is the slab, of some KiB. The zero Slab is ready, for
// one goroutine.
type Slab struct{ free []byte }

const (
	slabBytes = 16 << 10
	slabbed   = slabBytes / 16 // what is larger is allocated by itself
)

// copy returns a copy of b, which is not nil.
func (s *Slab) copy(b []byte) []byte {
	n := len(b)
	if n == 0 {
		return []byte{}
	}
	if n > cap(s.free)-len(s.free) {
		if n > slabbed {
			return append(make([]byte, 0, n), b...)
		}
		s.free = make([]byte, 0, slabBytes)
	}
	at := len(s.free)
	s.free = append(s.free, b...)
	return s.free[at:len(s.free):len(s.free)]
}

func (s *Slab) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	c := s.copy(b)
	return unsafe.String(unsafe.SliceData(c), len(c))
}

// DecodeIn is Decode with room in s for what is a string or []byte.
func (c Key[K]) DecodeIn(s *Slab, b []byte) (k K, err error) {
	if c.part != nil {
		switch c.part.form {
		case formString:
			*as[string](&k) = s.string(b)
			return k, nil
		case formBytes:
			*as[[]byte](&k) = s.copy(b)
			return k, nil
		}
	}
	return c.Decode(b)
}

// DecodeIn is Decode with room in s for what is a string or []byte.
func (c Value[V]) DecodeIn(s *Slab, b []byte) (v V, err error) {
	switch c.form {
	case formString:
		content, err := decodeBytes(b)
		*as[string](&v) = s.string(content)
		return v, err
	case formBytes:
		content, err := decodeBytes(b)
		if content != nil {
			*as[[]byte](&v) = s.copy(content)
		}
		return v, err
	}
	return c.Decode(b)
}

// Content returns the text of an encoded key whose type is a string or []byte,
// as part of b. For all others ok is false.
func (c Key[K]) Content(b []byte) (content []byte, ok bool) {
	return b, c.part != nil && (c.part.form == formString || c.part.form == formBytes)
}

// Content returns the text of an encoded value whose type is a string or
// []byte, as part of b. For all others, and for what is no such value, ok is
// false.
func (c Value[V]) Content(b []byte) (content []byte, ok bool) {
	if c.form != formString && c.form != formBytes {
		return nil, false
	}
	content, err := decodeBytes(b)
	return content, err == nil
}
