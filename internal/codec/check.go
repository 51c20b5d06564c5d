package codec

import (
	"encoding/binary"
	"fmt"
)

// class is what a value is, by its first byte.
type class uint8

const (
	classNil class = iota
	classBool
	classUint  // an integer from 0
	classInt   // an integer below 0
	classFloat // of 32 or 64 bits
	classBytes // a string or binary
	classArray
	classMap
	classExt
)

var classNames = [...]string{"nil", "a bool", "an integer", "an integer", "a float", "a string", "an array", "a map", "an extension"}

func (c class) String() string { return classNames[c] }

// head is the first bytes of a value, read.
type head struct {
	class class
	// size is how many bytes there are up to the next value; in an array or a
	// map that is its first element.
	size int
	// n is the bits of a number or bool, the length of bytes, or the count of
	// elements (of pairs, in a map).
	n uint64
}

// values is how many values an array or map consists of.
func (h head) values() uint64 {
	switch h.class {
	case classArray:
		return h.n
	case classMap:
		return 2 * h.n
	}
	return 0
}

// content is the bytes of a string or binary that b begins with.
func (h head) content(b []byte) []byte { return b[h.size-int(h.n) : h.size] }

// read reads the head of the value that b begins with. It is false if there is
// no such value, or if b ends before the next one can begin.
func read(b []byte) (head, bool) {
	if len(b) == 0 {
		return head{}, false
	}
	c := b[0]
	switch {
	case c < 0x80:
		return head{classUint, 1, uint64(c)}, true
	case c < 0x90:
		return head{classMap, 1, uint64(c & 0x0f)}, true
	case c < 0xa0:
		return head{classArray, 1, uint64(c & 0x0f)}, true
	case c < 0xc0:
		n := int(c & 0x1f)
		return head{classBytes, 1 + n, uint64(n)}, 1+n <= len(b)
	case c >= 0xe0:
		return head{classInt, 1, uint64(int64(int8(c)))}, true
	}
	switch c {
	case 0xc0:
		return head{classNil, 1, 0}, true
	case 0xc2, 0xc3:
		return head{classBool, 1, uint64(c & 1)}, true
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, size := number(b, 1<<(c-0xcc))
		return head{classUint, size, n}, size <= len(b)
	case 0xd0, 0xd1, 0xd2, 0xd3:
		n, size := number(b, 1<<(c-0xd0))
		unused := 64 - 8*(size-1)
		if v := int64(n) << unused >> unused; v < 0 {
			return head{classInt, size, uint64(v)}, size <= len(b)
		}
		return head{classUint, size, n}, size <= len(b)
	case 0xca, 0xcb:
		n, size := number(b, 4<<(c-0xca))
		return head{classFloat, size, n}, size <= len(b)
	case 0xc4, 0xc5, 0xc6:
		n, size := number(b, 1<<(c-0xc4))
		return long(b, classBytes, size, n)
	case 0xd9, 0xda, 0xdb:
		n, size := number(b, 1<<(c-0xd9))
		return long(b, classBytes, size, n)
	case 0xdc, 0xdd:
		n, size := number(b, 2<<(c-0xdc))
		return head{classArray, size, n}, size <= len(b)
	case 0xde, 0xdf:
		n, size := number(b, 2<<(c-0xde))
		return head{classMap, size, n}, size <= len(b)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		n := 1 << (c - 0xd4)
		return head{classExt, 2 + n, uint64(n)}, 2+n <= len(b)
	case 0xc7, 0xc8, 0xc9:
		n, size := number(b, 1<<(c-0xc7))
		return long(b, classExt, size+1, n)
	}
	return head{}, false // 0xc1, which means nothing
}

// long is the head of a value whose first size bytes say that n bytes follow.
func long(b []byte, c class, size int, n uint64) (head, bool) {
	if n > uint64(len(b)) || size+int(n) > len(b) {
		return head{}, false
	}
	return head{c, size + int(n), n}, true
}

// number reads the width bytes after the first of b, big end first, and returns
// the size of them all. If b is shorter than that the number is 0.
func number(b []byte, width int) (n uint64, size int) {
	if 1+width > len(b) {
		return 0, 1 + width
	}
	switch b = b[1:]; width {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b))
	case 8:
		n = binary.BigEndian.Uint64(b)
	}
	return n, 1 + width
}

// Check reports what is wrong with b, if b is not the encoding of exactly one
// value: it ends early or late, it is nested more than MaxDepth deep, it
// claims more elements or bytes than follow, or it holds an extension other
// than a timestamp. It allocates nothing, whatever b claims.
func Check(b []byte) error {
	var owed [MaxDepth + 1]uint64 // values still to come, at each depth
	depth, due := 0, uint64(1)    // due is the sum of owed
	owed[0] = 1
	rest := b
	for due > 0 {
		for owed[depth] == 0 {
			depth--
		}
		h, ok := read(rest)
		if !ok {
			return broken(b, rest)
		}
		at := len(b) - len(rest)
		if h.class == classExt && !isTime(rest[:h.size]) {
			return fmt.Errorf("codec: byte %d begins an extension that is not a timestamp", at)
		}
		rest = rest[h.size:]
		owed[depth]--
		due--
		if h.class != classArray && h.class != classMap {
			continue
		}
		if depth == MaxDepth {
			return fmt.Errorf("codec: byte %d begins %v that is nested more than %d deep", at, h.class, MaxDepth)
		}
		depth++
		owed[depth] = h.values()
		if due += owed[depth]; due > uint64(len(rest)) {
			return fmt.Errorf("codec: byte %d begins %v of %d elements, but only %d bytes follow", at, h.class, h.n, len(rest))
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("codec: %d bytes follow the value", len(rest))
	}
	return nil
}

// broken says why nothing could be read where rest begins.
func broken(b, rest []byte) error {
	switch at := len(b) - len(rest); {
	case len(b) == 0:
		return fmt.Errorf("codec: there are no bytes")
	case len(rest) == 0:
		return fmt.Errorf("codec: the value ends at byte %d, before it is complete", at)
	case rest[0] == 0xc1:
		return fmt.Errorf("codec: byte %d is 0xc1, which begins no value", at)
	default:
		return fmt.Errorf("codec: the value that begins at byte %d claims more than the %d bytes that follow", at, len(rest)-1)
	}
}

// isTime reports whether b, an extension, is a timestamp. Where the library
// expects a map it takes the content of an extension for one, so the content
// of a timestamp is looked at, too.
func isTime(b []byte) bool {
	const second = 1e9 // in ns
	switch b[0] {
	case 0xd6: // seconds in 32 bits
		return b[1] == 0xff
	case 0xd7: // nanoseconds in 30 bits, seconds in 34
		return b[1] == 0xff && binary.BigEndian.Uint64(b[2:])>>34 < second
	case 0xc7: // nanoseconds in 32 bits, seconds in 64
		return b[1] == 12 && b[2] == 0xff && binary.BigEndian.Uint32(b[3:]) < second
	}
	return false
}

// skip returns how many bytes the value takes that b begins with. Only for
// bytes that passed Check.
func skip(b []byte) int {
	at := 0
	for due := uint64(1); due > 0; due-- {
		h, _ := read(b[at:])
		at += h.size
		due += h.values()
	}
	return at
}
