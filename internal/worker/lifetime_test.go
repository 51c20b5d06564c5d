package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestALifetimeIsLikeAnyContext whether or not somebody asks for more than
// whether it has ended, and whenever that is.
func TestALifetimeIsLikeAnyContext(t *testing.T) {
	why := errors.New("why")
	for _, test := range []struct {
		name  string
		cause error
		want  error
	}{
		{"ended", nil, context.Canceled},
		{"ended for a cause", why, why},
	} {
		t.Run(test.name, func(t *testing.T) {
			var unasked, asked lifetime
			if asked.Err() != nil || context.Cause(&asked) != nil {
				t.Fatal("it has ended before it was cancelled")
			}
			child, cancel := context.WithCancel(&asked)
			defer cancel()
			after := make(chan struct{})
			context.AfterFunc(&asked, func() { close(after) })
			for _, l := range []*lifetime{&unasked, &asked} {
				l.cancel(test.cause)
				l.cancel(errors.New("too late"))
				<-l.Done()
				if got := l.Err(); !errors.Is(got, context.Canceled) {
					t.Errorf("got %v, want %v", got, context.Canceled)
				}
				if got := context.Cause(l); !errors.Is(got, test.want) {
					t.Errorf("got the cause %v, want %v", got, test.want)
				}
			}
			<-after
			<-child.Done()
			if got := context.Cause(child); !errors.Is(got, test.want) {
				t.Errorf("got the cause %v of what follows from it, want %v", got, test.want)
			}
			late, cancel := context.WithCancel(&unasked)
			defer cancel()
			if <-late.Done(); !errors.Is(context.Cause(late), test.want) {
				t.Errorf("got the cause %v of what followed later, want %v", context.Cause(late), test.want)
			}
		})
	}
}

// TestALifetimeThatEndsWhileItIsAsked says that it has ended to all who ask.
func TestALifetimeThatEndsWhileItIsAsked(t *testing.T) {
	var l lifetime
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			<-l.Done()
			if l.Err() == nil {
				t.Error("it is done and has no error")
			}
		})
	}
	asking.Go(func() { l.cancel(nil) })
	asking.Wait()
}

func TestALifetimeThatNobodyAsksTakesNothing(t *testing.T) {
	got := testing.AllocsPerRun(100, func() {
		l := new(lifetime)
		ctx := context.Context(l)
		if ctx.Err() != nil {
			t.Error("it has ended")
		}
		l.cancel(nil)
		if ctx.Err() == nil {
			t.Error("it goes on")
		}
	})
	if got > 1 { // itself
		t.Errorf("it takes %v allocations, want at most 1", got)
	}
}
