package codec

import (
	"math"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// settle makes what the library decoded the same on every node: times are in
// UTC and not in the zone of the machine, and numbers in interface values have
// one type and not that of the shortest encoding. It stops at a depth that
// nothing decoded has, in case it was decoded into a circle.
func (s *shape) settle(v reflect.Value, depth int) {
	if !s.stale || depth > 8*MaxDepth {
		return
	}
	depth++
	switch s.form {
	case formTime:
		v.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
	case formAny:
		if v.NumMethod() == 0 && !v.IsNil() {
			v.Set(reflect.ValueOf(settleAny(v.Interface())))
		}
	case formPointer:
		if !v.IsNil() {
			s.elem.settle(v.Elem(), depth)
		}
	case formList:
		for i := range v.Len() {
			s.elem.settle(v.Index(i), depth)
		}
	case formMap:
		s.settleMap(v, depth)
	case formStruct:
		for _, f := range s.field {
			if fv, err := v.FieldByIndexErr(f.index); err == nil {
				f.shape.settle(fv, depth)
			}
		}
	}
}

func (s *shape) settleMap(v reflect.Value, depth int) {
	if v.IsNil() {
		return
	}
	settled := reflect.MakeMapWithSize(s.typ, v.Len())
	for entries := v.MapRange(); entries.Next(); {
		key, elem := reflect.New(s.key.typ).Elem(), reflect.New(s.elem.typ).Elem()
		key.Set(entries.Key())
		elem.Set(entries.Value())
		s.key.settle(key, depth)
		s.elem.settle(elem, depth)
		settled.SetMapIndex(key, elem)
	}
	v.Set(settled)
}

func settleAny(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case float32:
		return float64(v)
	case time.Time:
		return v.UTC()
	case []any:
		for i := range v {
			v[i] = settleAny(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = settleAny(v[k])
		}
	case map[any]any:
		settled := make(map[any]any, len(v))
		for k, e := range v {
			settled[settleAny(k)] = settleAny(e)
		}
		return settled
	}
	return v
}

// decodeMap decodes a map inside an interface value. The library would insist
// on keys that are strings.
func decodeMap(d *msgpack.Decoder) (any, error) {
	n, err := d.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	named, others := make(map[string]any, n), map[any]any(nil)
	for range n {
		key, err := d.DecodeInterface()
		if err != nil {
			return nil, err
		}
		elem, err := d.DecodeInterface()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok && others == nil {
			others = make(map[any]any, n)
			for k, e := range named {
				others[k] = e
			}
		}
		if others != nil {
			others[key] = elem
		} else {
			named[name] = elem
		}
	}
	if others != nil {
		return others, nil
	}
	return named, nil
}
