package sharding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Strategy says which of the eligible members get tasks.
type Strategy string

// The strategies. The empty one is LeastLoaded.
const (
	// LeastLoaded fills the member that has the least work for its slots,
	// whichever run the work is of.
	LeastLoaded Strategy = "least-loaded"
	// Random draws the member of each task.
	Random Strategy = "random"
	// Spread evens out how many tasks of the run each member has, whatever
	// its size.
	Spread Strategy = "spread"
	// Affinity gives all tasks to the Owner of a key. They wait for it when it
	// is full, and go to the next in Rank only when it is not eligible.
	Affinity Strategy = "affinity"
)

// Check returns an error if s is none of the strategies.
func (s Strategy) Check() error {
	switch s {
	case "", LeastLoaded, Random, Spread, Affinity:
		return nil
	}
	return fmt.Errorf("sharding: strategy %q: want %q, %q, %q or %q", string(s), LeastLoaded, Random, Spread, Affinity)
}

// Placement is how the tasks of a run find their members.
type Placement struct {
	// Strategy chooses among the eligible members. One that Check refuses
	// places as LeastLoaded does.
	Strategy Strategy
	// Key is what Affinity goes by. Runs with one key go to one member.
	Key string
}

// Assignment is how many tasks a member gets.
type Assignment struct {
	// Member is the member's ID.
	Member string
	// N is at least 1.
	N int
}

// Place hands out up to tasks tasks of one run to members, all of them
// eligible, and returns who gets how many, in order of the IDs. No member
// gets more than it has credit for; tasks beyond that are left for later.
//
// The caller's own count of the tasks a member has of this run is inFlight;
// free is the member's credit. A nil inFlight counts none; a nil free leaves a
// member its slots less the work it has. A nil chance breaks ties by ID and
// makes Random place as Spread does.
//
// One call costs a sort of the members, and with Random a step per task.
func Place(p Placement, tasks int, members []Member, inFlight, free func(id string) int, chance *rand.Rand) []Assignment {
	if tasks <= 0 || len(members) == 0 {
		return nil
	}
	tasks = min(tasks, maxTasks)
	if p.Strategy == Affinity {
		owner, _ := Owner(p.Key, members)
		members = []Member{owner}
	}
	bins := bins(p.Strategy, tasks, members, inFlight, free)
	if p.Strategy == Random && chance != nil {
		draw(bins, tasks, chance)
	} else {
		level(bins, tasks, chance)
	}
	out := make([]Assignment, 0, len(bins))
	for _, b := range bins {
		if b.n > 0 {
			out = append(out, Assignment{b.id, b.n})
		}
	}
	return out
}

// A bin is a member while tasks are handed out.
type bin struct {
	id     string
	load   int64 // what counts as work it already has
	weight int64 // the load that fills it to level 1
	credit int   // the most it may get
	n      int   // what it gets
}

// With these bounds no product in level overflows. They are beyond what any
// pool has; what comes by gossip may claim more.
const (
	maxTasks  = 1 << 24
	maxWeight = 1 << 16
)

// bins returns the members that have credit, in order of their IDs.
func bins(s Strategy, tasks int, members []Member, inFlight, free func(id string) int) []bin {
	bins := make([]bin, 0, len(members))
	for i := range members {
		m := &members[i]
		mine := 0
		if inFlight != nil {
			mine = inFlight(m.ID)
		}
		// What a member last told includes those of our tasks that had reached
		// it by then, so the larger of the two is the better guess, and their
		// sum would count some twice.
		load, weight := max(m.Load, mine), m.weight()
		credit := m.Slots - load
		if free != nil {
			credit = free(m.ID)
		}
		if s == Spread || s == Random {
			load, weight = mine, 1
		}
		if credit > 0 {
			bins = append(bins, bin{
				id:     m.ID,
				load:   int64(min(max(load, 0), maxTasks)),
				weight: int64(min(weight, maxWeight)),
				credit: min(credit, tasks),
			})
		}
	}
	slices.SortFunc(bins, func(a, b bin) int { return strings.Compare(a.id, b.id) })
	return bins
}

// draw gives each task to a random one of the bins that have credit left.
func draw(bins []bin, tasks int, chance *rand.Rand) {
	open := make([]int, len(bins))
	for i := range bins {
		open[i] = i
	}
	for ; tasks > 0 && len(open) > 0; tasks-- {
		at := chance.IntN(len(open))
		b := &bins[open[at]]
		if b.n++; b.n == b.credit {
			open[at] = open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
}

// level pours tasks into bins so that the fullest, by load over weight, ends
// as low as it can, as water finds its level.
func level(bins []bin, tasks int, chance *rand.Rand) {
	var room int64
	for i := range bins {
		room += int64(bins[i].credit)
	}
	if room <= int64(tasks) {
		for i := range bins {
			bins[i].n = bins[i].credit
		}
		return
	}
	// Find the highest level that tasks suffice for.
	low, high := int64(0), int64(1)
	for poured(bins, high) <= int64(tasks) {
		low, high = high, 2*high
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; poured(bins, mid) <= int64(tasks) {
			low = mid
		} else {
			high = mid
		}
	}
	var next []*bin // those that have one more at the next level
	for i := range bins {
		b := &bins[i]
		b.n = b.at(low)
		tasks -= b.n
		if b.at(high) > b.n {
			next = append(next, b)
		}
	}
	if chance != nil {
		chance.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	}
	for _, b := range next[:tasks] {
		b.n++
	}
}

// levels is how many levels there are from an empty bin to a full one. It is
// above maxWeight, so that a bin gains at most one task from level to level.
const levels = 1 << 20

// poured returns how many tasks bring all bins up to level.
func poured(bins []bin, level int64) (sum int64) {
	for i := range bins {
		sum += int64(bins[i].at(level))
	}
	return sum
}

// at returns how many tasks bring b up to level.
func (b *bin) at(level int64) int {
	return int(min(max(level*b.weight/levels-b.load, 0), int64(b.credit)))
}
