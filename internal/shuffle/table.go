package shuffle

import "hash/maphash"

// table finds the record of a key in a writer's buffer, so that a pair can be
// combined with what is there before it takes up room. It is worth its cost
// only while keys repeat, which judge finds out.
type table struct {
	acct  *account
	seed  maphash.Seed
	slots []slot
	used  int
	adds  int // since the buffer was last empty
	off   bool
}

// slot is a record of the buffer by its number, counted from one, with a part
// of the hash of its key.
type slot struct{ hash, ref uint32 }

const (
	slotSize = 8
	judgeAt  = 64 << 10 // adds after which the table is judged
)

// ready makes sure that there is a free slot. It returns false if the account
// refuses the memory.
func (t *table) ready() bool {
	if 2*(t.used+1) <= len(t.slots) {
		return true
	}
	n := max(2*len(t.slots), 64)
	if len(t.slots) == 0 {
		t.acct.force(int64(n) * slotSize)
	} else if !t.acct.grow(int64(n)*slotSize, 1) {
		return false
	}
	old := t.slots
	t.slots = make([]slot, n)
	mask := uint32(n - 1)
	for _, s := range old {
		if s.ref == 0 {
			continue
		}
		i := s.hash & mask
		for t.slots[i].ref != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
	t.acct.shrink(int64(len(old)) * slotSize)
	return true
}

// judge counts an Add. It turns the table off until the buffer is next empty
// if so few keys repeat that sorting, and combining neighbours, is cheaper.
func (t *table) judge() {
	t.adds++
	if t.adds == judgeAt && t.used*10 > t.adds*7 {
		t.off = true
		t.free()
	}
}

// reset forgets all records.
func (t *table) reset() {
	clear(t.slots)
	t.used, t.adds, t.off = 0, 0, false
}

// free gives the memory back.
func (t *table) free() {
	t.acct.shrink(int64(len(t.slots)) * slotSize)
	t.slots, t.used = nil, 0
}
