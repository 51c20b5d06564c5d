// Package roll keeps something for each of many runs.
//
// Runs that are submitted together come as lots of a thousand, whose IDs differ
// in a number. Of those a roll looks for the lot, which is mostly that of the run
// before, and finds the run by its number: who keeps a hundred thousand runs in a
// map spends much of his time on looking through it. Other runs it keeps as a map
// does, and nobody needs to know which is which.
package roll

import (
	"iter"

	"github.com/musterhq/muster/pkg/job"
)

// Of is what is kept of runs, by their IDs. The zero value is empty. It is not safe
// for use by several goroutines at once, not even to look something up.
type Of[T any] struct {
	alone  map[job.RunID]T
	lots   map[job.RunID]*lot[T]
	inLots int     // runs
	last   *lot[T] // the lot that was found last, if it is still there
}

// lot is what is kept of the runs of one lot, in pages of neighbours. A page that
// has none is not there.
type lot[T any] struct {
	id    job.RunID
	runs  int
	pages [job.MaxLot / pageRuns]*page[T]
}

// pageRuns is how many runs share a page: as many as a word has bits. The only one
// that is kept of a lot takes the room of so many.
const pageRuns = 64

type page[T any] struct {
	has  uint64 // a bit for each run that is kept
	kept [pageRuns]T
}

// Len returns of how many runs something is kept.
func (o *Of[T]) Len() int { return len(o.alone) + o.inLots }

// Get returns what is kept of a run, or false if that is nothing.
func (o *Of[T]) Get(id job.RunID) (kept T, ok bool) {
	in, i, ok := job.LotOf(id)
	if !ok {
		kept, ok = o.alone[id]
		return kept, ok
	}
	l := o.find(in)
	if l == nil {
		return kept, false
	}
	p, bit := l.pages[i/pageRuns], uint64(1)<<(i%pageRuns)
	if p == nil || p.has&bit == 0 {
		return kept, false
	}
	return p.kept[i%pageRuns], true
}

// At is Get for who takes the zero value for nothing.
func (o *Of[T]) At(id job.RunID) T {
	kept, _ := o.Get(id)
	return kept
}

// Put keeps something of a run, in place of what was kept of it.
func (o *Of[T]) Put(id job.RunID, kept T) {
	in, i, ok := job.LotOf(id)
	if !ok {
		if o.alone == nil {
			o.alone = map[job.RunID]T{}
		}
		o.alone[id] = kept
		return
	}
	l := o.find(in)
	if l == nil {
		if o.lots == nil {
			o.lots = map[job.RunID]*lot[T]{}
		}
		l = &lot[T]{id: in}
		o.lots[in], o.last = l, l
	}
	p, bit := l.pages[i/pageRuns], uint64(1)<<(i%pageRuns)
	if p == nil {
		p = new(page[T])
		l.pages[i/pageRuns] = p
	}
	if p.has&bit == 0 {
		p.has |= bit
		l.runs++
		o.inLots++
	}
	p.kept[i%pageRuns] = kept
}

// Delete keeps nothing of a run any more.
func (o *Of[T]) Delete(id job.RunID) {
	in, i, ok := job.LotOf(id)
	if !ok {
		delete(o.alone, id)
		return
	}
	l := o.find(in)
	if l == nil {
		return
	}
	p, bit := l.pages[i/pageRuns], uint64(1)<<(i%pageRuns)
	if p == nil || p.has&bit == 0 {
		return
	}
	var nothing T
	p.kept[i%pageRuns] = nothing
	p.has &^= bit
	l.runs--
	o.inLots--
	if p.has == 0 {
		l.pages[i/pageRuns] = nil
	}
	if l.runs == 0 {
		delete(o.lots, in)
		o.last = nil
	}
}

// All yields all that is kept, in no order. Whoever ranges over it may put and
// delete meanwhile, as with a map.
func (o *Of[T]) All() iter.Seq2[job.RunID, T] {
	return func(yield func(job.RunID, T) bool) {
		for id, kept := range o.alone {
			if !yield(id, kept) {
				return
			}
		}
		for _, l := range o.lots {
			if !l.each(yield) {
				return
			}
		}
	}
}

func (l *lot[T]) each(yield func(job.RunID, T) bool) bool {
	for n := range l.pages {
		p := l.pages[n]
		for i := 0; p != nil && i < pageRuns; i++ {
			if p.has>>i&1 == 1 && !yield(job.InLot(l.id, n*pageRuns+i), p.kept[i]) {
				return false
			}
		}
	}
	return true
}

// find returns the lot of an ID, or nil. Who asks for the runs of a lot one after
// another finds it at hand.
func (o *Of[T]) find(id job.RunID) *lot[T] {
	if l := o.last; l != nil && l.id == id {
		return l
	}
	l := o.lots[id]
	if l != nil {
		o.last = l
	}
	return l
}
