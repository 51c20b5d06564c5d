package sharding

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Owner returns which of members owns key, by rendezvous hashing: when a
// member leaves, only the keys it owned move, and when one joins, keys move
// only to it. A member owns keys in proportion to its slots. It reports false
// if there are no members.
//
// The scheme is highest random weight, of Thaler and Ravishankar's "Using
// Name-Based Mappings to Increase Hit Rates" (1998). Weights enter by the
// logarithmic method: among hashes h that are uniform in (0, 1), the largest
// of -w/ln(h) belongs to each member with probability w over the sum of all w.
func Owner(key string, members []Member) (Member, bool) {
	if len(members) == 0 {
		return Member{}, false
	}
	k := xxhash.Sum64String(key)
	best := bidOf(k, &members[0])
	for i := 1; i < len(members); i++ {
		if b := bidOf(k, &members[i]); b.compare(best) < 0 {
			best = b
		}
	}
	return *best.by, true
}

// Rank returns all of members in the order in which they own key: the first is
// its Owner, the second would be if the first left, and so on.
func Rank(key string, members []Member) []Member {
	k := xxhash.Sum64String(key)
	bids := make([]bid, len(members))
	for i := range members {
		bids[i] = bidOf(k, &members[i])
	}
	slices.SortFunc(bids, bid.compare)
	out := make([]Member, len(bids))
	for i, b := range bids {
		out[i] = *b.by
	}
	return out
}

// A bid is what a member offers for a key: the least cost per weight wins.
type bid struct {
	by     *Member
	cost   uint64 // -log2 of a hash in (0, 1), with logBits binary places
	weight uint64
}

func bidOf(key uint64, m *Member) bid {
	h := mix(key ^ xxhash.Sum64String(m.ID))
	return bid{by: m, cost: 64<<logBits - log2(h), weight: m.weight()}
}

// compare is negative if b wins over c.
func (b bid) compare(c bid) int {
	if idle := b.by.Slots <= 0; idle != (c.by.Slots <= 0) {
		if idle {
			return 1
		}
		return -1
	}
	// Compare b.cost/b.weight with c.cost/c.weight by cross-multiplication.
	// Costs have 47 bits and weights 31, so the products need more than 64.
	bh, bl := bits.Mul64(b.cost, c.weight)
	ch, cl := bits.Mul64(c.cost, b.weight)
	return cmp.Or(cmp.Compare(bh, ch), cmp.Compare(bl, cl), strings.Compare(b.by.ID, c.by.ID))
}

// logBits is how many binary places log2 gives. With 40 of them two members
// tie about once in 10^12 keys, and then the lesser ID wins.
const logBits = 40

// log2 returns the logarithm of x to base 2, rounded down to logBits binary
// places. Squaring a number doubles its logarithm, so each squaring shows the
// next bit.
func log2(x uint64) uint64 {
	x = max(x, 1)
	zeros := bits.LeadingZeros64(x)
	log := uint64(63-zeros) << logBits
	x <<= zeros // now 1 <= x < 2, with 63 binary places
	for bit := uint64(1) << (logBits - 1); bit > 0; bit >>= 1 {
		hi, lo := bits.Mul64(x, x)
		if hi>>63 == 1 { // x*x >= 2
			log |= bit
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return log
}

// mix makes every bit of the result depend on every bit of x. It is the
// finisher of SplitMix64, after Stafford's variant 13.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
