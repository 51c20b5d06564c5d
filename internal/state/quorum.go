package state

import (
	"cmp"
	"slices"
	"time"
)

// rules say when the servers of a cluster change.
type rules struct {
	voters  int           // how many there are to be
	stable  time.Duration // how long a server is alive before it gets a vote
	replace time.Duration // how long one is missing before another takes its place
	forget  time.Duration // how long one is missing before it has none
}

// seat is one server of the cluster as its leader sees it.
type seat struct {
	id      string
	voter   bool
	self    bool
	answers bool          // it has answered this leader just now
	alive   bool          // it answers, or is seen in the pool
	since   time.Duration // how long it has been alive, or missing
	current bool          // its log is nearly as long as the leader's
	full    bool          // its disk has no room
}

// ready reports whether s could vote from now on.
func (s seat) ready(r rules) bool {
	return !s.voter && s.alive && s.answers && s.current && !s.full && s.since >= r.stable
}

// move is what can be changed of the servers of a cluster.
type move int

const (
	moveNothing move = iota
	moveAdd          // a server gets the state and no vote
	movePromote      // one that has the state gets a vote
	moveDemote       // a voter loses its vote and keeps the state
	moveRemove       // a server is no part of the cluster any more
)

// step is one change.
type step struct {
	move move
	id   string
	why  string
}

// next returns the one change that brings the servers nearer to what they are
// to be, or none. It is made only if a majority of the voters before it
// answers, and never leaves fewer than a majority of those after it. Others
// are servers that are alive and no part of the cluster yet.
//
// A voter that is missing first loses its place and then another gets it: a
// new voter beside a dead one would need a larger majority, and could be the
// next to be missing.
func (r rules) next(seats []seat, others []string) step {
	seats = slices.Clone(seats)
	slices.SortFunc(seats, func(a, b seat) int { return cmp.Compare(a.id, b.id) })
	var voters, answering int
	var ready []seat
	for _, s := range seats {
		if s.voter {
			voters++
			if s.answers {
				answering++
			}
		}
		if s.ready(r) {
			ready = append(ready, s)
		}
	}
	if 2*answering <= voters {
		return step{why: "a majority of the voters does not answer"}
	}
	want := max(r.voters, 1)
	if want%2 == 0 {
		want-- // one more would bear no more losses
	}
	// A server without which the others are a majority still.
	spare := func(s seat) bool {
		left := answering
		if s.answers {
			left--
		}
		return s.voter && !s.self && 2*left >= voters
	}
	if s, ok := longestMissing(seats, spare); ok {
		switch {
		case s.since >= r.forget:
			return step{moveRemove, s.id, "it has been missing for too long"}
		case s.since >= r.replace && len(ready) > 0:
			return step{moveRemove, s.id, "it is missing, and another stands ready"}
		case voters > want:
			return step{moveDemote, s.id, "there are more voters than wanted, and it is missing"}
		}
	}
	if voters > want {
		if s, ok := leastUseful(seats, spare); ok {
			return step{moveDemote, s.id, "there are more voters than wanted"}
		}
	}
	// An even number of voters bears no more losses than one less, so that it
	// is only passed through.
	if voters < want && len(ready) > 0 && (voters%2 == 0 || len(ready) > 1) {
		return step{movePromote, ready[0].id, "it is alive and has the state"}
	}
	if s, ok := longestMissing(seats, func(s seat) bool { return !s.voter }); ok && s.since >= r.replace {
		return step{moveRemove, s.id, "it is missing, and has no vote"}
	}
	if len(others) > 0 {
		return step{moveAdd, slices.Min(others), "it is alive"}
	}
	return step{}
}

func longestMissing(seats []seat, may func(seat) bool) (longest seat, ok bool) {
	for _, s := range seats {
		if !s.alive && may(s) && (!ok || s.since > longest.since) {
			longest, ok = s, true
		}
	}
	return longest, ok
}

// leastUseful returns the voter whose vote is missed least.
func leastUseful(seats []seat, may func(seat) bool) (least seat, ok bool) {
	use := func(s seat) int {
		n := 0
		for _, good := range []bool{s.current, !s.full, s.answers} {
			n *= 2
			if good {
				n++
			}
		}
		return n
	}
	for _, s := range seats {
		if may(s) && (!ok || use(s) <= use(least)) {
			least, ok = s, true
		}
	}
	return least, ok
}
