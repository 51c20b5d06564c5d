package shuffle

import (
	"encoding/binary"
	"sync"
)

// maxSlab is the largest slab that holds more than one record.
const (
	slabBits = 20
	maxSlab  = 1 << slabBits
	maxSlabs = 1 << (32 - slabBits)
	slotHead = 8 // length of key u32 | length of value u32
)

// arena holds the keys and values of records in slabs, which grow in size and
// are never moved. Where a record is fits in 32 bits: the slab's number and
// the offset in it. A later record has a larger place.
type arena struct {
	acct  *account
	slabs [][]byte // len is what is in use
	cur   int      // the slab that is being filled
	full  int      // bytes of those before it
}

// put makes room for a record of n bytes, and returns its place and bytes. If
// the account refuses, it returns false, unless force is true. Only an arena
// without records may be forced.
func (a *arena) put(n int, force bool) (at uint32, b []byte, ok bool) {
	for {
		if a.cur < len(a.slabs) {
			s := a.slabs[a.cur]
			if o := len(s); cap(s)-o >= n && o < maxSlab {
				a.slabs[a.cur] = s[:o+n]
				return uint32(a.cur)<<slabBits | uint32(o), s[o : o+n : o+n], true
			}
			if a.cur+1 < len(a.slabs) {
				a.full += cap(a.slabs[a.cur])
				a.cur++
				continue
			}
		}
		if force && len(a.slabs) == maxSlabs {
			a.drop()
		}
		if !a.add(n, force) {
			return 0, nil, false
		}
	}
}

// add adds a slab with room for n bytes, and makes it the current one.
func (a *arena) add(n int, force bool) bool {
	if len(a.slabs) == maxSlabs {
		return false
	}
	size := a.acct.b.sizes.firstSlab
	last := 0
	if k := len(a.slabs); k > 0 {
		last = cap(a.slabs[k-1])
		size = min(2*last, a.acct.b.sizes.lastSlab)
	}
	size = max(size, n)
	if force {
		a.acct.force(int64(size))
	} else if !a.acct.grow(int64(size), 1) {
		return false
	}
	a.slabs = append(a.slabs, a.slab(size))
	a.cur = len(a.slabs) - 1
	a.full += last
	return true
}

// slabs are full-sized slabs that nobody uses. To take one from here costs
// less than to have it zeroed, and to have the pages of another one mapped.
var slabs = sync.Pool{New: func() any { return new([maxSlab]byte) }}

func (a *arena) slab(size int) []byte {
	if size == maxSlab {
		return slabs.Get().(*[maxSlab]byte)[:0]
	}
	return make([]byte, 0, size)
}

// discard ends the use of a slab. Nothing may refer to it any more.
func discard(slab []byte) {
	if cap(slab) == maxSlab {
		slabs.Put((*[maxSlab]byte)(slab[:maxSlab]))
	}
}

// at returns the bytes from a place on.
func (a *arena) at(at uint32) []byte { return a.slabs[at>>slabBits][at&(maxSlab-1):] }

// record returns the key and the value at a place.
func (a *arena) record(at uint32) (key, value []byte) {
	b := a.at(at)
	k, v := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	b = b[slotHead:]
	return b[:k:k], b[k : k+v : k+v]
}

// key returns the key at a place.
func (a *arena) key(at uint32) []byte {
	b := a.at(at)
	return b[slotHead : slotHead+binary.LittleEndian.Uint32(b)]
}

// reset forgets all records. It keeps the slabs for those to come, but for
// large ones and for what is more than the account's share.
func (a *arena) reset() {
	keep := a.slabs[:0]
	excess := a.acct.excess()
	for i, s := range a.slabs {
		if c := int64(cap(s)); cap(s) > a.acct.b.sizes.lastSlab || i > 0 && excess > 0 {
			excess -= c
			a.acct.shrink(c)
			discard(s)
			continue
		}
		keep = append(keep, s[:0])
	}
	clear(a.slabs[len(keep):])
	a.slabs, a.cur, a.full = keep, 0, 0
}

// drop gives everything back.
func (a *arena) drop() {
	for _, s := range a.slabs {
		a.acct.shrink(int64(cap(s)))
		discard(s)
	}
	a.slabs, a.cur, a.full = nil, 0, 0
}
