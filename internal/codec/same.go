package codec

import (
	"bytes"
	"unsafe"
)

// Same reports whether two values are the same bit by bit, what they refer to
// included, so that they are equal without a look at that. Others may be equal
// all the same.
func Same[T any](a, b *T) bool {
	size := unsafe.Sizeof(*a)
	return bytes.Equal(unsafe.Slice((*byte)(unsafe.Pointer(a)), size), unsafe.Slice((*byte)(unsafe.Pointer(b)), size))
}
