package state

import (
	"cmp"
	"sync"

	"github.com/musterhq/muster/pkg/job"
)

// place is one of a change in the order of all: an entry of the log, a command
// in it, and which of the changes that it led to, from one. It is the same on
// every server. With a zero part it is the one before all changes of the
// command.
type place struct {
	index         uint64
	command, part uint32
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.index, o.index), cmp.Compare(p.command, o.command), cmp.Compare(p.part, o.part))
}

// placeOf returns the place behind all changes of what was carried out.
func placeOf(at cursor) place { return place{at.Index, at.Done, 0} }

const (
	// feedKeeps is how many changes are remembered, and feedBytes how many bytes
	// of text they may have.
	feedKeeps = 16 << 10
	feedBytes = 8 << 20
	// feedLooks is how many changes a reader looks at without giving others a
	// chance.
	feedLooks = 1 << 10
)

// feed is the latest changes, in their order. Nobody who reads is waited for:
// each comes with the place where he is, and who was away for too long hears
// that what he missed is not known any more.
type feed struct {
	mu     sync.Mutex
	kept   []shown       // a ring of up to feedKeeps; guarded by mu
	first  int           // where the oldest is, once the ring is full; guarded by mu
	gone   int           // how many of the oldest were dropped before their time; guarded by mu
	bytes  int           // of the texts of what is kept; guarded by mu
	from   place         // all that has changed since is kept; guarded by mu
	to     place         // how far the state is; guarded by mu
	more   chan struct{} // closed when there is more, or nil if nobody waits; guarded by mu
	closed bool          // guarded by mu
}

// shown is a change at its place.
type shown struct {
	place
	job.Change
	// inLot is one more than the number of the run within the lot that Run names,
	// or zero if Run is the run's own ID, which is made when somebody reads.
	inLot int
}

// told returns the change as who reads it is told.
func (s shown) told() shown {
	if s.inLot > 0 {
		s.Run, s.inLot = job.InLot(s.Run, s.inLot-1), 0
	}
	return s
}

func (s *shown) size() int {
	return len(s.Namespace) + len(s.Job) + len(s.Run) + len(s.Operation) + len(s.State) + len(s.Reason)
}

// begin forgets everything: how the state got to where it is was not shown.
func (f *feed) begin(at place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.first, f.gone, f.bytes, f.from, f.to = nil, 0, 0, 0, at, at
	f.wakeLocked()
}

// add takes in what has changed until the state was at a place.
func (f *feed) add(news []shown, to place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range news {
		f.keepLocked(news[i])
	}
	f.to = to
	if len(news) > 0 {
		f.wakeLocked()
	}
}

func (f *feed) keepLocked(t shown) {
	f.bytes += t.size()
	if len(f.kept) < feedKeeps {
		f.kept = append(f.kept, t)
	} else {
		if f.gone == 0 {
			f.dropLocked()
		}
		f.gone--
		f.kept[f.first] = t
		f.first = (f.first + 1) % feedKeeps
	}
	for f.bytes > feedBytes {
		f.dropLocked()
	}
}

// dropLocked forgets the oldest, whose room is taken by another later.
func (f *feed) dropLocked() {
	t := f.atLocked(0)
	f.from = t.place
	f.bytes -= t.size()
	*t = shown{}
	f.gone++
}

// lenLocked returns how many changes are kept.
func (f *feed) lenLocked() int { return len(f.kept) - f.gone }

// atLocked returns the change that is so many behind the oldest that is kept.
func (f *feed) atLocked(i int) *shown { return &f.kept[(f.first+f.gone+i)%len(f.kept)] }

func (f *feed) wakeLocked() {
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// now returns how far the state is.
func (f *feed) now() place {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.to
}

// look returns up to limit of the changes that match, of the next behind a
// place, and how far that was. If nothing is behind it yet more is closed once
// there is; it is nil if there may be more already. Known is false if the place
// is from before all that is kept.
func (f *feed) look(q *job.ChangeQuery, after place, limit int) (found []shown, to place, more <-chan struct{}, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if after.compare(f.from) < 0 {
		return nil, f.to, nil, false
	}
	n := f.lenLocked()
	i := f.searchLocked(after)
	to = after
	for end := min(n, i+feedLooks); i < end && len(found) < limit; i++ {
		t := f.atLocked(i)
		if to = t.place; q.Matches(&t.Change) {
			found = append(found, t.told())
		}
	}
	if i < n {
		return found, to, nil, true
	}
	if to.compare(f.to) < 0 {
		to = f.to
	}
	if f.more == nil {
		f.more = make(chan struct{})
		if f.closed {
			close(f.more)
		}
	}
	return found, to, f.more, true
}

// searchLocked returns how many of the changes that are kept are not behind a
// place.
func (f *feed) searchLocked(after place) int {
	lo, hi := 0, f.lenLocked()
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); f.atLocked(mid).place.compare(after) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wakeLocked()
}
