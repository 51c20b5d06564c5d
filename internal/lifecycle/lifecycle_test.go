package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// diary writes down what is started and stopped, in order.
type diary []string

func (d *diary) start(name string, err error) func(context.Context) error {
	return func(context.Context) error {
		*d = append(*d, "start "+name)
		return err
	}
}

func (d *diary) stop(name string, err error) func(context.Context) error {
	return func(context.Context) error {
		*d = append(*d, "stop "+name)
		return err
	}
}

func (d *diary) wants(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*d, want) {
		t.Errorf("got %q, want %q", *d, want)
	}
}

func TestPartsStopInTheReverseOrder(t *testing.T) {
	var d diary
	var s Stack
	for _, name := range []string{"store", "transport", "worker"} {
		if err := s.Up(t.Context(), name, d.start(name, nil), d.stop(name, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	d.wants(t, "start store", "start transport", "start worker", "stop worker", "stop transport", "stop store")
}

func TestAFailedStartStopsWhatWasUp(t *testing.T) {
	var d diary
	var s Stack
	busy, stuck := errors.New("port in use"), errors.New("stuck")
	if err := s.Up(t.Context(), "store", d.start("store", nil), d.stop("store", stuck)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stopCtx error
	if err := s.Up(ctx, "log", nil, func(ctx context.Context) error { stopCtx = ctx.Err(); return nil }); err != nil {
		t.Fatal(err)
	}
	cancel() // a start that timed out must not rob the stops of their time

	err := s.Up(ctx, "transport", d.start("transport", busy), d.stop("transport", nil))
	if !errors.Is(err, busy) || !errors.Is(err, stuck) {
		t.Errorf("got %v, want the failure and what went wrong after it", err)
	}
	if want := "start transport: port in use\nstop store: stuck"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if stopCtx != nil {
		t.Errorf("the context of a stop was over: %v", stopCtx)
	}
	d.wants(t, "start store", "start transport", "stop store")

	if err := s.Up(t.Context(), "worker", d.start("worker", nil), nil); !errors.Is(err, ErrStopped) {
		t.Errorf("Up after the failure: got %v, want ErrStopped", err)
	}
	d.wants(t, "start store", "start transport", "stop store")
}

func TestEveryPartIsStoppedWhateverOthersSay(t *testing.T) {
	var d diary
	var s Stack
	for _, name := range []string{"a", "b", "c"} {
		if err := s.Up(t.Context(), name, nil, d.stop(name, errors.New(name+" is on fire"))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Stop(ctx)
	if want := "stop c: c is on fire\nstop b: b is on fire\nstop a: a is on fire"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	d.wants(t, "stop c", "stop b", "stop a")
}

func TestASecondStopDoesNothingAndSaysTheSame(t *testing.T) {
	var d diary
	var s Stack
	if err := s.Up(t.Context(), "a", nil, d.stop("a", errors.New("late"))); err != nil {
		t.Fatal(err)
	}
	first, second := s.Stop(t.Context()), s.Stop(t.Context())
	if first == nil || first.Error() != second.Error() {
		t.Errorf("got %v, then %v, want the same", first, second)
	}
	d.wants(t, "stop a")
}

func TestStopOfNothingIsFine(t *testing.T) {
	var s Stack
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAStopMeanwhileWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stack
		began, goOn := make(chan struct{}), make(chan struct{})
		stops := 0
		if err := s.Up(t.Context(), "slow", nil, func(context.Context) error {
			stops++
			close(began)
			<-goOn
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 3)
		go func() { results <- s.Stop(t.Context()) }()
		<-began
		for range 2 {
			go func() { results <- s.Stop(t.Context()) }()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Error("a Stop returned while a part was stopping")
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Stop(hasty); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Stop whose time is up: got %v, want its deadline", err)
		}
		close(goOn)
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if stops != 1 {
			t.Errorf("the part was stopped %d times, want once", stops)
		}
	})
}

func TestStopInterruptsAStartAndLeavesNothingUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		heeds bool // whether the start fails when it is interrupted
		want  []string
	}{
		{"start that heeds", true, []string{"stop store"}},
		{"start that succeeds all the same", false, []string{"stop raft", "stop store"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				var s Stack
				if err := s.Up(t.Context(), "store", nil, d.stop("store", nil)); err != nil {
					t.Fatal(err)
				}
				up := make(chan error)
				go func() {
					up <- s.Up(t.Context(), "raft", func(ctx context.Context) error {
						<-ctx.Done()
						if c.heeds {
							return context.Cause(ctx)
						}
						return nil
					}, d.stop("raft", nil))
				}()
				synctest.Wait()
				if err := s.Stop(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-up; !errors.Is(err, ErrStopped) || !strings.HasPrefix(err.Error(), "start raft: ") {
					t.Errorf("Up: got %v, want ErrStopped of raft", err)
				}
				d.wants(t, c.want...)
			})
		})
	}
}

func TestTheStartsContextEndsWithIt(t *testing.T) {
	var s Stack
	var over func() error
	if err := s.Up(t.Context(), "a", func(ctx context.Context) error { over = ctx.Err; return over() }, nil); err != nil {
		t.Fatal(err)
	}
	if over() == nil {
		t.Error("the context outlived the start")
	}
}
