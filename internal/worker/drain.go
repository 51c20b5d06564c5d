package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// drained is how a Drain ended, for those that come after it.
type drained struct {
	once sync.Once
	err  error
}

// Drain stops the worker. It takes no new work and gives back what waits; what
// executes may finish until ctx ends. Then the rest is cancelled with
// mapreduce.ErrStopping, and what has not returned within the time of grace is
// abandoned. When Drain returns without an error, all outcomes were reported
// and no goroutine of the worker is left; otherwise the error tells what is. A
// second Drain waits for the first.
func (w *Worker) Drain(ctx context.Context) error {
	w.drained.once.Do(func() { w.drained.err = w.drain(ctx) })
	return w.drained.err
}

func (w *Worker) drain(ctx context.Context) error {
	w.mu.Lock()
	w.stopping = true
	reports := make([]*Report, 0, w.runs.Len())
	for _, r := range w.runs.All() {
		reports = append(reports, w.recallLocked(r, nil, mapreduce.ErrStopping))
	}
	w.quietLocked()
	w.mu.Unlock()
	w.handOn(reports...)

	select {
	case <-w.quiet:
	case <-ctx.Done():
		w.stopAll()
		w.wait()
	}
	return w.release()
}

// stopAll cancels all that executes.
func (w *Worker) stopAll() {
	w.mu.Lock()
	var s stopped
	for _, r := range w.runs.All() {
		for _, a := range r.active {
			s = w.stopLocked(s, a, mapreduce.ErrStopping)
		}
	}
	w.mu.Unlock()
	s.now(mapreduce.ErrStopping)
}

// wait waits until what was cancelled has returned and been reported, or was
// abandoned. A host that never answers is not waited for much longer.
func (w *Worker) wait() {
	t := time.NewTimer(w.cfg.Grace + time.Second)
	defer t.Stop()
	select {
	case <-w.quiet:
	case <-t.C:
	}
}

// release frees the pool and tells what is left.
func (w *Worker) release() error {
	w.mu.Lock()
	strays, unreported := len(w.strays), 0
	for _, r := range w.runs.All() {
		unreported += r.taken.n
	}
	w.mu.Unlock()
	switch {
	case strays > 0:
		w.pool.Release()
	default:
		// The pool's goroutines are on their way out, or about to be: a few
		// milliseconds at most.
		_ = w.pool.ReleaseTimeout(time.Second)
	}
	if strays > 0 || unreported > 0 {
		return fmt.Errorf("worker: stopped with %d attempts abandoned and %d outcomes not accepted", strays, unreported)
	}
	return nil
}

// quietLocked tells Drain and Rest if they have nothing to wait for.
func (w *Worker) quietLocked() {
	if w.runners > 0 || w.errands > 0 {
		return
	}
	if w.resting != nil {
		w.resting.settle()
	}
	if !w.stopping {
		return
	}
	select {
	case <-w.quiet:
	default:
		close(w.quiet)
	}
}
