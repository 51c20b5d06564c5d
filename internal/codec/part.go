package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
	"unsafe"
)

// yearOne is how many seconds year 1, where time.Time counts from, is before
// 1970.
const yearOne = 62135596800

// append appends the bytes of the part that at points at.
func (p *part) append(dst []byte, at unsafe.Pointer) []byte {
	switch p.form {
	case formBool:
		if *(*bool)(at) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case formInt:
		// With its sign flipped a negative number is before the others.
		return appendFixed(dst, uint64(loadInt(at, p.size))^1<<(8*p.size-1), p.size)
	case formUint:
		return appendFixed(dst, loadUint(at, p.size), p.size)
	case formFloat:
		if p.size == 4 {
			return binary.BigEndian.AppendUint32(dst, order32(*(*float32)(at)))
		}
		return binary.BigEndian.AppendUint64(dst, order64(*(*float64)(at)))
	case formTime:
		t := *(*time.Time)(at)
		dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix()+yearOne)^1<<63)
		return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
	case formString:
		return appendEscaped(dst, *(*string)(at))
	case formBytes:
		return appendEscaped(dst, *(*[]byte)(at))
	case formList:
		for i := range p.n {
			dst = p.elem.append(dst, unsafe.Add(at, uintptr(i)*p.elem.size))
		}
	case formStruct:
		for i := range p.fields {
			dst = p.fields[i].append(dst, unsafe.Add(at, p.fields[i].offset))
		}
	}
	return dst
}

// decode stores the part that b begins with where at points, and returns what
// follows it. It is false for bytes that append does not make.
func (p *part) decode(b []byte, at unsafe.Pointer) (rest []byte, ok bool) {
	switch p.form {
	case formString:
		s, rest, ok := unescape(b)
		*(*string)(at) = string(s)
		return rest, ok
	case formBytes:
		s, rest, ok := unescape(b)
		*(*[]byte)(at) = append([]byte{}, s...)
		return rest, ok
	case formList:
		for i := range p.n {
			if b, ok = p.elem.decode(b, unsafe.Add(at, uintptr(i)*p.elem.size)); !ok {
				return nil, false
			}
		}
		return b, true
	case formStruct:
		for i := range p.fields {
			if b, ok = p.fields[i].decode(b, unsafe.Add(at, p.fields[i].offset)); !ok {
				return nil, false
			}
		}
		return b, true
	}
	return p.decodeFixed(b, at)
}

func (p *part) decodeFixed(b []byte, at unsafe.Pointer) (rest []byte, ok bool) {
	width := int(p.size)
	if p.form == formTime {
		width = 12
	}
	if len(b) < width {
		return nil, false
	}
	b, rest = b[:width], b[width:]
	switch p.form {
	case formBool:
		*(*bool)(at) = b[0] == 1
		return rest, b[0] <= 1
	case formInt:
		storeUint(at, p.size, fixed(b)^1<<(8*p.size-1))
	case formUint:
		storeUint(at, p.size, fixed(b))
	case formFloat:
		if p.size == 4 {
			n := binary.BigEndian.Uint32(b)
			f := number32(n)
			*(*float32)(at) = f
			return rest, order32(f) == n
		}
		n := binary.BigEndian.Uint64(b)
		f := number64(n)
		*(*float64)(at) = f
		return rest, order64(f) == n
	case formTime:
		sec := int64(binary.BigEndian.Uint64(b)^1<<63) - yearOne
		ns := binary.BigEndian.Uint32(b[8:])
		*(*time.Time)(at) = time.Unix(sec, int64(ns)).UTC()
		return rest, ns < 1e9
	}
	return rest, true
}

// A string inside a key must not depend on how long it is, and what follows it
// must not take part in comparing it. As in the tuple layer of FoundationDB
// (github.com/apple/foundationdb, design/tuple.md) a zero byte is written as
// 00 FF, and a zero ends the string. There a type code follows, which is never
// FF; here the next field follows, which may be, so the end is 00 00.

func appendEscaped[S string | []byte](dst []byte, s S) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0)
}

// unescape returns the string that b begins with and what follows it. The
// string is part of b if nothing in it was escaped.
func unescape(b []byte) (s, rest []byte, ok bool) {
	escaped := false
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], 0)
		if at += i; i < 0 || at+1 == len(b) {
			return nil, nil, false
		}
		switch b[at+1] {
		case 0:
			if s, rest = b[:at], b[at+2:]; escaped {
				s = bytes.ReplaceAll(s, []byte{0, 0xff}, []byte{0})
			}
			return s, rest, true
		case 0xff:
			escaped = true
			at += 2
		default:
			return nil, nil, false
		}
	}
}

// order64 maps floats to integers of the same order. What is negative has all
// its bits flipped, what is not has its sign flipped. NaN, below -Inf, is 0.
func order64(f float64) uint64 {
	switch n := math.Float64bits(f); {
	case f == 0:
		return 1 << 63
	case f != f:
		return 0
	case f < 0:
		return ^n
	default:
		return n | 1<<63
	}
}

func number64(n uint64) float64 {
	switch {
	case n == 0:
		return math.NaN()
	case n < 1<<63:
		return math.Float64frombits(^n)
	}
	return math.Float64frombits(n &^ (1 << 63))
}

func order32(f float32) uint32 {
	switch n := math.Float32bits(f); {
	case f == 0:
		return 1 << 31
	case f != f:
		return 0
	case f < 0:
		return ^n
	default:
		return n | 1<<31
	}
}

func number32(n uint32) float32 {
	switch {
	case n == 0:
		return float32(math.NaN())
	case n < 1<<31:
		return math.Float32frombits(^n)
	}
	return math.Float32frombits(n &^ (1 << 31))
}

// appendFixed appends the last size bytes of n, big end first.
func appendFixed(dst []byte, n uint64, size uintptr) []byte {
	switch size {
	case 1:
		return append(dst, byte(n))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(n))
	}
	return binary.BigEndian.AppendUint64(dst, n)
}

func fixed(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
