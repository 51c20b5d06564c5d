package codec

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"slices"
	"time"
	"unsafe"
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
	if _, ok := t.FieldByName("_msgpack"); ok || names != len(fields) || len(fields) > maxDirect {
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

// maxDirect is as many fields as there are bits in a set of them.
const maxDirect = 64

// direct appends the value of shape s that at points at.
func (e *encoder) direct(dst []byte, at unsafe.Pointer, s *shape) ([]byte, error) {
	switch s.form {
	case formBool:
		return appendBool(dst, *(*bool)(at)), nil
	case formInt:
		return appendInt(dst, loadInt(at, s.typ.Size())), nil
	case formUint:
		return appendUint(dst, loadUint(at, s.typ.Size())), nil
	case formFloat:
		if s.typ.Size() == 4 {
			return appendFloat32(dst, *(*float32)(at)), nil
		}
		return appendFloat64(dst, *(*float64)(at)), nil
	case formString:
		return appendString(dst, *(*string)(at))
	case formBytes:
		if s.typ.Kind() == reflect.Slice {
			return appendBytes(dst, *(*[]byte)(at))
		}
	case formTime:
		return appendTime(dst, *(*time.Time)(at)), nil
	case formPointer:
		to := *(*unsafe.Pointer)(at)
		switch {
		case s.elem.form == formOpaque:
		case to == nil:
			return append(dst, 0xc0), nil
		default:
			return e.direct(dst, to, s.elem)
		}
	case formList:
		return e.directList(dst, at, s)
	case formMap:
		switch {
		case *(*unsafe.Pointer)(at) == nil:
			return append(dst, 0xc0), nil
		case s.holds == textByText:
			return appendMap(dst, *(*map[string]string)(at), appendString)
		case s.holds == intByText:
			return appendMap(dst, *(*map[string]int)(at), func(dst []byte, n int) ([]byte, error) { return appendInt(dst, int64(n)), nil })
		}
	case formStruct:
		if s.direct {
			return e.directStruct(dst, at, s)
		}
	}
	return e.lend(dst, at, s)
}

// lend has the library append the value of shape s that at points at.
func (e *encoder) lend(dst []byte, at unsafe.Pointer, s *shape) ([]byte, error) {
	if !e.lent {
		e.lib.Reset(e)
		e.lib.SetSortMapKeys(true)
		e.lib.UseCompactInts(true)
	}
	e.lent, e.unsorted, e.out = true, e.unsorted || s.mixed, dst
	err := e.lib.EncodeValue(reflect.NewAt(s.typ, at).Elem())
	dst, e.out = e.out, nil
	return dst, err
}

func (e *encoder) directList(dst []byte, at unsafe.Pointer, s *shape) (_ []byte, err error) {
	var n int
	if s.typ.Kind() == reflect.Array {
		n = s.typ.Len()
	} else {
		list := *(*[]byte)(at) // for what all slices begin with
		if list == nil {
			return append(dst, 0xc0), nil
		}
		n, at = len(list), unsafe.Pointer(unsafe.SliceData(list))
	}
	dst = appendCount(dst, n, 0x90, 0xdc)
	for i := range n {
		if dst, err = e.direct(dst, unsafe.Add(at, uintptr(i)*s.elem.typ.Size()), s.elem); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendMap appends a map in the order of its keys.
func appendMap[V any](dst []byte, m map[string]V, value func([]byte, V) ([]byte, error)) (_ []byte, err error) {
	var few [8]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = appendCount(dst, len(keys), 0x80, 0xde)
	for _, k := range keys {
		if dst, err = appendString(dst, k); err != nil {
			return dst, err
		}
		if dst, err = value(dst, m[k]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (e *encoder) directStruct(dst []byte, at unsafe.Pointer, s *shape) (_ []byte, err error) {
	var omit uint64
	for i := range s.field {
		if f := &s.field[i]; f.omitEmpty && f.shape.empty(unsafe.Add(at, f.offset)) {
			omit |= 1 << i
		}
	}
	dst = appendCount(dst, len(s.field)-bits.OnesCount64(omit), 0x80, 0xde)
	for i := range s.field {
		if omit&(1<<i) != 0 {
			continue
		}
		f := &s.field[i]
		dst = append(dst, f.head...)
		if dst, err = e.direct(dst, unsafe.Add(at, f.offset), f.shape); err != nil {
			return dst, err
		}
	}
	return dst, nil
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
