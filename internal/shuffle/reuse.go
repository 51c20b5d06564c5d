package shuffle

import (
	"math/bits"
	"sync"
)

// reuse keeps slices that nobody uses, by the logarithm of their capacity. To
// take one from here costs less than to have the pages of another one mapped,
// and what is not garbage need not be collected.
type reuse[T any] [bits.UintSize]sync.Pool

// get returns an empty slice whose capacity is n, or the next power of two. What
// is beyond its end may be anything.
func (r *reuse[T]) get(n int) []T {
	class := bits.Len(uint(n - 1))
	if p, ok := r[class].Get().(*[]T); ok {
		return *p
	}
	return make([]T, 0, 1<<class)
}

// put ends the use of a slice that get returned. Nothing may refer to it any
// more.
func (r *reuse[T]) put(s []T) {
	if cap(s) == 0 {
		return
	}
	s = s[:0]
	r[bits.Len(uint(cap(s)-1))].Put(&s)
}
