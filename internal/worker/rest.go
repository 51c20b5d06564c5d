package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrResting is why a worker that rests gives tasks back.
var ErrResting = errors.New("worker: the node takes no more work")

// rest is a time in which a worker takes no tasks.
type rest struct {
	once  sync.Once
	quiet chan struct{} // closed when the worker had nothing to do any more
}

func (r *rest) settle() { r.once.Do(func() { close(r.quiet) }) }

// Rest makes the worker take no tasks until Resume, and gives back those that
// wait. It returns when the attempts that execute have come to their end and
// were reported, or when ctx ends; the worker rests on then.
func (w *Worker) Rest(ctx context.Context) error {
	var reports []*Report
	w.mu.Lock()
	if w.resting == nil {
		w.resting = &rest{quiet: make(chan struct{})}
		for _, r := range w.runs.All() {
			reports = append(reports, w.recallLocked(r, nil, ErrResting))
		}
		w.quietLocked()
	}
	r := w.resting
	w.mu.Unlock()
	w.handOn(reports...)
	select {
	case <-r.quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("worker: attempts still execute: %w", context.Cause(ctx))
	}
}

// Resume makes a worker that rests take tasks again.
func (w *Worker) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resting != nil {
		w.resting.settle()
		w.resting = nil
	}
}
