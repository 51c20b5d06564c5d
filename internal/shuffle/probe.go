package shuffle

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// probe is what a table knows a key by. A key of less than sixteen bytes is
// in it whole: its bytes, big end first, and in the last one its length, plus
// one. So two of them are equal if, and only if, the keys are. That of a longer
// key has its first bytes and a mark, and the keys themselves must be compared.
// No key has the zero probe.
type probe struct{ head, tail uint64 }

const (
	whole = 15   // bytes of the longest key that is in its probe
	long  = 0xff // the mark
)

func probeOf(key []byte) probe {
	switch n := len(key); {
	case n <= 8:
		return probe{prefix(key), uint64(n + 1)}
	case n <= whole:
		rest := binary.BigEndian.Uint64(key[n-8:]) << (8 * (16 - n) & 63)
		return probe{binary.BigEndian.Uint64(key), rest | uint64(n+1)}
	}
	return probe{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]) | long}
}

// probeOfCell returns the probe of a key that AddWords gets, unless it is long.
func probeOfCell(cell *[16]byte) probe {
	p := probe{binary.BigEndian.Uint64(cell[:]), binary.BigEndian.Uint64(cell[8:])}
	if !p.long() {
		p.tail++
	}
	return p
}

func (p probe) long() bool { return byte(p.tail) == long }

// key returns the key of a probe that is not long. It uses buf.
func (p probe) key(buf *[16]byte) []byte {
	binary.BigEndian.PutUint64(buf[:], p.head)
	binary.BigEndian.PutUint64(buf[8:], p.tail)
	return buf[:byte(p.tail)-1]
}

// hasher hashes keys for one table. Its seed is nobody's to guess, so that
// nobody can choose keys that all meet in one slot.
type hasher struct {
	seed maphash.Seed
	a, b uint64
}

func newHasher() hasher {
	return hasher{maphash.MakeSeed(), rand.Uint64(), rand.Uint64()}
}

// hash returns the hash of a key whose probe is p.
func (h *hasher) hash(p probe, key []byte) uint32 {
	if p.long() {
		return h.long(key)
	}
	return h.short(p)
}

func (h *hasher) long(key []byte) uint32 { return uint32(maphash.Bytes(h.seed, key)) }

// short is a multiplication.
func (h *hasher) short(p probe) uint32 {
	hi, lo := bits.Mul64(p.head^h.a, p.tail^h.b)
	return uint32(hi ^ lo)
}
