// Package lifecycle starts the parts of a node in order and stops them in the
// reverse order, whether the node came up whole or failed half way.
//
// It knows nothing of what the parts are, restarts none and starts no
// goroutine. If a part fails to start, those before it are stopped by the same
// path that stops a whole node, so that there is only one to get right.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrStopped is why Up refuses a part, and the cause by which it interrupts
// one that is starting: the stack was stopped.
var ErrStopped = errors.New("lifecycle: stopped")

// rollbackTimeout bounds the stop of the parts that were up when another
// failed to start. The context of that start may be over by then.
const rollbackTimeout = 10 * time.Second

// Stack is the parts that are up, oldest first. The zero value is ready.
//
// One goroutine brings the parts up, one after the other. Stop may be called
// by any goroutine at any time, but not from inside a part's start or stop.
type Stack struct {
	starting sync.WaitGroup // the call of start under way

	mu    sync.Mutex
	parts []part                  // guarded by mu
	halt  context.CancelCauseFunc // interrupts the latest start; guarded by mu
	done  chan struct{}           // made by the first Stop, closed at its end; guarded by mu
	err   error                   // what that Stop returned; written before done is closed
}

// A part is a name and how to stop what it names.
type part struct {
	name string
	stop func(context.Context) error
}

// Up starts a part and records how to stop it. If start fails, its own stop is
// not called, all that is up is stopped, and the error tells of both. Once the
// stack has been stopped, Up refuses with ErrStopped.
//
// The context that start gets is for the start alone: it ends when start
// returns, and it is cancelled with the cause ErrStopped if Stop is called
// before. A nil start or stop does nothing.
func (s *Stack) Up(ctx context.Context, name string, start, stop func(context.Context) error) error {
	err := s.up(ctx, part{name, stop}, start)
	if err == nil {
		return nil
	}
	rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	return errors.Join(fmt.Errorf("start %s: %w", name, err), s.Stop(rollback))
}

func (s *Stack) up(ctx context.Context, p part, start func(context.Context) error) error {
	ctx, halt := context.WithCancelCause(ctx)
	defer halt(nil)

	s.mu.Lock()
	if s.done != nil {
		s.mu.Unlock()
		return ErrStopped
	}
	s.starting.Add(1)
	s.halt = halt
	s.mu.Unlock()
	defer s.starting.Done()

	if start != nil {
		if err := start(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, p)
	if s.done != nil { // Stop waits for us, and will find the part
		return ErrStopped
	}
	return nil
}

// Stop stops every part, newest first, each when the one above it is done, and
// joins their errors with the parts' names. A start that is under way is
// interrupted and waited for. Every part is asked to stop, even after ctx is
// over: what a part does then is its own matter.
//
// Only the first call stops anything. Others, before or after its end, wait
// for that end or for their own ctx, and return the same error.
func (s *Stack) Stop(ctx context.Context) error {
	s.mu.Lock()
	if done := s.done; done != nil {
		s.mu.Unlock()
		select {
		case <-done:
			return s.err
		case <-ctx.Done():
			return fmt.Errorf("lifecycle: stop is still under way: %w", context.Cause(ctx))
		}
	}
	s.done = make(chan struct{})
	defer close(s.done)
	if s.halt != nil {
		s.halt(ErrStopped)
	}
	s.mu.Unlock()

	s.starting.Wait()
	s.mu.Lock()
	parts := s.parts
	s.parts = nil
	s.mu.Unlock()

	var errs []error
	for _, p := range slices.Backward(parts) {
		if p.stop == nil {
			continue
		}
		if err := p.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	s.err = errors.Join(errs...)
	return s.err
}
