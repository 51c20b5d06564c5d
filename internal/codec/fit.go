package codec

import (
	"fmt"
	"reflect"
)

// memory is how many bytes of memory n bytes may be decoded to, apart from
// the strings in them. A value takes more than its encoding, but not this
// much more, unless it was made to.
func memory(n int) int64 { return 1<<20 + 128*int64(n) }

// fit compares the value that b begins with to the type it is to be decoded
// to, and returns how many bytes it takes. The fault is what does not fit: a
// value of another kind, a number that the library would cut to the size of
// its field, or a need of memory beyond budget, of which fit takes what the
// value needs. Only for bytes that passed Check.
func (s *shape) fit(b []byte, budget *int64) (int, *fault) {
	h, _ := read(b)
	if !s.takes(h) {
		return 0, &fault{what: h.String(), why: "does not fit " + s.typ.String()}
	}
	if h.class == classNil {
		return h.size, nil
	}
	switch s.form {
	case formPointer:
		if f := take(budget, 1, s.elem.typ); f != nil {
			return 0, f
		}
		return s.elem.fit(b, budget)
	case formList:
		return s.fitList(b, h, budget)
	case formMap:
		return s.fitMap(b, h, budget)
	case formStruct:
		return s.fitStruct(b, h, budget)
	}
	return skip(b), nil
}

// takes reports whether a value that begins with h fits the type by its kind
// and, if it is a number, as it is. Nil fits all but a time: it makes the zero
// value.
func (s *shape) takes(h head) bool {
	if h.class == classNil {
		return s.form != formTime
	}
	switch s.form {
	case formBool:
		return h.class == classBool
	case formInt:
		return (h.class == classInt || h.class == classUint) && h.fitsInt(s.typ.Size())
	case formUint:
		return h.class == classUint && h.fitsUint(s.typ.Size())
	case formFloat:
		return (h.class == classFloat || h.class == classInt || h.class == classUint) && h.fitsFloat(s.typ.Size())
	case formString, formBytes:
		return h.class == classBytes
	case formTime:
		return h.class == classExt
	case formList:
		return h.class == classArray
	case formMap:
		return h.class == classMap // The library would read on inside an extension.
	case formStruct:
		return h.class == classMap || h.class == classArray
	}
	return true
}

// take takes the memory of n values of type t from budget.
func take(budget *int64, n uint64, t reflect.Type) *fault {
	size := uint64(t.Size())
	if *budget -= int64(n * size); n > 1<<32 || size > 1<<30 || *budget < 0 {
		return &fault{what: fmt.Sprintf("%d of %s", n, t), why: "would take far more memory than their bytes explain"}
	}
	return nil
}

func (s *shape) fitList(b []byte, h head, budget *int64) (int, *fault) {
	if s.typ.Kind() == reflect.Slice {
		if f := take(budget, h.n, s.elem.typ); f != nil {
			return 0, f
		}
	}
	at := h.size
	for range h.n {
		n, f := s.elem.fit(b[at:], budget)
		if f != nil {
			return 0, f.within("[]")
		}
		at += n
	}
	return at, nil
}

func (s *shape) fitMap(b []byte, h head, budget *int64) (int, *fault) {
	if f := take(budget, h.n, s.key.typ); f != nil {
		return 0, f
	}
	if f := take(budget, h.n, s.elem.typ); f != nil {
		return 0, f
	}
	at := h.size
	for range h.n {
		n, f := s.key.fit(b[at:], budget)
		if f != nil {
			return 0, f.within("[key]")
		}
		at += n
		if n, f = s.elem.fit(b[at:], budget); f != nil {
			return 0, f.within("[]")
		}
		at += n
	}
	return at, nil
}

func (s *shape) fitStruct(b []byte, h head, budget *int64) (int, *fault) {
	at := h.size
	switch {
	case h.class == classArray && h.n == uint64(len(s.field)):
		for _, field := range s.field {
			n, f := field.shape.fit(b[at:], budget)
			if f != nil {
				return 0, f.within(field.name)
			}
			at += n
		}
	case h.class == classMap:
		next := 0
		for range h.n {
			name, _ := read(b[at:])
			if name.class != classBytes && name.class != classNil {
				return skip(b), nil
			}
			var key []byte
			if name.class == classBytes {
				key = name.content(b[at:])
			}
			at += name.size
			var field *shape
			if !s.direct {
				field = s.names[string(key)]
			} else if i := s.find(key, next); i >= 0 {
				field, next = s.field[i].shape, i+1
			}
			if field != nil {
				n, f := field.fit(b[at:], budget)
				if f != nil {
					return 0, f.within(string(key))
				}
				at += n
			} else {
				at += skip(b[at:])
			}
		}
	default:
		return skip(b), nil
	}
	return at, nil
}
