package shuffle

import (
	"bytes"
	"cmp"
	"slices"
)

// ref stands for a record while it is sorted.
type ref struct {
	prefix uint64 // the first bytes of the key
	at     uint32 // its place in the arena
	part   uint16
	size   uint16 // of what it takes there, or as much of it as is worth touching
}

const (
	refSize = 16
	few     = 40 // records that are sorted by insertion
)

// sorter sorts records by partition, key, and the order in which they came.
type sorter struct {
	arena *arena
	count []uint32 // per partition: where its records end
}

// sort sorts refs into sorted, which is as long. It uses both.
func (s *sorter) sort(refs, sorted []ref) {
	clear(s.count)
	for i := range refs {
		s.count[refs[i].part]++
	}
	var sum uint32
	for p, n := range s.count {
		s.count[p] = sum
		sum += n
	}
	for i := range refs {
		n := &s.count[refs[i].part]
		sorted[*n] = refs[i]
		*n++
	}
	lo := uint32(0)
	for _, hi := range s.count {
		if hi-lo > 1 {
			s.radix(sorted[lo:hi], refs[lo:hi], 56)
		}
		lo = hi
	}
}

// part returns the records of partition p after sort.
func (s *sorter) part(sorted []ref, p int) []ref {
	lo := uint32(0)
	if p > 0 {
		lo = s.count[p-1]
	}
	return sorted[lo:s.count[p]]
}

// radix sorts a by the byte of the prefix at shift and those below it, and
// then by the whole key. It uses b, which is as long. Equal keys keep their
// order.
func (s *sorter) radix(a, b []ref, shift int) {
	if len(a) <= few {
		s.insertion(a)
		return
	}
	if shift < 0 {
		slices.SortFunc(a, s.compareKeys)
		return
	}
	var count, next [256]uint32
	for i := range a {
		count[byte(a[i].prefix>>shift)]++
	}
	if count[byte(a[0].prefix>>shift)] == uint32(len(a)) {
		s.radix(a, b, shift-8)
		return
	}
	sum := uint32(0)
	for i, n := range count {
		next[i] = sum
		sum += n
	}
	for i := range a {
		n := &next[byte(a[i].prefix>>shift)]
		b[*n] = a[i]
		*n++
	}
	copy(a, b)
	lo := uint32(0)
	for _, hi := range next {
		if hi-lo > 1 {
			s.radix(a[lo:hi], b[lo:hi], shift-8)
		}
		lo = hi
	}
}

func (s *sorter) insertion(a []ref) {
	for i := 1; i < len(a); i++ {
		x := a[i]
		j := i
		for j > 0 && (a[j-1].prefix > x.prefix || a[j-1].prefix == x.prefix && s.compareKeys(a[j-1], x) > 0) {
			a[j] = a[j-1]
			j--
		}
		a[j] = x
	}
}

// compareKeys compares records whose prefixes are equal.
func (s *sorter) compareKeys(x, y ref) int {
	if c := bytes.Compare(s.arena.key(x.at), s.arena.key(y.at)); c != 0 {
		return c
	}
	return cmp.Compare(x.at, y.at)
}
