package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// Cancel calls off attempts at tasks of a run, or at all of its tasks if tasks
// is nil, for the given reason: with mapreduce.ErrCanceled, whatever the cause
// says beyond that. What waits comes back as refused, what executes is
// cancelled and has failed. An epoch older than the newest that was seen of the
// run changes nothing; a newer one fences what there is.
func (w *Worker) Cancel(id job.RunID, epoch uint64, tasks []job.TaskID, cause error) {
	if cause == nil {
		cause = mapreduce.ErrCanceled
	} else if !errors.Is(cause, mapreduce.ErrCanceled) {
		cause = fmt.Errorf("%w: %w", mapreduce.ErrCanceled, cause)
	}
	w.mu.Lock()
	r := w.runs.At(id)
	var stopped stopped
	var report *Report
	switch {
	case r == nil || epoch < r.epoch:
	case epoch > r.epoch:
		now := newRun(id, epoch, r.created)
		now.limit, now.pace, now.total = r.limit, r.pace, r.total
		w.runs.Put(id, now)
		cause = errReplaced
		stopped = w.endLocked(r, cause)
	default:
		report = w.recallLocked(r, tasks, cause)
		for _, a := range r.active {
			if tasks == nil || slices.Contains(tasks, a.what.ID) {
				stopped = w.stopLocked(stopped, a, cause)
			}
		}
	}
	w.mu.Unlock()
	stopped.now(cause)
	w.handOn(report)
}

// Fence calls off all attempts at tasks of all runs, because the node finds
// itself cut off and others may make them. The cause says why, and is made to
// wrap mapreduce.ErrFenced if it does not. What executed and what waited comes
// back as refused: if there is a master still to hear of it, the task is none
// the worse. New tasks are taken as ever: who can hand them over is not cut
// off.
func (w *Worker) Fence(cause error) {
	if cause == nil {
		cause = mapreduce.ErrFenced
	} else if !errors.Is(cause, mapreduce.ErrFenced) {
		cause = fmt.Errorf("%w: %w", mapreduce.ErrFenced, cause)
	}
	w.mu.Lock()
	var stopped stopped
	reports := make([]*Report, 0, w.runs.Len())
	for _, r := range w.runs.All() {
		reports = append(reports, w.recallLocked(r, nil, cause))
		for _, a := range r.active {
			stopped = w.stopLocked(stopped, a, cause)
		}
	}
	w.mu.Unlock()
	stopped.now(cause)
	w.handOn(reports...)
	if len(stopped) > 0 {
		w.log.Warn("attempts are fenced", slog.Int("attempts", len(stopped)), telemetry.Err(cause))
	}
}

// Forget drops what the worker knows of runs that are over, and the pairs that
// the node holds of them. Attempts that still execute are cancelled with
// mapreduce.ErrCanceled and not reported.
func (w *Worker) Forget(ids ...job.RunID) {
	w.mu.Lock()
	var stopped stopped
	for _, id := range ids {
		if r := w.runs.At(id); r != nil {
			w.runs.Delete(id)
			w.over.add(id, r.created)
			stopped = append(stopped, w.endLocked(r, mapreduce.ErrCanceled)...)
		}
	}
	w.mu.Unlock()
	stopped.now(mapreduce.ErrCanceled)
	if w.pairs != nil {
		// Attempts that have yet to return may leave more; the last of them
		// drops that.
		for _, id := range ids {
			w.pairs.Drop(id)
		}
	}
}

// endLocked gives up all of r, which nobody wants to hear of any more. A nil
// run is none.
func (w *Worker) endLocked(r *run, cause error) (s stopped) {
	if r == nil {
		return nil
	}
	r.over = true
	w.queued -= r.queued
	r.queue, r.queued = nil, 0
	r.unreported, r.backlog, r.taken = nil, 0, taken{}
	w.unsentLocked(r)
	w.busyLocked(r)
	for _, a := range r.active {
		s = w.stopLocked(s, a, cause)
	}
	w.quietLocked()
	return s
}

// recallLocked takes tasks that wait off the queue of r, or all if tasks is
// nil, as refused. It returns what is to be reported now.
func (w *Worker) recallLocked(r *run, tasks []job.TaskID, cause error) *Report {
	if r.queued == 0 {
		return nil
	}
	var want map[job.TaskID]struct{}
	if tasks != nil {
		want = make(map[job.TaskID]struct{}, len(tasks))
		for _, id := range tasks {
			want[id] = struct{}{}
		}
	}
	before := r.queued
	r.queued = 0
	r.queue = slices.DeleteFunc(r.queue, func(b *batch) bool {
		b.Tasks = slices.DeleteFunc(b.Tasks, func(t job.Task) bool {
			if _, ok := want[t.ID]; !ok && tasks != nil {
				return false
			}
			o := refusal(&t, cause.Error())
			excuse(o.Failure, cause)
			r.ended(o)
			return true
		})
		r.queued += len(b.Tasks)
		return len(b.Tasks) == 0
	})
	w.queued -= before - r.queued
	w.busyLocked(r)
	return w.reportLocked(r)
}

// stopped is attempts whose contexts are to be cancelled once mu is free.
type stopped []*attempt

func (s stopped) now(cause error) {
	for _, a := range s {
		a.stop(cause)
	}
}

// stopLocked gives a the time of grace to return, and adds it to s unless it
// has been stopped before.
func (w *Worker) stopLocked(s stopped, a *attempt, cause error) stopped {
	if a.at < 0 || a.grace != nil {
		return s
	}
	a.cause = cause
	a.grace = time.AfterFunc(w.cfg.Grace, func() { w.abandon(a) })
	return append(s, a)
}

// expired gives a, which has overrun its time, the time of grace.
func (w *Worker) expired(a *attempt, cause error) {
	w.mu.Lock()
	s := w.stopLocked(nil, a, cause)
	w.mu.Unlock()
	s.now(cause)
}

// stop cancels the attempt's context, and only then raises the flag that cuts
// off its pairs: what they amount to must not be taken for all.
func (a *attempt) stop(cause error) {
	a.life.cancel(cause)
	a.stopped.Store(true)
}

// abandon gives up waiting for an attempt that was cancelled, unless it has
// returned. Its slot goes to another runner.
func (w *Worker) abandon(a *attempt) {
	w.mu.Lock()
	if a.at < 0 {
		w.mu.Unlock()
		return
	}
	r := a.run
	took := time.Since(a.began)
	w.leaveLocked(a)
	a.abandoned = true
	w.strays[a] = struct{}{}
	r.strays++
	w.total.Failed++
	r.total.Failed++
	f := &job.Failure{Reason: fmt.Sprintf("%s; it did not return within %v and was abandoned: a processor should return when its context is done", a.cause, w.cfg.Grace)}
	excuse(f, a.cause)
	r.ended(job.Outcome{Task: a.what.ID, Attempt: a.what.Attempt, Took: took, Bytes: a.read.Load(), Failure: f})
	report := w.reportLocked(r)
	w.runners--
	w.pool.Tune(w.cfg.Slots + len(w.strays))
	hire := w.hireLocked(1)
	abandoned := len(w.strays)
	w.errands++ // this goroutine
	w.mu.Unlock()
	w.hire(hire)

	w.log.Warn("attempt abandoned: it did not return when it was cancelled", telemetry.Attempt(a.id()),
		telemetry.Processor(a.batch.processor.name), telemetry.Err(a.cause), slog.Duration("grace", w.cfg.Grace), slog.Int("abandoned", abandoned))
	w.cfg.Metrics.Abandoned(context.Background(), 1)
	a.batch.processor.count.Ended(context.Background(), ended(a.cause), took)
	a.files.discard()
	w.handOn(report)

	w.mu.Lock()
	w.errands--
	w.quietLocked()
	w.mu.Unlock()
}

// returned notes that the runner of an abandoned attempt is back at last.
func (w *Worker) returned(a *attempt) {
	w.mu.Lock()
	delete(w.strays, a)
	a.run.strays--
	w.pool.Tune(w.cfg.Slots + len(w.strays))
	drop := w.lastLocked(a.run)
	w.mu.Unlock()
	w.log.Info("abandoned attempt has returned", telemetry.Attempt(a.id()), telemetry.Took(time.Since(a.began)))
	w.cfg.Metrics.Abandoned(context.Background(), -1)
	if drop {
		w.pairs.Drop(a.run.id)
	}
}

// lastLocked reports whether r was forgotten and its last attempt has returned
// now, so that what they left of pairs can go.
func (w *Worker) lastLocked(r *run) bool {
	return w.pairs != nil && r.over && len(r.active) == 0 && r.strays == 0 && w.over.has(r.id, r.created)
}

// ended is how metrics count an attempt that was cancelled for cause.
func ended(cause error) telemetry.Outcome {
	if errors.Is(cause, context.DeadlineExceeded) {
		return telemetry.TimedOut
	}
	return telemetry.Canceled
}
