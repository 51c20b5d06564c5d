package verdict

import (
	"slices"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/pkg/job"
)

// Recovery is how long the slowest recovery of each sort took. Zero means that
// there was none.
type Recovery struct {
	// Worker is from the loss of a worker until the last of the tasks that it
	// executed was executing elsewhere, or over.
	Worker time.Duration
	// Master is from the loss of a master until its run had more tasks done
	// than were seen before or, where output that was lost as well has to be
	// made again first, than when the next master began.
	Master time.Duration
	// Leader is from the loss of the leader until the next write was accepted
	// that began after it.
	Leader time.Duration
}

// Recoveries says how long each recovery took, by the index of the fault.
// Where the evidence ends before something had recovered, what it took up to
// then counts.
func Recoveries(e Evidence) map[int]Recovery {
	ends, keyed := map[string]time.Time{}, map[job.RunID]bool{}
	for i := range e.Runs {
		if f := e.Runs[i].Final; f != nil && f.State.Done() {
			ends[string(f.ID)] = f.Finished
		}
		keyed[e.Runs[i].ID] = e.Runs[i].Keyed
	}
	all := map[int]Recovery{}
	for i := range e.Faults {
		f := &e.Faults[i]
		if !f.Gone && !f.Peace {
			continue
		}
		r := Recovery{}
		if f.Gone { // else what it executed came to its end
			r.Worker = workerRecovery(&e, f, ends)
		}
		for run, epoch := range f.Masters {
			r.Master = max(r.Master, masterRecovery(&e, f, run, epoch, ends, keyed[run]))
		}
		if f.Leader {
			r.Leader = leaderRecovery(&e, f)
		}
		if r != (Recovery{}) {
			all[i] = r
		}
	}
	return all
}

// Slowest returns the longest of each sort.
func Slowest(all map[int]Recovery) (s Recovery) {
	for _, r := range all {
		s.Worker, s.Master, s.Leader = max(s.Worker, r.Worker), max(s.Master, r.Master), max(s.Leader, r.Leader)
	}
	return s
}

func workerRecovery(e *Evidence, f *Fault, ends map[string]time.Time) (slowest time.Duration) {
	type task struct{ run, id string }
	open := map[task]time.Time{} // what was executing on the nodes, and its end there
	for _, x := range e.Executions {
		if f.on(x.Node) && x.Began.Before(f.Began) && (x.Ended.IsZero() && !endedBefore(e, f, x) || x.Ended.After(f.Began)) {
			open[task{x.Run, x.Task}] = x.Ended
		}
	}
	for _, x := range e.Executions {
		t := task{x.Run, x.Task}
		own, ok := open[t]
		if !ok {
			continue
		}
		switch {
		case x.Began.After(f.Began):
			// Wherever it is: a node that came back may get its task again.
			slowest = max(slowest, earliest(x.Began, own, ends[x.Run]).Sub(f.Began))
			delete(open, t)
		case !f.on(x.Node) && (x.Ended.IsZero() || x.Ended.After(f.Began) || x.Done()):
			delete(open, t) // another attempt at it was under way already, or done
		}
	}
	for t, own := range open { // nobody began it again
		if end := earliest(own, ends[t.run]); !end.IsZero() {
			slowest = max(slowest, end.Sub(f.Began))
		}
	}
	return slowest
}

// endedBefore reports whether the process that made an attempt was lost in a
// fault before f, and not in f.
func endedBefore(e *Evidence, f *Fault, x ledger.Execution) bool {
	return slices.ContainsFunc(e.Faults, func(o Fault) bool {
		return o.on(x.Node) && o.Began.After(x.Began) && o.Began.Before(f.Began)
	})
}

func masterRecovery(e *Evidence, f *Fault, run job.RunID, epoch uint64, ends map[string]time.Time, keyed bool) time.Duration {
	before, last, next := 0, f.Began, false
	for _, s := range e.Progress {
		if s.Run != run {
			continue
		}
		if s.At.Before(f.Began) {
			before = max(before, s.Done)
			continue
		}
		last = s.At
		if keyed && s.Epoch > epoch && (!next || s.Done < before) {
			before, next = s.Done, true
		}
		if s.Over || s.Epoch >= epoch && s.Done > before {
			return earliest(s.At, ends[string(run)]).Sub(f.Began)
		}
	}
	if end := ends[string(run)]; end.After(f.Began) {
		last = end
	}
	return max(last.Sub(f.Began), 0)
}

func leaderRecovery(e *Evidence, f *Fault) time.Duration {
	first, last := time.Time{}, f.Began
	for _, w := range e.Writes {
		if w.Cut || w.Began.Before(f.Began) {
			continue
		}
		if w.Ended.After(last) {
			last = w.Ended
		}
		if w.Err == "" && (first.IsZero() || w.Ended.Before(first)) {
			first = w.Ended
		}
	}
	if first.IsZero() {
		first = last
	}
	return first.Sub(f.Began)
}

// earliest returns the first of the instants that are any.
func earliest(all ...time.Time) (first time.Time) {
	for _, t := range all {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
