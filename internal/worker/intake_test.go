package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

type versioned struct{ mapreduce.ProcessorFunc }

func (versioned) Version() string { return "v2" }

func TestTakeSaysWhyItRefuses(t *testing.T) {
	w, _ := start(t, Config{Processors: mapreduce.Registry{
		"count": mapreduce.ProcessorFunc(noop), "sum": versioned{noop},
	}}, nil)
	later := newTestRun("default/later@1", "count")
	later.Epoch = 7
	take(t, w, later, nil)

	run := func(processor string, change func(*job.Run)) *job.Run {
		r := newTestRun("default/x@1", processor)
		change(r)
		return r
	}
	keep := func(*job.Run) {}
	for _, test := range []struct {
		run  *job.Run
		kind job.Kind
		want []string
	}{
		{nil, job.KindMap, []string{"which run"}},
		{run("kount", keep), job.KindMap, []string{`"kount"`, "n1", "registered are count, sum"}},
		{run("sum", keep), job.KindMap, []string{`"sum"`, `"v2"`, `version ""`}},
		{run("count", func(r *job.Run) { r.Plan.Keyed = true }), job.KindMap, []string{"no shuffle"}},
		{run("count", keep), job.KindReduce, []string{`"count"`, "r1", "a Reduce"}},
		{run("count", keep), job.KindBefore, []string{"b1", "a Before"}},
		{run("count", keep), 'x', []string{"x1", "a kind"}},
		{run("count", func(r *job.Run) { r.ID, r.Epoch = later.ID, 6 }), job.KindMap, []string{"epoch 7", "epoch 6"}},
	} {
		got := w.Take(job.Batch{Run: test.run, Tasks: tasks(test.kind, 0, 2)})
		if len(got) != 2 {
			t.Fatalf("want %q: %d of 2 tasks were refused", test.want, len(got))
		}
		f := got[1].Failure
		for _, want := range test.want {
			if !strings.Contains(f.Reason, want) {
				t.Errorf("got %q, want %q in it", f.Reason, want)
			}
		}
		if !f.Refused || f.Permanent || got[1].Task.N != 1 || got[1].Attempt != 1 {
			t.Errorf("got %+v with %+v, want a refusal that leaves it to other nodes", got[1], f)
		}
	}
}

// TestManyRunsAreTakenAtOnce has more than are taken without a pause, some of which
// are refused.
func TestManyRunsAreTakenAtOnce(t *testing.T) {
	const n = 3*takenTogether + 1
	w, _ := start(t, Config{Processors: processors(noop)}, nil)
	all := make(reports, n)
	w.host = all
	later := newTestRun("default/later@1", "p")
	later.Epoch = 7
	take(t, w, later, nil)
	batches := make([]job.Batch, n)
	for i := range batches {
		batches[i] = job.Batch{Run: newTestRun(job.RunID(fmt.Sprintf("default/small@%d", i)), "p"), Tasks: mapTasks(0, 1)}
	}
	batches[1].Run.Spec.Processor = "kount"
	batches[takenTogether].Run.ID = later.ID // whose epoch is over
	if got, want := w.TakeAll(batches, "this way"), []int{1, takenTogether}; !slices.Equal(got, want) {
		t.Errorf("%v were refused, want %v", got, want)
	}
	for range n - 2 {
		r := <-all
		if r.Via != "this way" || w.Via(r.Run, r.Epoch) != r.Via {
			t.Errorf("the report of %s goes %v, want it to go as its task came", r.Run, r.Via)
		}
		if via := w.Via(r.Run, r.Epoch+1); via != nil {
			t.Errorf("got %v of an epoch that has not come", via)
		}
		if got := len(r.Outcomes()); got != 1 {
			t.Errorf("the report of %s has %d outcomes, want 1", r.Run, got)
		}
		w.Forget(r.Run)
	}
}

func TestAnAttemptIsTakenOnce(t *testing.T) {
	var mu sync.Mutex
	var made []string
	gate := make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		made = append(made, task.ID)
		return nil, nil
	})}, nil)
	r := newTestRun("default/once@1", "p")
	take(t, w, r, mapTasks(0, 3))
	take(t, w, r, mapTasks(0, 4)) // the answer to the first was lost
	close(gate)
	h.await(r.ID, 4)
	if want := []string{"m0", "m1", "m2", "m3"}; !slices.Equal(made, want) {
		t.Errorf("got %v, want %v", made, want)
	}
}

func TestRunsTakeTurns(t *testing.T) {
	var mu sync.Mutex
	var order []byte
	began, gate := make(chan struct{}), make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		if task.ID == "m0" && task.Run == "a" {
			close(began)
			<-gate
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, task.Run[0])
		return nil, nil
	})}, nil)
	a, b, c := newTestRun("a", "p"), newTestRun("b", "p"), newTestRun("c", "p")
	take(t, w, a, mapTasks(0, 100))
	<-began
	take(t, w, b, mapTasks(0, 3))
	take(t, w, c, mapTasks(0, 2))
	close(gate)
	h.await("a", 100)
	if got, want := string(order[:9]), "abcabcaba"; got != want {
		t.Errorf("got turns %s, want %s", got, want)
	}
}

func TestConcurrencyBoundsTheAttemptsOfARun(t *testing.T) {
	began := make(chan string, 100)
	gate := make(chan struct{})
	w, h := start(t, Config{Slots: 4, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		began <- task.Run
		<-gate
		return nil, nil
	})}, nil)
	bounded, free := newTestRun("bounded", "p"), newTestRun("free", "p")
	bounded.Spec.Concurrency = 1
	take(t, w, bounded, mapTasks(0, 10))
	take(t, w, free, mapTasks(0, 10))
	got := map[string]int{}
	for range 4 {
		got[<-began]++
	}
	if got["bounded"] != 1 || got["free"] != 3 {
		t.Errorf("got %v at work, want 1 of the bounded run and 3 of the other", got)
	}
	close(gate)
	h.await(bounded.ID, 10)
	h.await(free.ID, 10)
}

func TestANewEpochFencesTheOld(t *testing.T) {
	causes := make(chan error, 1)
	began := make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		if task.Name == "wait" {
			close(began)
			<-ctx.Done()
			causes <- context.Cause(ctx)
		}
		return nil, nil
	})}, nil)
	first := mapTasks(0, 2)
	first[0].Name = "wait"
	take(t, w, newTestRun("r", "p"), first)
	<-began
	next := newTestRun("r", "p")
	next.Epoch = 2
	take(t, w, next, mapTasks(0, 3))
	if got := <-causes; !errors.Is(got, mapreduce.ErrFenced) {
		t.Errorf("got cause %v, want %v", got, mapreduce.ErrFenced)
	}
	h.await("r", 3)
	if err := w.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	for i, epoch := range h.epochs["r"] {
		if epoch != 2 || h.outcomes["r"][i].Failure != nil {
			t.Errorf("got %+v in epoch %d, want successes in epoch 2 alone", h.outcomes["r"][i], epoch)
		}
	}
	if n := len(h.outcomes["r"]); n != 3 {
		t.Errorf("got %d outcomes, want 3", n)
	}
}

func TestARunThatIsOverDoesNotBeginAgain(t *testing.T) {
	w, h := start(t, Config{Processors: processors(noop)}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 1))
	h.await("r", 1)
	w.Forget("r")
	late := w.Take(job.Batch{Run: r, Tasks: mapTasks(1, 1)})
	if len(late) != 1 || !strings.Contains(late[0].Failure.Reason, "is over") {
		t.Errorf("got %+v, want the late task to be refused", late)
	}
	again := newTestRun("r", "p")
	again.Created = again.Fire
	take(t, w, again, mapTasks(0, 1))
	h.await("r", 2)
}

func TestASlowHostHoldsBackTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		gate := make(chan struct{})
		h.report = func(job.RunID, uint64, []job.Outcome) { <-gate }
		var made atomic.Int64
		w, _ := start(t, Config{Slots: 1, Host: h, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
			made.Add(1)
			return make([]byte, 1<<19), nil
		})}, nil)
		take(t, w, newTestRun("r", "p"), mapTasks(0, 100))
		synctest.Wait()
		// One outcome is with the host, and those behind it fill the backlog.
		if got, want := made.Load(), int64(maxBacklog>>19+1); got != want {
			t.Errorf("got %d attempts while the host does not answer, want %d", got, want)
		}
		close(gate)
		if got := h.await("r", 100); len(got) != 100 {
			t.Errorf("got %d outcomes, want 100", len(got))
		}
	})
}

// TestWhatIsTriedAgainGoesAhead hands over tasks that were tried before when a
// queue of fresh ones is there already, and others that were lost with their
// worker: those go ahead of another run as well.
func TestWhatIsTriedAgainGoesAhead(t *testing.T) {
	var mu sync.Mutex
	var made []string
	began, gate := make(chan struct{}, 11), make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		began <- struct{}{}
		<-gate
		mu.Lock()
		defer mu.Unlock()
		made = append(made, task.Run[:1]+task.ID)
		return nil, nil
	})}, nil)
	again := mapTasks(7, 3)
	for i := range again {
		again[i].Attempt = 2
	}
	again = append(again, mapTasks(4, 1)...)
	lost := mapTasks(20, 2)
	lost[0].Attempt = 2
	r, other := newTestRun("r", "p"), newTestRun("other", "p")
	take(t, w, r, again[2:])
	<-began
	take(t, w, r, mapTasks(0, 3))
	take(t, w, r, again[:2])
	take(t, w, other, mapTasks(0, 2))
	for _, o := range w.Take(job.Batch{Run: other, Tasks: lost, Lost: true}) {
		t.Errorf("%v was refused: %s", o.Task, o.Failure.Reason)
	}
	close(gate)
	h.await(r.ID, 7)
	h.await(other.ID, 4)
	if want := []string{"rm9", "om20", "om21", "om0", "rm7", "om1", "rm8", "rm4", "rm0", "rm1", "rm2"}; !slices.Equal(made, want) {
		t.Errorf("got %v, want %v", made, want)
	}
}
