package codec

import (
	"fmt"
	"reflect"
	"time"
	"unsafe"
)

// Key encodes keys of type K so that equal keys have equal bytes and the order
// of the bytes is the order of the keys, which lets the runtime group and sort
// pairs without knowing K. Make it once, with KeyOf, and use it from any
// number of goroutines.
//
// A key that is a string or []byte is its bytes. Integers, bools and times are
// of fixed length, false before true. Floats are in the order of cmp.Compare:
// NaN first, all NaNs the same key, and -0 the same key as 0. A time is its
// instant and comes back in UTC. Structs and arrays are compared field by
// field, whatever their tags say; strings in them are escaped and terminated.
type Key[K any] struct {
	part *part
}

// KeyOf returns the Key of K. It fails, naming the field that is to blame,
// unless K is a string, []byte, bool, number other than complex, time.Time, or
// a struct or array of these.
func KeyOf[K any]() (Key[K], error) {
	t := reflect.TypeFor[K]()
	p, f := partOf(t)
	if f == nil {
		return Key[K]{p}, nil
	}
	const allowed = "a key is a string, []byte, bool, number or time.Time, or a struct or array of these"
	if f.path == "" {
		return Key[K]{}, fmt.Errorf("codec: %s cannot be a key, because it %s: %s", t, f.why, allowed)
	}
	return Key[K]{}, fmt.Errorf("codec: %s cannot be a key, because %s%s %s: %s", t, f.what, f.where(), f.why, allowed)
}

// Append appends the bytes of k to dst.
func (c Key[K]) Append(dst []byte, k K) ([]byte, error) {
	if c.part == nil {
		return dst, fmt.Errorf("codec: a Key of %T was not made by KeyOf", *new(K))
	}
	switch c.part.form {
	case formString:
		return append(dst, *as[string](&k)...), nil
	case formBytes:
		return append(dst, *as[[]byte](&k)...), nil
	}
	return c.part.append(dst, unsafe.Pointer(&k)), nil
}

// Decode returns the key whose bytes are b. It does not share memory with b.
// It fails if b is not what Append makes of a key.
func (c Key[K]) Decode(b []byte) (k K, err error) {
	if c.part == nil {
		return k, fmt.Errorf("codec: a Key of %T was not made by KeyOf", *new(K))
	}
	switch c.part.form {
	case formString:
		*as[string](&k) = string(b)
		return k, nil
	case formBytes:
		*as[[]byte](&k) = append(make([]byte, 0, len(b)), b...)
		return k, nil
	}
	rest, ok := c.part.decode(b, unsafe.Pointer(&k))
	if !ok || len(rest) > 0 {
		return *new(K), fmt.Errorf("codec: the %d bytes %.64x are no key of type %T", len(b), b, *new(K))
	}
	return k, nil
}

// part is a key or a part of one: where it is, and how it is encoded.
type part struct {
	form   form
	offset uintptr // in the struct it is a field of
	size   uintptr
	fields []part // of a struct
	elem   *part  // of an array
	n      int    // elements of it
}

func partOf(t reflect.Type) (*part, *fault) {
	p := &part{size: t.Size()}
	refuse := func() (*part, *fault) { return nil, &fault{what: t.String(), why: "is of kind " + t.Kind().String()} }
	switch t.Kind() {
	case reflect.Bool:
		p.form = formBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.form = formInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.form = formUint
	case reflect.Float32, reflect.Float64:
		p.form = formFloat
	case reflect.String:
		p.form = formString
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return refuse()
		}
		p.form = formBytes
	case reflect.Array:
		elem, f := partOf(t.Elem())
		if f != nil {
			return nil, f.within("[]")
		}
		p.form, p.elem, p.n = formList, elem, t.Len()
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			p.form = formTime
			return p, nil
		}
		p.form = formStruct
		for i := range t.NumField() {
			sf := t.Field(i)
			if sf.Name == "_" {
				continue // == ignores it, too.
			}
			if !sf.IsExported() {
				return nil, (&fault{what: sf.Type.String(), why: "is not exported"}).within(sf.Name)
			}
			field, f := partOf(sf.Type)
			if f != nil {
				return nil, f.within(sf.Name)
			}
			field.offset = sf.Offset
			p.fields = append(p.fields, *field)
		}
	default:
		return refuse()
	}
	return p, nil
}
