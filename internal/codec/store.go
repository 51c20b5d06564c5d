package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// store makes the zero value of shape s that at points at what b begins with, and
// returns how many bytes that takes. Only for bytes that fit.
func (d *decoder) store(b []byte, at unsafe.Pointer, s *shape) (int, error) {
	h, _ := read(b)
	if h.class == classNil && s.form != formOpaque && s.form != formAny {
		return h.size, nil
	}
	switch s.form {
	case formBool:
		*(*bool)(at) = h.n != 0
		return h.size, nil
	case formInt, formUint:
		storeUint(at, s.typ.Size(), h.n)
		return h.size, nil
	case formFloat:
		if h.class != classFloat {
			break
		}
		f := math.Float64frombits(h.n)
		if h.size == 5 {
			f = float64(math.Float32frombits(uint32(h.n)))
		}
		if s.typ.Size() == 4 {
			*(*float32)(at) = float32(f)
		} else {
			*(*float64)(at) = f
		}
		return h.size, nil
	case formString:
		*(*string)(at) = string(h.content(b))
		return h.size, nil
	case formBytes:
		if s.typ.Kind() != reflect.Slice {
			break
		}
		*(*[]byte)(at) = append(make([]byte, 0, h.n), h.content(b)...)
		return h.size, nil
	case formTime:
		t, ok := readTime(b[:h.size], int(h.n))
		if !ok {
			break
		}
		*(*time.Time)(at) = t
		return h.size, nil
	case formPointer:
		if s.elem.form == formOpaque {
			break
		}
		to := reflect.New(s.elem.typ).UnsafePointer()
		*(*unsafe.Pointer)(at) = to
		return d.store(b, to, s.elem)
	case formList:
		if s.typ.Kind() != reflect.Slice {
			break
		}
		return d.storeList(b, h, at, s)
	case formMap:
		switch s.holds {
		case textByText:
			return storeMap(b, h, (*map[string]string)(at), func(b []byte, h head) string { return string(h.content(b)) }), nil
		case intByText:
			return storeMap(b, h, (*map[string]int)(at), func(_ []byte, h head) int { return int(h.n) }), nil
		}
	case formStruct:
		if !s.direct || h.class != classMap {
			break
		}
		return d.storeStruct(b, h, at, s)
	}
	return d.borrow(b, at, s)
}

// borrow has the library decode the value that b begins with.
func (d *decoder) borrow(b []byte, at unsafe.Pointer, s *shape) (int, error) {
	n := skip(b)
	return n, d.lend(b[:n], reflect.NewAt(s.typ, at).Elem())
}

func (d *decoder) storeList(b []byte, h head, to unsafe.Pointer, s *shape) (int, error) {
	n := int(h.n)
	list := reflect.MakeSlice(s.typ, n, n)
	reflect.NewAt(s.typ, to).Elem().Set(list)
	first, at := list.UnsafePointer(), h.size
	for i := range n {
		size, err := d.store(b[at:], unsafe.Add(first, uintptr(i)*s.elem.typ.Size()), s.elem)
		if err != nil {
			return 0, err
		}
		at += size
	}
	return at, nil
}

// storeMap stores a map of strings to what value reads. Nil is the zero value of
// both.
func storeMap[V any](b []byte, h head, to *map[string]V, value func(b []byte, h head) V) int {
	m, at := make(map[string]V, h.n), h.size
	for range h.n {
		var key string
		k, _ := read(b[at:])
		if k.class == classBytes {
			key = string(k.content(b[at:]))
		}
		at += k.size
		var elem V
		v, _ := read(b[at:])
		if v.class != classNil {
			elem = value(b[at:], v)
		}
		at += v.size
		m[key] = elem
	}
	*to = m
	return at
}

func (d *decoder) storeStruct(b []byte, h head, to unsafe.Pointer, s *shape) (int, error) {
	at, next := h.size, 0
	var seen uint64
	for range h.n {
		name, _ := read(b[at:])
		if name.class != classBytes {
			return d.borrow(b, to, s)
		}
		key := name.content(b[at:])
		at += name.size
		i := s.find(key, next)
		if i < 0 {
			at += skip(b[at:])
			continue
		}
		next = i + 1
		f := &s.field[i]
		if seen&(1<<i) != 0 { // it is there a second time, and the last one counts
			reflect.NewAt(f.shape.typ, unsafe.Add(to, f.offset)).Elem().SetZero()
		}
		seen |= 1 << i
		size, err := d.store(b[at:], unsafe.Add(to, f.offset), f.shape)
		if err != nil {
			return 0, err
		}
		at += size
	}
	return at, nil
}

// find returns the field of a name, or -1. Fields come in their order, so it is
// looked for from where the last one was.
func (s *shape) find(name []byte, from int) int {
	for i := from; i < len(s.field); i++ {
		if s.field[i].name == string(name) {
			return i
		}
	}
	for i := range min(from, len(s.field)) {
		if s.field[i].name == string(name) {
			return i
		}
	}
	return -1
}

// readTime reads an extension of so many bytes at the end of b, if it is a time
// as appendTime writes it. It is in UTC.
func readTime(b []byte, size int) (time.Time, bool) {
	if b[len(b)-size-1] != 0xff {
		return time.Time{}, false
	}
	b = b[len(b)-size:]
	switch size {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC(), true
	case 8:
		n := binary.BigEndian.Uint64(b)
		return time.Unix(int64(n&(1<<34-1)), int64(n>>34)).UTC(), true
	case 12:
		return time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))).UTC(), true
	}
	return time.Time{}, false
}
