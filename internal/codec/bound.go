package codec

import (
	"fmt"
	"reflect"
)

// bound reports what is wrong with v, whose shape s is open: it holds a type
// that cannot be encoded in one of its interfaces, or it is too deep. The
// library would follow a value that contains itself until the stack overflows,
// which ends the process. Depth counts arrays, maps and structs, and hops
// counts pointers and interfaces, too.
func (s *shape) bound(v reflect.Value, depth, hops int) *fault {
	if !s.open {
		return nil
	}
	if depth > MaxDepth || hops > 8*MaxDepth {
		return &fault{what: s.typ.String(), why: fmt.Sprintf("is nested more than %d deep or contains itself: flatten it", MaxDepth)}
	}
	hops++
	switch s.form {
	case formAny:
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
		held, f := lookup(v.Type())
		if f != nil {
			return f
		}
		return held.bound(v, depth, hops)
	case formPointer:
		if !v.IsNil() {
			return s.elem.bound(v.Elem(), depth, hops)
		}
	case formList:
		for i := range v.Len() {
			if f := s.elem.bound(v.Index(i), depth+1, hops); f != nil {
				return f.within("[]")
			}
		}
	case formMap:
		for entries := v.MapRange(); entries.Next(); {
			if f := s.key.bound(entries.Key(), depth+1, hops); f != nil {
				return f.within("[key]")
			}
			if f := s.elem.bound(entries.Value(), depth+1, hops); f != nil {
				return f.within("[]")
			}
		}
	case formStruct:
		for _, f := range s.field {
			if !f.shape.open {
				continue
			}
			fv, err := v.FieldByIndexErr(f.index)
			if err != nil {
				continue // It is in an embedded pointer that is nil.
			}
			if fault := f.shape.bound(fv, depth+1, hops); fault != nil {
				return fault.within(f.name)
			}
		}
	}
	return nil
}
