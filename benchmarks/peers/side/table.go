package side

import (
	"bytes"
	"hash/maphash"
)

// table is an open-addressing hash table that is made for adding up: keys lie
// one after the other in an arena, a slot has a part of the hash to compare
// first, and nothing in it is a pointer that the collector would follow.
type table struct {
	seed  maphash.Seed
	slots []slot // a power of two of them
	used  int
	arena []byte
}

type slot struct {
	tag    uint32 // of the hash; 0 is an empty slot
	length uint32 // of the key
	offset uint64 // of the key, in the arena
	sum    int64
}

func newTable() sums { return &table{seed: maphash.MakeSeed(), slots: make([]slot, 1<<16)} }

func (t *table) add(key []byte, n int64) {
	h := maphash.Bytes(t.seed, key)
	tag := uint32(h>>32) | 1
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.tag == tag && int(s.length) == len(key) && bytes.Equal(t.arena[s.offset:s.offset+uint64(s.length)], key) {
			s.sum += n
			return
		}
		if s.tag == 0 {
			*s = slot{tag: tag, length: uint32(len(key)), offset: uint64(len(t.arena)), sum: n}
			t.arena = append(t.arena, key...)
			if t.used++; t.used > len(t.slots)*5/8 {
				t.grow()
			}
			return
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.tag == 0 {
			continue
		}
		i := maphash.Bytes(t.seed, t.arena[s.offset:s.offset+uint64(s.length)]) & mask
		for t.slots[i].tag != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

func (t *table) each(f func(key []byte, sum int64)) {
	for _, s := range t.slots {
		if s.tag != 0 {
			f(t.arena[s.offset:s.offset+uint64(s.length)], s.sum)
		}
	}
}
