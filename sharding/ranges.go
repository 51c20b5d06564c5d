package sharding

import (
	"bytes"
	"slices"
	"sort"
)

// Ranges cuts the space of keys into partitions that are ranges: bound i is
// the least key of partition i+1. The bounds ascend, each differs from the
// next, and there is one fewer than there are partitions. Output that is
// sorted within each partition is then sorted as a whole.
type Ranges [][]byte

// Partition returns the partition of key, from 0 to len(r). It never
// decreases as keys ascend.
func (r Ranges) Partition(key []byte) int {
	return sort.Search(len(r), func(i int) bool { return bytes.Compare(key, r[i]) < 0 })
}

// Bounds returns ranges that put about equal shares of sample into each of n
// partitions. A key that fills several shares gets one partition, which it
// has as far as possible to itself. A sample of few distinct keys gives fewer
// than n-1 bounds; the partitions beyond them stay empty. The sample is not
// changed and not kept.
func Bounds(sample [][]byte, n int) Ranges {
	if n < 2 || len(sample) == 0 {
		return nil
	}
	sorted := slices.Clone(sample)
	slices.SortFunc(sorted, bytes.Compare)

	var r Ranges
	last := sorted[0] // a bound at the least key would leave partition 0 empty
	at := 0
	for i := 1; i < n; i++ {
		at = max(at, int(int64(len(sorted))*int64(i)/int64(n)))
		for at < len(sorted) && bytes.Equal(sorted[at], last) {
			at++
		}
		if at == len(sorted) {
			break
		}
		last = bytes.Clone(sorted[at])
		r = append(r, last)
	}
	return r
}
