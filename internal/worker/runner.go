package worker

import (
	"context"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
)

// hireLocked counts up to n runners more, as far as there are slots and any
// work, and returns how many hire is to start.
func (w *Worker) hireLocked(n int) int {
	if w.ready.empty() {
		return 0
	}
	n = max(min(n, w.cfg.Slots-w.runners), 0)
	w.runners += n
	return n
}

// hire starts n runners on the pool. If the pool is full, that is of a runner
// that has given back its slot and is not quite gone; then a goroutine of our
// own does as well, because waiting here could be for ever.
func (w *Worker) hire(n int) {
	for range n {
		if err := w.pool.Submit(w.run); err != nil {
			go w.run()
		}
	}
}

// runner makes one attempt after another until there is nothing to do.
func (w *Worker) runner() {
	var a *attempt
	defer func() {
		if a != nil { // the processor has ended this goroutine by runtime.Goexit
			w.died(a)
		}
	}()
	for now := time.Now(); ; {
		if a = w.turn(a, now); a == nil {
			return
		}
		a.execute()
		now = time.Now()
		a.outcome.Took = now.Sub(a.began)
	}
}

// turn takes in the outcome of the runner's last attempt, if it had one, and
// returns the next. Nil means that the runner's work is over.
func (w *Worker) turn(last *attempt, now time.Time) *attempt {
	next := newAttempt(w)
	w.mu.Lock()
	drop, report := false, (*Report)(nil)
	if last != nil {
		if last.abandoned {
			w.mu.Unlock()
			w.returned(last)
			return nil // its slot has gone to another runner
		}
		drop, report = w.settleLocked(last)
	}
	if !w.startLocked(next, now) {
		next = nil
		w.runners--
		w.quietLocked()
	}
	w.mu.Unlock()
	if last != nil {
		w.settled(last, drop, report)
	}
	return next
}

// died takes in the outcome of an attempt whose goroutine is about to end, and
// sees to it that another runner gets its slot.
func (w *Worker) died(a *attempt) {
	a.outcome.Took = time.Since(a.began)
	w.mu.Lock()
	if a.abandoned {
		w.mu.Unlock()
		w.returned(a)
		return
	}
	drop, report := w.settleLocked(a)
	w.runners--
	hire := w.hireLocked(1)
	w.quietLocked()
	w.mu.Unlock()
	w.settled(a, drop, report)
	w.hire(hire)
}

// settleLocked takes in how a ended. It returns whether it was the last of a run
// that is forgotten, and what is to be reported now.
func (w *Worker) settleLocked(a *attempt) (drop bool, report *Report) {
	r := a.run
	w.leaveLocked(a)
	if a.grace != nil {
		a.grace.Stop()
	}
	w.total.add(a)
	r.total.add(a)
	r.pace = paced(r.pace, a.outcome.Took)
	w.pace = paced(w.pace, a.outcome.Took)
	r.ended(a.outcome)
	return w.lastLocked(r), w.reportLocked(r)
}

// settled does what follows an outcome and needs no lock.
func (w *Worker) settled(a *attempt, drop bool, report *Report) {
	if drop {
		w.pairs.Drop(a.run.id)
	}
	if c := a.batch.processor.count; c != nil {
		c.Ended(context.Background(), a.ending, a.outcome.Took)
	}
	w.handOn(report)
}

// paced takes into a pace how long an attempt took.
func paced(pace, took time.Duration) time.Duration {
	took = max(took, 1)
	if pace == 0 {
		return took
	}
	// A moving average over about the last sixteen. It never gets to zero.
	return pace + (took-pace)/16
}

// add counts how a ended.
func (t *Totals) add(a *attempt) {
	switch {
	case a.outcome.Failure == nil:
		t.Done++
	case a.ending == telemetry.Failed && a.panicked:
		t.Panics++
		t.Failed++
	default:
		t.Failed++
	}
}
