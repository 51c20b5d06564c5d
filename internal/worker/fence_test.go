package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestFenceGivesAllBackAndBlamesNoTask fences a worker of which one attempt
// returns, one ignores its end, and others wait, in two runs.
func TestFenceGivesAllBackAndBlamesNoTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		w, h := start(t, Config{Slots: 2, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			switch {
			case task.Run == "again":
				return nil, nil
			case task.ID == "m0":
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return "late", nil
			default:
				time.Sleep(time.Hour)
				return "very late", nil
			}
		})}, nil)
		one, two := newTestRun("one", "p"), newTestRun("two", "p")
		take(t, w, one, mapTasks(0, 2))
		synctest.Wait()
		take(t, w, one, mapTasks(2, 1))
		take(t, w, two, mapTasks(0, 3))

		cut := errors.New("no word from the leader for 3s")
		w.Fence(cut)
		if got := <-causes; !errors.Is(got, mapreduce.ErrFenced) || !errors.Is(got, cut) {
			t.Errorf("got cause %v, want that it was fenced because of %v", got, cut)
		}
		for run, n := range map[job.RunID]int{"one": 3, "two": 3} {
			for _, o := range h.await(run, n) {
				if f := o.Failure; f == nil || !f.Refused || f.Permanent || f.After <= 0 {
					t.Errorf("%s/%v: got %+v, want it to be refused for a while", run, o.Task, f)
				}
			}
		}
		take(t, w, newTestRun("again", "p"), mapTasks(0, 1))
		if o := h.await("again", 1)[0]; o.Failure != nil {
			t.Errorf("after the fence: %+v", o.Failure)
		}
		time.Sleep(2 * time.Hour) // what was abandoned returns
	})
}

// TestFenceLeavesWhatHasEnded keeps an outcome that waits for its master.
func TestFenceLeavesWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h := newHost()
		h.report = func(job.RunID, uint64, []job.Outcome) { <-gate }
		w, _ := start(t, Config{Slots: 1, Host: h, Processors: processors(noop)}, nil)
		take(t, w, newTestRun("r", "p"), mapTasks(0, 3))
		synctest.Wait()
		w.Fence(nil)
		close(gate)
		for _, o := range h.await("r", 3) {
			if o.Failure != nil {
				t.Errorf("%v: got %+v", o.Task, o.Failure)
			}
		}
	})
}

// TestAnAttemptCannotRefuseItself returns what a fence or a stop would.
func TestAnAttemptCannotRefuseItself(t *testing.T) {
	for _, err := range []error{mapreduce.ErrFenced, mapreduce.ErrStopping} {
		w, h := start(t, Config{Slots: 1, Processors: processors(func(context.Context, *mapreduce.Task) (any, error) { return nil, err })}, nil)
		if o := one(t, w, h, newTestRun("r", "p"), mapTasks(0, 1)[0]); o.Failure == nil || o.Failure.Refused {
			t.Errorf("%v: got %+v, want that it failed", err, o.Failure)
		}
	}
}
