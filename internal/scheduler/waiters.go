package scheduler

import (
	"slices"
	"time"
)

// Waiters remembers of runs that were asked and have to wait what they wait
// for, so that when something ends those are asked again that may have waited
// for that, and not all. What it can't keep it asks again in any case. It is
// not safe for use by several goroutines at once.
type Waiters struct {
	by    map[Among]map[Place]bool // places that wait for runs to end
	until map[Place]time.Time      // those that wait for a time
	again map[Place]bool           // those to be asked again
	all   bool                     // or all
	kept  int
}

// maxWaiters bounds how many places are kept.
const maxWaiters = 100_000

// NewWaiters returns a Waiters that has all asked at first.
func NewWaiters() *Waiters { return &Waiters{all: true} }

// Wait keeps that the run at a place has to wait, with all that wait for the
// same.
func (w *Waiters) Wait(p Place, wait Wait) {
	if p = wait.Blocks.of(p); wait.Blocks == BlocksAll || w.kept >= maxWaiters {
		w.all = true
		return
	}
	if !wait.Until.IsZero() {
		if w.until == nil {
			w.until = map[Place]time.Time{}
		}
		if _, known := w.until[p]; !known {
			w.kept++
		}
		w.until[p] = wait.Until
		return
	}
	if w.by == nil {
		w.by = map[Among]map[Place]bool{}
	}
	if w.by[wait.among] == nil {
		w.by[wait.among] = map[Place]bool{}
	}
	if !w.by[wait.among][p] {
		w.kept++
	}
	w.by[wait.among][p] = true
}

// of returns the beginning of the places that a run at p blocks.
func (b Breadth) of(p Place) Place {
	switch b {
	case BlocksKey:
		return p.line()
	case BlocksJob:
		return p.job()
	case BlocksNamespace:
		return Place{Priority: p.Priority, Namespace: p.Namespace}
	}
	return Place{}
}

// Came has those at a place asked: of a line, or of a job if no line is named.
func (w *Waiters) Came(p Place) {
	if len(w.again) >= maxWaiters {
		w.all = true
	}
	if w.again == nil {
		w.again = map[Place]bool{}
	}
	w.again[p.line()] = true
}

// Ended has those asked that wait for a run with a claim to end.
func (w *Waiters) Ended(c Claim) {
	for _, among := range c.among {
		for p := range w.by[among] {
			w.Came(p)
			w.kept--
		}
		delete(w.by, among)
	}
}

// All has all asked.
func (w *Waiters) All() { w.all = true }

// Take returns the places that are to be asked now, in order, or that all are.
func (w *Waiters) Take(now time.Time) (places []Place, all bool) {
	if w.all {
		*w = Waiters{}
		return nil, true
	}
	for p, until := range w.until { // no more than have to wait for a rate
		if !until.After(now) {
			delete(w.until, p)
			w.Came(p)
			w.kept--
		}
	}
	for p := range w.again {
		places = append(places, p)
	}
	w.again = nil
	slices.SortFunc(places, Place.Compare)
	n := 0
	for _, p := range places {
		if n == 0 || p.Compare(places[n-1].behind()) >= 0 { // else it is within the one before
			places[n] = p
			n++
		}
	}
	return places[:n], false
}

// Next returns when the first time is over that somebody waits for, if anybody
// waits for one.
func (w *Waiters) Next() (first time.Time) {
	for _, until := range w.until {
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// Within is a backlog without those that are in none of some places, which are
// in order.
func Within(b Backlog, places []Place) Backlog { return within{b, places} }

type within struct {
	Backlog
	places []Place
}

// Line returns the first line at a place or behind it.
func (w within) Line(at Place) (Place, bool, error) {
	for {
		i, _ := slices.BinarySearchFunc(w.places, at, func(p, at Place) int {
			if p.behind().Compare(at) <= 0 {
				return -1
			}
			return 1
		})
		if i == len(w.places) {
			return Place{}, false, nil
		}
		if w.places[i].Compare(at) > 0 {
			at = w.places[i]
		}
		p, ok, err := w.Backlog.Line(at)
		if err != nil || !ok || p.Compare(w.places[i].behind()) < 0 {
			return p, ok, err
		}
		at = p
	}
}

// behind returns the end of the places that p is the beginning of.
func (p Place) behind() Place {
	switch {
	case p.Line != "":
		return behindLine(p)
	case p.Job != "":
		return behindJob(p)
	}
	return behindNamespace(p)
}
