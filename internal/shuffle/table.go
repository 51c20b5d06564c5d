package shuffle

import "math/bits"

// table finds the record of a key in a writer's buffer, so that a pair can be
// combined with what is there before it takes up room. It is worth its cost
// only while keys repeat, which judge finds out.
type table struct {
	acct   *account
	hasher hasher
	slots  []slot // a power of two of them
	used   int
	adds   int // since the buffer was last empty
	hint   int // how many keys there may be
	off    bool
}

// slot is a record of the buffer by its number, counted from one. It has what
// most keys are told apart by, and a value that is a word: for most pairs
// nothing else has to be looked at, which would be a cache miss each.
type slot struct {
	probe
	word uint64
	hash uint32
	ref  uint32
}

const (
	slotSize  = 32
	leastSize = 64                     // slots of a table that is in use
	largeSize = 64 << 10               // slots from which on a table grows in smaller steps
	judgeAt   = largeSize - 2*maxBatch // adds after which the table is judged: before it becomes large
)

// needed returns how many slots n keys take: a fifth of them is free. With more
// of that a key is found at once more often, and in the cache less often.
func needed(n int) int { return n + n/4 }

// ready makes sure that there is a free slot. It returns false if the account
// refuses the memory.
func (t *table) ready() bool {
	if needed(t.used+1) <= len(t.slots) {
		return true
	}
	n, ok := t.enlarge()
	if !ok {
		return false
	}
	old := t.slots
	t.slots = newSlots(n)
	mask := uint32(n - 1)
	for i := range old {
		s := &old[i]
		if s.ref == 0 {
			continue
		}
		i := s.hash & mask
		for t.slots[i].ref != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = *s
	}
	t.acct.shrink(int64(len(old)) * slotSize)
	tables.put(old)
	return true
}

// tables are slots that nobody uses.
var tables reuse[slot]

// newSlots returns n slots, which are a power of two.
func newSlots(n int) []slot {
	slots := tables.get(n)[:n]
	clear(slots) // also new ones: they are read before they are written, and each page would be mapped twice
	return slots
}

// enlarge takes the memory for a larger table, and returns its size.
func (t *table) enlarge() (n int, ok bool) {
	had := len(t.slots)
	if n = 4 * had; had >= largeSize {
		n = 2 * had
	}
	if had == 0 { // none yet: as many as there may have to be, if there is memory for more beside them
		n = 1 << bits.Len(uint(max(needed(t.hint), leastSize)-1))
		if t.acct.grow(int64(n)*slotSize, 4) {
			return n, true
		}
		n = leastSize
		t.acct.force(int64(n) * slotSize)
		return n, true
	}
	if t.acct.grow(int64(n)*slotSize, 1) {
		return n, true
	}
	n = 2 * had
	return n, had < largeSize && t.acct.grow(int64(n)*slotSize, 1)
}

// known returns the slot of the key of b, if that is short and there is one.
func (t *table) known(b *slot) *slot {
	if b.long() {
		return nil
	}
	slots := t.slots
	mask := uint32(len(slots) - 1)
	for i := b.hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		if s.probe == b.probe {
			return s
		}
		if s.ref == 0 {
			return nil
		}
	}
}

// judge counts adds. It reports whether so few keys repeat that sorting, and
// combining neighbours, is cheaper than the table until the buffer is next
// empty.
func (t *table) judge(adds int) (useless bool) {
	t.adds += adds
	return t.adds >= judgeAt && t.adds-adds < judgeAt && !t.useful()
}

// useful reports whether enough keys have repeated.
func (t *table) useful() bool { return t.used > 0 && t.used*10 <= t.adds*7 }

// reset forgets all records.
func (t *table) reset() {
	if t.used > 0 {
		clear(t.slots)
		t.hint = max(t.hint, t.used)
	}
	t.used, t.adds, t.off = 0, 0, false
}

// free gives the memory back.
func (t *table) free() {
	t.acct.shrink(int64(len(t.slots)) * slotSize)
	tables.put(t.slots)
	t.slots, t.used = nil, 0
}
