package codec

import (
	"reflect"
	"time"
	"unsafe"
)

// empty reports whether a field is left out where the empty ones are, given the
// value of shape s that at points at.
func (s *shape) empty(at unsafe.Pointer) bool {
	if s.zeroer && s.form != formTime {
		return s.emptyValue(at)
	}
	switch s.form {
	case formBool:
		return !*(*bool)(at)
	case formInt, formUint:
		return loadUint(at, s.typ.Size()) == 0
	case formString:
		return *(*string)(at) == ""
	case formTime:
		return (*time.Time)(at).IsZero()
	case formPointer:
		return *(*unsafe.Pointer)(at) == nil
	case formBytes, formList:
		if s.typ.Kind() == reflect.Slice {
			return len(*(*[]byte)(at)) == 0 // which is where that of any slice is
		}
	case formMap:
		if *(*unsafe.Pointer)(at) == nil {
			return true
		}
	case formStruct:
		if s.direct {
			for i := range s.field {
				if f := &s.field[i]; !f.omitEmpty || !f.shape.empty(unsafe.Add(at, f.offset)) {
					return false
				}
			}
			return true
		}
	}
	return s.emptyValue(at)
}

// emptyValue is empty for those of which it takes a closer look.
func (s *shape) emptyValue(at unsafe.Pointer) bool {
	v := reflect.NewAt(s.typ, at).Elem()
	if s.zeroer {
		switch v.Kind() {
		case reflect.Map, reflect.Pointer, reflect.Slice:
			if v.IsNil() {
				return true
			}
		}
		if z, ok := v.Interface().(zeroer); ok {
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
			if err == nil && !(f.omitEmpty && f.shape.empty(fv.Addr().UnsafePointer())) {
				return false
			}
		}
		return true
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.IsZero()
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0 // of either sign
	}
	return false
}
