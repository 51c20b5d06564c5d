package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lifetime is the context of an attempt, which nothing above it ends. Most code
// is over before it asks for more than whether it was cancelled, so that the
// context that can say more is made when it is asked for. The zero value is one
// that goes on.
type lifetime struct {
	over atomic.Bool // it has ended, or is about to

	mu   sync.Mutex
	real context.Context         // guarded by mu: nil until somebody asks
	end  context.CancelCauseFunc // guarded by mu: of real
}

// endedUnasked is what lifetimes are that came to their end before anybody asked.
var endedUnasked = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// cancel ends it for a cause, or for context.Canceled if that is nil. If it has
// ended nothing changes.
func (l *lifetime) cancel(cause error) {
	l.mu.Lock()
	if cause != nil {
		l.askedLocked()
	}
	l.over.Store(true)
	end := l.end
	l.mu.Unlock()
	if end != nil {
		end(cause)
	}
}

// asked returns the context that can say more.
func (l *lifetime) asked() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.askedLocked()
}

func (l *lifetime) askedLocked() context.Context {
	switch {
	case l.real != nil:
		return l.real
	case l.over.Load():
		return endedUnasked
	}
	l.real, l.end = context.WithCancelCause(context.Background())
	return l.real
}

// Deadline says that there is none.
func (l *lifetime) Deadline() (at time.Time, ok bool) { return at, false }

// Done returns what is closed at its end.
func (l *lifetime) Done() <-chan struct{} { return l.asked().Done() }

// Err returns nil until it has ended, without a look at more than that.
func (l *lifetime) Err() error {
	if !l.over.Load() {
		return nil
	}
	return l.asked().Err()
}

// Value has nothing of its own but what package context looks for, to find out
// about causes and to end what follows from it.
func (l *lifetime) Value(key any) any { return l.asked().Value(key) }
