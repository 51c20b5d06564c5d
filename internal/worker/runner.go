package worker

import (
	"context"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
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
	drop := false
	if last != nil {
		if last.abandoned {
			w.mu.Unlock()
			w.returned(last)
			return nil // its slot has gone to another runner
		}
		drop = w.settleLocked(last)
	}
	if !w.startLocked(next, now) {
		next = nil
		w.runners--
		w.quietLocked()
	}
	w.mu.Unlock()
	if last != nil {
		w.settled(last, drop)
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
	drop := w.settleLocked(a)
	w.runners--
	hire := w.hireLocked(1)
	w.quietLocked()
	w.mu.Unlock()
	w.settled(a, drop)
	w.hire(hire)
}

// settleLocked takes in how a ended. It reports whether it was the last of a
// run that is forgotten.
func (w *Worker) settleLocked(a *attempt) (drop bool) {
	r := a.run
	w.leaveLocked(a)
	if a.grace != nil {
		a.grace.Stop()
	}
	w.total.add(a)
	r.total.add(a)
	r.pace = paced(r.pace, a.outcome.Took)
	w.pace = paced(w.pace, a.outcome.Took)
	w.outcomeLocked(r, a.outcome)
	return w.lastLocked(r)
}

// settled does what follows an outcome and needs no lock.
func (w *Worker) settled(a *attempt, drop bool) {
	if drop {
		w.pairs.Drop(a.run.id)
	}
	if c := a.batch.processor.count; c != nil {
		c.Ended(context.Background(), a.ending, a.outcome.Took)
	}
}

// outcomeLocked puts o among what r has to report.
func (w *Worker) outcomeLocked(r *run, o job.Outcome) {
	if r.over {
		return
	}
	if r.unreported == nil { // with room for what is likely to come before the next report
		r.unreported = make([]job.Outcome, 0, max(r.sizes, min(1+r.queued+len(r.active), 16)))
	}
	r.unreported = append(r.unreported, o)
	r.backlog += int64(len(o.Result))
	if !r.reporting {
		r.reporting = true
		w.errands++
		go w.report(r)
	}
}

// What one report may hold. The next waits until it is durable, so a run gets no
// more done here than that in the time of a sync.
const (
	maxOutcomes    = 4096
	maxReportBytes = 512 << 10
)

// report hands the outcomes of r to the host, all that have accumulated each
// time, until there are none.
func (w *Worker) report(r *run) {
	var sent []job.Outcome
	for {
		w.mu.Lock()
		for i := range sent {
			r.taken.remove(sent[i].Task, sent[i].Attempt)
		}
		sent = r.nextReport()
		w.ready.push(r) // which a backlog may have kept out
		hire := w.hireLocked(r.startable())
		if sent == nil {
			r.reporting = false
			w.errands--
			w.quietLocked()
		}
		w.mu.Unlock()
		w.hire(hire)
		if sent == nil {
			return
		}
		w.host.Report(r.id, r.epoch, sent)
	}
}

// nextReport takes off the outcomes that the next report will hold.
func (r *run) nextReport() []job.Outcome {
	n, bytes := 0, int64(0)
	for n < min(len(r.unreported), maxOutcomes) {
		size := int64(len(r.unreported[n].Result))
		if f := r.unreported[n].Failure; f != nil {
			size += int64(len(f.Reason))
		}
		if n > 0 && bytes+size > maxReportBytes {
			break
		}
		bytes += size
		r.backlog -= int64(len(r.unreported[n].Result))
		n++
	}
	if n == 0 {
		return nil
	}
	sent := r.unreported[:n:n]
	if r.unreported = r.unreported[n:]; len(r.unreported) == 0 {
		r.unreported = nil
	}
	r.sizes = n
	return sent
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
