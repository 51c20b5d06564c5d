package worker

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/musterhq/muster/sharding"
)

// cuts finds the partition of a key as its Ranges do, and quicker: most keys
// are told from all bounds by their first bytes, as numbers.
type cuts struct {
	bounds sharding.Ranges
	starts []uint64 // of the bounds: their first eight bytes
}

func newCuts(bounds sharding.Ranges) *cuts {
	c := &cuts{bounds: bounds}
	for _, bound := range bounds {
		c.starts = append(c.starts, leading(bound))
	}
	return c
}

// leading returns the first eight bytes of b as a number of the same order. What
// b does not have counts as zeros.
func leading(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var first [8]byte
	copy(first[:], b)
	return binary.BigEndian.Uint64(first[:])
}

// partition returns the partition of key, from 0 to the number of bounds.
func (c *cuts) partition(key []byte) int {
	start := leading(key)
	p := below(c.starts, start)
	for p < len(c.starts) && c.starts[p] == start && bytes.Compare(key, c.bounds[p]) >= 0 {
		p++
	}
	return p
}

// below returns how many of sorted are less than x. It is a binary search
// without branches, since those of a random key are guessed in vain half of the
// time.
func below(sorted []uint64, x uint64) int {
	at := 0
	for n := len(sorted); n > 0; {
		half := (n + 1) / 2
		_, less := bits.Sub64(sorted[at+half-1], x, 0)
		at += half & -int(less)
		n -= half
	}
	return at
}
