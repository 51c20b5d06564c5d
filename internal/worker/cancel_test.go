package worker

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestAnAttemptEndsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		w, h := start(t, Config{Slots: 1, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			if task.ID == "m1" {
				return nil, nil
			}
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the context has no deadline")
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", ctx.Err(), context.DeadlineExceeded)
			}
			return "late", nil
		})}, nil)
		r := newTestRun("r", "p")
		r.Spec.AttemptTimeout = time.Minute
		take(t, w, r, mapTasks(0, 2))
		got := h.await("r", 2)
		if f := got[0].Failure; f == nil || f.Refused || !strings.Contains(f.Reason, "timeout of 1m0s") || got[0].Took != time.Minute {
			t.Errorf("got %+v with %+v", got[0], f)
		}
		if got[1].Failure != nil {
			t.Errorf("got %+v for the attempt that was in time", got[1].Failure)
		}
		if !errors.Is(cause, context.DeadlineExceeded) || !errors.Is(cause, mapreduce.ErrTimeout) {
			t.Errorf("got cause %v, want %v that is a %v", cause, mapreduce.ErrTimeout, context.DeadlineExceeded)
		}
	})
}

func TestCancelTellsRunningAndWaitingTasks(t *testing.T) {
	began := make(chan string, 10)
	gate := make(chan struct{})
	w, h := start(t, Config{Slots: 2, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		began <- task.ID
		select {
		case <-ctx.Done():
			return nil, errors.New("no word of the cause")
		case <-gate:
			return nil, nil
		}
	})}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 5))
	running := []string{<-began, <-began}
	slices.Sort(running)
	if !slices.Equal(running, []string{"m0", "m1"}) {
		t.Fatalf("got %v at work, want m0 and m1", running)
	}
	id := func(n int) job.TaskID { return job.TaskID{Kind: job.KindMap, N: n} }
	cause := errors.New("another was first")
	w.Cancel("r", 0, nil, cause) // of an older epoch: nothing
	w.Cancel("other", 1, nil, cause)
	w.Cancel("r", 1, []job.TaskID{id(0), id(3), id(77)}, cause)
	got := map[int]*job.Failure{}
	for _, o := range h.await("r", 2) {
		got[o.Task.N] = o.Failure
	}
	want := "mapreduce: the attempt was called off: another was first"
	if f := got[0]; f == nil || f.Refused || f.Reason != want {
		t.Errorf("got %+v for a task that was executing", f)
	}
	if f := got[3]; f == nil || !f.Refused || f.Reason != want {
		t.Errorf("got %+v for a task that was waiting", f)
	}
	<-began // m2
	w.Cancel("r", 1, nil, nil)
	for _, o := range h.await("r", 5) {
		if o.Failure == nil || o.Task.N != 0 && o.Task.N != 3 && o.Failure.Reason != mapreduce.ErrCanceled.Error() {
			t.Errorf("got %+v, want it to be called off", o)
		}
	}
	// What was called off may come back.
	close(gate)
	take(t, w, r, mapTasks(0, 5))
	h.await("r", 10)
}

func TestACancelOfANewMasterFencesWhatThereIs(t *testing.T) {
	causes := make(chan error, 1)
	began := make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		if task.ID == "m0" {
			close(began)
			<-ctx.Done()
			causes <- context.Cause(ctx)
		}
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 3))
	<-began
	w.Cancel("r", 2, []job.TaskID{{Kind: job.KindMap, N: 2}}, nil)
	if got := <-causes; !errors.Is(got, mapreduce.ErrFenced) {
		t.Errorf("got cause %v, want %v", got, mapreduce.ErrFenced)
	}
	if refused := w.Take(job.Batch{Run: r, Tasks: mapTasks(3, 1)}); len(refused) != 1 {
		t.Errorf("got %+v, want the old master's task to be refused", refused)
	}
	next := newTestRun("r", "p")
	next.Epoch = 2
	take(t, w, next, mapTasks(1, 1))
	if o := h.await("r", 1)[0]; o.Task.N != 1 || o.Failure != nil {
		t.Errorf("got %+v, want the new master's task alone", o)
	}
}

func TestWhatIgnoresItsTimeoutIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w, h := start(t, Config{Slots: 1, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
			f, err := task.Create("x")
			if err != nil {
				t.Error(err)
				return nil, err
			}
			time.Sleep(time.Hour)
			if _, err := f.Write([]byte("late")); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("got %v from a late Write, want %v", err, fs.ErrClosed)
			}
			if _, err := task.Create("y"); err == nil {
				t.Error("a late Create succeeded")
			}
			runtime.Goexit()
			return nil, nil
		})}, nil)
		r := newTestRun("r", "p")
		r.Spec.AttemptTimeout = time.Minute
		r.Spec.Output.Dir = dir
		take(t, w, r, mapTasks(0, 1))
		o := h.await("r", 1)[0]
		if o.Failure == nil || !strings.Contains(o.Failure.Reason, "timeout of 1m0s") || !strings.Contains(o.Failure.Reason, "abandoned") || o.Took != 70*time.Second {
			t.Errorf("got %+v with %+v", o, o.Failure)
		}
		synctest.Wait()
		if got := entries(t, dir); len(got) > 0 {
			t.Errorf("%q is left", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := entries(t, dir); len(got) > 0 || len(h.await("r", 1)) != 1 {
			t.Errorf("%q is left, and %d outcomes", got, len(h.outcomes["r"]))
		}
	})
}

func TestWhatIgnoresItsEndIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w, h := start(t, Config{Slots: 1, Grace: 3 * time.Second, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
			if task.ID == "m0" {
				<-release
				if err := task.Emit("late", 1); !errors.Is(err, mapreduce.ErrCanceled) {
					t.Errorf("got %v from a late Emit, want %v", err, mapreduce.ErrCanceled)
				}
				return "late", nil
			}
			return nil, nil
		})}, nil)
		r := newTestRun("r", "p")
		take(t, w, r, mapTasks(0, 2))
		synctest.Wait()
		began := time.Now()
		w.Cancel("r", 1, []job.TaskID{{Kind: job.KindMap, N: 0}}, nil)
		got := h.await("r", 2) // m1 gets the slot
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("it was abandoned after %v, want 3s", waited)
		}
		if f := got[0].Failure; f == nil || f.Refused || !strings.Contains(f.Reason, mapreduce.ErrCanceled.Error()) || !strings.Contains(f.Reason, "abandoned") {
			t.Errorf("got %+v with %+v", got[0], f)
		}
		synctest.Wait()
		if s := w.Stats(); s.Abandoned != 1 || s.Running != 0 || len(s.Strays) != 1 || s.Strays[0].String() != "r/m0#1" || w.pool.Cap() != 2 {
			t.Errorf("got %+v and a pool of %d, want one abandoned and a pool of 2", s, w.pool.Cap())
		}
		close(release)
		synctest.Wait()
		if s := w.Stats(); s.Abandoned != 0 || w.pool.Cap() != 1 || s.Done != 1 || s.Failed != 1 {
			t.Errorf("got %+v and a pool of %d after its return", s, w.pool.Cap())
		}
		if n := len(h.await("r", 2)); n != 2 {
			t.Errorf("got %d outcomes, want 2", n)
		}
	})
}
