package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
)

// Structs and what they are made of are written and read by their shapes, with
// the very bytes that the library would use. It looks anew at each value: which
// fields are empty, by what interfaces, in a list that it makes for each
// struct. What types do by methods of their own, interface values and maps are
// left to it.

// zeroer is what has a say in whether it is empty.
type zeroer interface{ IsZero() bool }

// isDirect reports whether the fields of a struct are encoded as they are listed:
// none is embedded or has another name to be decoded by, each can be seen to be
// empty, and the struct itself has no options.
func isDirect(t reflect.Type, fields []field, names int) bool {
	if _, ok := t.FieldByName("_msgpack"); ok || names != len(fields) {
		return false
	}
	for _, f := range fields {
		own := f.shape.form == formOpaque && f.shape.typ.Kind() == reflect.Struct && !f.shape.zeroer
		if len(f.index) > 1 || f.omitEmpty && (own || f.shape.form == formAny) {
			return false // whether it is empty is not for its shape to say
		}
	}
	return true
}

// direct appends v, whose shape is s.
func (e *encoder) direct(v reflect.Value, s *shape) error {
	switch s.form {
	case formBool:
		e.out = appendBool(e.out, v.Bool())
	case formInt:
		e.out = appendInt(e.out, v.Int())
	case formUint:
		e.out = appendUint(e.out, v.Uint())
	case formFloat:
		if s.typ.Size() == 4 {
			e.out = appendFloat32(e.out, float32(v.Float()))
		} else {
			e.out = appendFloat64(e.out, v.Float())
		}
	case formString:
		out, err := appendString(e.out, v.String())
		e.out = out
		return err
	case formBytes:
		if s.typ.Kind() == reflect.Slice {
			out, err := appendBytes(e.out, v.Bytes())
			e.out = out
			return err
		}
		return e.lib.EncodeValue(v)
	case formTime:
		e.out = appendTime(e.out, timeIn(v))
	case formPointer:
		if s.elem.form == formOpaque {
			return e.lib.EncodeValue(v)
		}
		if v.IsNil() {
			e.out = append(e.out, 0xc0)
			return nil
		}
		return e.direct(v.Elem(), s.elem)
	case formList:
		return e.directList(v, s)
	case formMap:
		if v.IsNil() {
			e.out = append(e.out, 0xc0)
			return nil
		}
		return e.lib.EncodeValue(v)
	case formStruct:
		if s.direct {
			return e.directStruct(v, s)
		}
		return e.lib.EncodeValue(v)
	default:
		return e.lib.EncodeValue(v)
	}
	return nil
}

func (e *encoder) directList(v reflect.Value, s *shape) error {
	if s.typ.Kind() == reflect.Slice && v.IsNil() {
		e.out = append(e.out, 0xc0)
		return nil
	}
	n := v.Len()
	e.out = appendCount(e.out, n, 0x90, 0xdc)
	for i := range n {
		if err := e.direct(v.Index(i), s.elem); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) directStruct(v reflect.Value, s *shape) error {
	var few [64]bool
	omit := few[:]
	if len(s.field) > len(few) {
		omit = make([]bool, len(s.field))
	}
	n := len(s.field)
	for i := range s.field {
		f := &s.field[i]
		if f.omitEmpty && f.shape.empty(v.Field(f.index[0])) {
			omit[i] = true
			n--
		}
	}
	e.out = appendCount(e.out, n, 0x80, 0xde)
	for i := range s.field {
		if omit[i] {
			continue
		}
		f := &s.field[i]
		out, err := appendString(e.out, f.name)
		if e.out = out; err != nil {
			return err
		}
		if err := e.direct(v.Field(f.index[0]), f.shape); err != nil {
			return err
		}
	}
	return nil
}

// empty reports whether a field of that value is left out where the empty ones
// are.
func (s *shape) empty(v reflect.Value) bool {
	if s.form == formTime {
		return timeIn(v).IsZero()
	}
	if s.zeroer {
		if z, ok := v.Interface().(zeroer); ok {
			switch v.Kind() {
			case reflect.Map, reflect.Pointer, reflect.Slice:
				if v.IsNil() {
					return true
				}
			}
			return z.IsZero()
		}
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		for i := range s.field {
			f := &s.field[i]
			fv, err := v.FieldByIndexErr(f.index)
			if err == nil && !(f.omitEmpty && f.shape.empty(fv)) {
				return false
			}
		}
		return true
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.IsZero()
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0 // of either sign
	}
	return false
}

// appendCount appends how many elements a list or a map has, given the first
// bytes of a short one and of a long one.
func appendCount(dst []byte, n int, short, long byte) []byte {
	switch {
	case n < 16:
		return append(dst, short|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, long), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, long+1), uint32(n))
}

// timeIn returns the time that v is.
func timeIn(v reflect.Value) time.Time {
	if v.CanAddr() {
		return *v.Addr().Interface().(*time.Time)
	}
	return v.Interface().(time.Time)
}

// appendTime appends t as the extension that times are.
func appendTime(dst []byte, t time.Time) []byte {
	seconds, nanos := uint64(t.Unix()), uint64(t.Nanosecond())
	switch {
	case seconds>>34 != 0:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), uint32(nanos))
		return binary.BigEndian.AppendUint64(dst, seconds)
	case nanos == 0 && seconds>>32 == 0:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(seconds))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), nanos<<34|seconds)
}

// store makes v, a zero value whose shape is s, what b begins with, and returns
// how many bytes that takes. Only for bytes that fit.
func (d *decoder) store(b []byte, v reflect.Value, s *shape) (int, error) {
	h, _ := read(b)
	if h.class == classNil && s.form != formOpaque && s.form != formAny {
		return h.size, nil
	}
	switch s.form {
	case formBool:
		v.SetBool(h.n != 0)
	case formInt:
		v.SetInt(int64(h.n))
	case formUint:
		v.SetUint(h.n)
	case formFloat:
		switch {
		case h.class == classFloat && h.size == 5:
			v.SetFloat(float64(math.Float32frombits(uint32(h.n))))
		case h.class == classFloat:
			v.SetFloat(math.Float64frombits(h.n))
		default:
			return d.borrow(b, v)
		}
	case formString:
		v.SetString(string(h.content(b)))
	case formBytes:
		if s.typ.Kind() != reflect.Slice {
			return d.borrow(b, v)
		}
		v.SetBytes(append(make([]byte, 0, h.n), h.content(b)...))
	case formTime:
		t, ok := readTime(b[:h.size], int(h.n))
		if !ok {
			return d.borrow(b, v)
		}
		*v.Addr().Interface().(*time.Time) = t
	case formPointer:
		if s.elem.form == formOpaque {
			return d.borrow(b, v)
		}
		v.Set(reflect.New(s.elem.typ))
		return d.store(b, v.Elem(), s.elem)
	case formList:
		if s.typ.Kind() != reflect.Slice {
			return d.borrow(b, v)
		}
		return d.storeList(b, h, v, s)
	case formStruct:
		if !s.direct || h.class != classMap {
			return d.borrow(b, v)
		}
		return d.storeStruct(b, h, v, s)
	default:
		return d.borrow(b, v)
	}
	return h.size, nil
}

// borrow has the library decode the value that b begins with.
func (d *decoder) borrow(b []byte, v reflect.Value) (int, error) {
	n := skip(b)
	return n, d.lend(b[:n], v)
}

func (d *decoder) storeList(b []byte, h head, v reflect.Value, s *shape) (int, error) {
	n := int(h.n)
	list := reflect.MakeSlice(s.typ, n, n)
	at := h.size
	for i := range n {
		size, err := d.store(b[at:], list.Index(i), s.elem)
		if err != nil {
			return 0, err
		}
		at += size
	}
	v.Set(list)
	return at, nil
}

func (d *decoder) storeStruct(b []byte, h head, v reflect.Value, s *shape) (int, error) {
	at, next := h.size, 0
	var seen uint64
	for range h.n {
		name, _ := read(b[at:])
		if name.class != classBytes {
			return d.borrow(b, v)
		}
		key := name.content(b[at:])
		at += name.size
		i := s.find(key, next)
		if i < 0 {
			at += skip(b[at:])
			continue
		}
		next = i + 1
		f := v.Field(s.field[i].index[0])
		if i >= 64 || seen&(1<<i) != 0 { // it may be there a second time, and the last one counts
			f.SetZero()
		} else {
			seen |= 1 << i
		}
		size, err := d.store(b[at:], f, s.field[i].shape)
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
