package codec

import "unsafe"

// Slab is room for strings and []byte that are decoded: one allocation for
// many of them. A string stays as it is, for as long as anybody holds it; the
// bytes of a []byte are lent, until Renew. The zero Slab is ready, for one
// goroutine.
type Slab struct{ kept, lent []byte }

const (
	slabBytes = 16 << 10
	slabbed   = slabBytes / 16 // what is larger is allocated by itself
)

// Renew lets what was lent be overwritten.
func (s *Slab) Renew() { s.lent = s.lent[:0] }

func (s *Slab) bytes(b []byte) (c []byte) {
	s.lent, c = put(s.lent, b)
	return c
}

func (s *Slab) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var c []byte
	s.kept, c = put(s.kept, b)
	return unsafe.String(unsafe.SliceData(c), len(c))
}

// put appends b to block, or to a new one if it is full, and returns the block
// and the copy.
func put(block, b []byte) (after, c []byte) {
	n := len(b)
	switch {
	case n == 0:
		return block, []byte{}
	case n <= cap(block)-len(block):
	case n > slabbed:
		return block, append(make([]byte, 0, n), b...)
	default:
		block = make([]byte, 0, slabBytes)
	}
	at := len(block)
	block = append(block, b...)
	return block, block[at:len(block):len(block)]
}

// DecodeIn is Decode with room in s for what is a string or []byte.
func (c Key[K]) DecodeIn(s *Slab, b []byte) (k K, err error) {
	if c.part != nil {
		switch c.part.form {
		case formString:
			*as[string](&k) = s.string(b)
			return k, nil
		case formBytes:
			*as[[]byte](&k) = s.bytes(b)
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
			*as[[]byte](&v) = s.bytes(content)
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
