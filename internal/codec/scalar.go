package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// The values there may be billions of are written and read here, without
// reflection and with the very bytes that the library would use.

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v <= math.MaxInt8:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

func appendFloat32(dst []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0xca), math.Float32bits(v))
}

func appendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
}

func appendString(dst []byte, v string) ([]byte, error) {
	switch n := len(v); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	case uint64(n) <= math.MaxUint32:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	default:
		return dst, fmt.Errorf("codec: a string of %d bytes is over the limit of 4 GiB", n)
	}
	return append(dst, v...), nil
}

func appendBytes(dst, v []byte) ([]byte, error) {
	switch n := len(v); {
	case v == nil:
		return append(dst, 0xc0), nil
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	case uint64(n) <= math.MaxUint32:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	default:
		return dst, fmt.Errorf("codec: %d bytes in a row are over the limit of 4 GiB", n)
	}
	return append(dst, v...), nil
}

// appendScalar appends v if it is nil or of one of the plain types. It is
// false if v is of another, or too long, which the library's path then tells.
func appendScalar(dst []byte, v any) (out []byte, ok bool) {
	var err error
	switch v := v.(type) {
	case nil:
		out = append(dst, 0xc0)
	case bool:
		out = appendBool(dst, v)
	case int:
		out = appendInt(dst, int64(v))
	case int64:
		out = appendInt(dst, v)
	case uint64:
		out = appendUint(dst, v)
	case float64:
		out = appendFloat64(dst, v)
	case string:
		out, err = appendString(dst, v)
	case []byte:
		out, err = appendBytes(dst, v)
	default:
		return dst, false
	}
	return out, err == nil
}

// only reads b, which must be one value and no array or map.
func only(b []byte, want string) (head, error) {
	h, ok := read(b)
	if !ok || h.size != len(b) {
		if err := Check(b); err != nil {
			return head{}, err
		}
		return head{}, fmt.Errorf("codec: %v cannot be decoded as %s", h.class, want)
	}
	return h, nil
}

func decodeBool(b []byte) (bool, error) {
	h, err := only(b, "a bool")
	if err == nil && h.class != classBool && h.class != classNil {
		err = fmt.Errorf("codec: %v cannot be decoded as a bool", h.class)
	}
	return h.n != 0, err
}

// decodeInt decodes an integer of the given size in bytes.
func decodeInt(b []byte, size uintptr) (int64, error) {
	h, err := only(b, "an integer")
	if err != nil {
		return 0, err
	}
	if h.class != classInt && h.class != classUint && h.class != classNil {
		return 0, fmt.Errorf("codec: %v cannot be decoded as an integer", h.class)
	}
	if !h.fitsInt(size) {
		return 0, fmt.Errorf("codec: %v does not fit an integer of %d bits", h, 8*size)
	}
	return int64(h.n), nil
}

// decodeUint decodes an unsigned integer of the given size in bytes.
func decodeUint(b []byte, size uintptr) (uint64, error) {
	h, err := only(b, "an unsigned integer")
	if err != nil {
		return 0, err
	}
	if h.class != classInt && h.class != classUint && h.class != classNil {
		return 0, fmt.Errorf("codec: %v cannot be decoded as an unsigned integer", h.class)
	}
	if !h.fitsUint(size) {
		return 0, fmt.Errorf("codec: %v does not fit an unsigned integer of %d bits", h, 8*size)
	}
	return h.n, nil
}

// decodeFloat decodes a float of the given size in bytes.
func decodeFloat(b []byte, size uintptr) (float64, error) {
	h, err := only(b, "a float")
	if err != nil {
		return 0, err
	}
	switch {
	case h.class > classFloat || h.class == classBool:
		return 0, fmt.Errorf("codec: %v cannot be decoded as a float", h.class)
	case !h.fitsFloat(size):
		return 0, fmt.Errorf("codec: %v does not fit a float of %d bits", h, 8*size)
	case h.class != classFloat:
		return float64(int64(h.n)), nil
	case h.size == 5:
		return float64(math.Float32frombits(uint32(h.n))), nil
	}
	return math.Float64frombits(h.n), nil
}

// decodeBytes returns the bytes of a string or binary, which stay part of b.
// They are nil if nil is encoded.
func decodeBytes(b []byte) ([]byte, error) {
	h, err := only(b, "a string")
	switch {
	case err != nil || h.class == classNil:
		return nil, err
	case h.class != classBytes:
		return nil, fmt.Errorf("codec: %v cannot be decoded as a string", h.class)
	}
	return h.content(b), nil
}

// decodeScalar decodes into v if it points at one of the plain types.
func decodeScalar(b []byte, v any) (done bool, err error) {
	switch v := v.(type) {
	case *string:
		if v != nil {
			var s []byte
			s, err = decodeBytes(b)
			*v = string(s)
			return true, err
		}
	case *[]byte:
		if v != nil {
			var s []byte
			s, err = decodeBytes(b)
			*v = bytes.Clone(s)
			return true, err
		}
	case *int:
		if v != nil {
			var n int64
			n, err = decodeInt(b, bytesOfInt)
			*v = int(n)
			return true, err
		}
	case *int64:
		if v != nil {
			*v, err = decodeInt(b, 8)
			return true, err
		}
	case *float64:
		if v != nil {
			*v, err = decodeFloat(b, 8)
			return true, err
		}
	}
	return false, nil
}

const bytesOfInt = bits.UintSize / 8

// String is the number that h holds, or else what it is.
func (h head) String() string {
	switch {
	case h.class == classInt:
		return fmt.Sprint(int64(h.n))
	case h.class == classUint:
		return fmt.Sprint(h.n)
	case h.class == classFloat && h.size == 5:
		return fmt.Sprint(math.Float32frombits(uint32(h.n)))
	case h.class == classFloat:
		return fmt.Sprint(math.Float64frombits(h.n))
	}
	return h.class.String()
}

// fitsInt reports whether h, unless it is no integer, can be stored in a
// signed integer of the given size as it is.
func (h head) fitsInt(size uintptr) bool {
	unused := 64 - 8*size
	switch h.class {
	case classUint:
		return h.n <= math.MaxInt64>>unused
	case classInt:
		return int64(h.n) >= math.MinInt64>>unused
	}
	return true
}

// fitsUint is fitsInt for an unsigned integer.
func (h head) fitsUint(size uintptr) bool {
	switch h.class {
	case classUint:
		return h.n <= math.MaxUint64>>(64-8*size)
	case classInt:
		return false
	}
	return true
}

// fitsFloat is fitsInt for a float. A number fits if it stays the same.
func (h head) fitsFloat(size uintptr) bool {
	switch h.class {
	case classUint, classInt:
		n := int64(h.n)
		f := float64(n)
		if size == 4 {
			f = float64(float32(n))
		}
		return n >= 0 == (h.class == classUint) && f < 1<<63 && int64(f) == n
	case classFloat:
		return int(size) >= h.size-1
	}
	return true
}
