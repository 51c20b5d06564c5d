package codec

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Value encodes values of type V as Marshal does, and decodes them. Strings,
// []byte, bools, numbers, and types made of these, cost neither reflection nor
// an allocation beyond the bytes of what is decoded. Make it once, with
// ValueOf, and use it from any number of goroutines.
type Value[V any] struct {
	form form // of what is done without reflection; 0 for all else
	of   *shape
}

// ValueOf returns the Value of V. It fails if a V cannot be encoded or could
// not be decoded again, naming the field that is to blame.
func ValueOf[V any]() (Value[V], error) {
	s, err := shapeOf(reflect.TypeFor[V]())
	if err != nil {
		return Value[V]{}, err
	}
	if s.oneWay != "" {
		return Value[V]{}, fmt.Errorf("codec: %s cannot be decoded: %s", s.typ, s.oneWay)
	}
	c := Value[V]{of: s}
	switch s.form {
	case formBool, formInt, formUint, formFloat, formString:
		c.form = s.form
	case formBytes:
		if s.typ.Kind() == reflect.Slice {
			c.form = s.form
		}
	}
	return c, nil
}

// Append appends the encoding of v to dst. If it fails it returns dst as it
// was.
func (c Value[V]) Append(dst []byte, v V) ([]byte, error) {
	switch c.form {
	case formString:
		return appendString(dst, *as[string](&v))
	case formBytes:
		return appendBytes(dst, *as[[]byte](&v))
	case formInt:
		return appendInt(dst, loadInt(unsafe.Pointer(&v), unsafe.Sizeof(v))), nil
	case formUint:
		return appendUint(dst, loadUint(unsafe.Pointer(&v), unsafe.Sizeof(v))), nil
	case formFloat:
		if unsafe.Sizeof(v) == 4 {
			return appendFloat32(dst, *as[float32](&v)), nil
		}
		return appendFloat64(dst, *as[float64](&v)), nil
	case formBool:
		return appendBool(dst, *as[bool](&v)), nil
	}
	return c.appendAny(dst, v)
}

// appendAny has a copy of v on the heap, which Append is spared.
func (c Value[V]) appendAny(dst []byte, v V) ([]byte, error) {
	if c.of == nil {
		return dst, fmt.Errorf("codec: a Value of %T was not made by ValueOf", v)
	}
	e := encoders.Get().(*encoder)
	out, err := e.appendShape(dst, reflect.ValueOf(&v).Elem(), c.of)
	if err != nil {
		return dst, err
	}
	encoders.Put(e)
	return out, nil
}

// Decode returns the value that b encodes, which does not share memory with
// b. It fails as Unmarshal does.
func (c Value[V]) Decode(b []byte) (v V, err error) {
	switch c.form {
	case formString:
		s, err := decodeBytes(b)
		*as[string](&v) = string(s)
		return v, err
	case formBytes:
		s, err := decodeBytes(b)
		if s != nil {
			*as[[]byte](&v) = append(make([]byte, 0, len(s)), s...)
		}
		return v, err
	case formInt:
		n, err := decodeInt(b, unsafe.Sizeof(v))
		storeUint(unsafe.Pointer(&v), unsafe.Sizeof(v), uint64(n))
		return v, err
	case formUint:
		n, err := decodeUint(b, unsafe.Sizeof(v))
		storeUint(unsafe.Pointer(&v), unsafe.Sizeof(v), n)
		return v, err
	case formFloat:
		f, err := decodeFloat(b, unsafe.Sizeof(v))
		if unsafe.Sizeof(v) == 4 {
			*as[float32](&v) = float32(f)
		} else {
			*as[float64](&v) = f
		}
		return v, err
	case formBool:
		*as[bool](&v), err = decodeBool(b)
		return v, err
	}
	return c.decodeAny(b)
}

func (c Value[V]) decodeAny(b []byte) (V, error) {
	var v, zero V
	if c.of == nil {
		return zero, fmt.Errorf("codec: a Value of %T was not made by ValueOf", v)
	}
	if err := decode(b, reflect.ValueOf(&v), c.of); err != nil {
		return zero, err
	}
	return v, nil
}

// as is v as the basic type T that V is made of, which its form has told.
// Reflection would do it, too, with an allocation per value.
func as[T, V any](v *V) *T { return (*T)(unsafe.Pointer(v)) }

// loadInt loads the signed integer of the given size that at points at.
func loadInt(at unsafe.Pointer, size uintptr) int64 {
	switch size {
	case 1:
		return int64(*(*int8)(at))
	case 2:
		return int64(*(*int16)(at))
	case 4:
		return int64(*(*int32)(at))
	}
	return *(*int64)(at)
}

// loadUint is loadInt for an unsigned integer.
func loadUint(at unsafe.Pointer, size uintptr) uint64 {
	switch size {
	case 1:
		return uint64(*(*uint8)(at))
	case 2:
		return uint64(*(*uint16)(at))
	case 4:
		return uint64(*(*uint32)(at))
	}
	return *(*uint64)(at)
}

// storeUint stores the last size bytes of n where at points.
func storeUint(at unsafe.Pointer, size uintptr, n uint64) {
	switch size {
	case 1:
		*(*uint8)(at) = uint8(n)
	case 2:
		*(*uint16)(at) = uint16(n)
	case 4:
		*(*uint32)(at) = uint32(n)
	default:
		*(*uint64)(at) = n
	}
}
