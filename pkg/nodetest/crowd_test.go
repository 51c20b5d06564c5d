package nodetest_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

// squares answers the square of its number, and calls at once for each that it
// has begun with.
type squares struct {
	begun atomic.Int64
	once  sync.Once
	at    int64
	then  func()
}

func (s *squares) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	if s.begun.Add(1) >= s.at && s.then != nil {
		s.once.Do(s.then)
	}
	n, err := strconv.Atoi(t.Params)
	if err != nil {
		return nil, mapreduce.Permanent(err)
	}
	return n * n, nil
}

// manySquares submits n small runs.
func manySquares(t *testing.T, from *node.Node, n int) []*node.Run {
	t.Helper()
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = job.Spec{Processor: "square", Params: strconv.Itoa(i), Retain: job.Retention{Runs: -1}}
	}
	runs, err := from.SubmitAll(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// checkSquares demands that each run has ended right, and counts once.
func checkSquares(t *testing.T, on *node.Node, runs []*node.Run) {
	t.Helper()
	here := make([]*node.Run, len(runs))
	for i, r := range runs {
		here[i] = on.Run(r.ID())
	}
	outs, err := on.WaitAll(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range outs {
		if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != i*i {
			t.Fatalf("run %d returned %d, %v, want %d", i, got, err, i*i)
		}
	}
	for i, r := range here {
		run, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := run.Progress; run.State != job.Succeeded || p.Tasks != 1 || p.Done != 1 || p.Failed != 0 {
			t.Fatalf("run %d is %v with %+v, want one task that counts once", i, run.State, p)
		}
	}
}

// TestSmallRunsSurviveTheirMasterAndTheirWorker kills a node in the middle of
// 10,000 small runs: one that conducts a third of them and executes them too.
func TestSmallRunsSurviveTheirMasterAndTheirWorker(t *testing.T) {
	reached := make(chan struct{})
	s := &squares{at: 3000, then: func() { close(reached) }}
	c := start(t, 3, mapreduce.Registry{"square": s})
	runs := manySquares(t, c.Node(0), 10_000)
	<-reached
	c.Kill(2)
	checkSquares(t, c.Node(1), runs)
}

// TestSmallRunsSurviveTheLeader kills the node that leads in the middle of
// 10,000 small runs, with three that hold the state.
func TestSmallRunsSurviveTheLeader(t *testing.T) {
	reached := make(chan struct{})
	s := &squares{at: 3000, then: func() { close(reached) }}
	c := nodetest.Start(t, 3, func(_ int, cfg *node.Config) {
		cfg.Processors, cfg.Servers = mapreduce.Registry{"square": s}, 3
	})
	runs := manySquares(t, c.Node(0), 10_000)
	<-reached
	leads, err := c.Node(0).Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if c.Node(i).ID() == leads.ID {
			c.Kill(i)
			checkSquares(t, c.Node((i+1)%3), runs)
			return
		}
	}
	t.Fatalf("none of the nodes leads: %+v", leads)
}

// TestSmallRunsMoveWhenTheirMasterIsDrained drains a node that has its share of
// 10,000 small runs.
func TestSmallRunsMoveWhenTheirMasterIsDrained(t *testing.T) {
	reached := make(chan struct{})
	s := &squares{at: 3000, then: func() { close(reached) }}
	c := start(t, 3, mapreduce.Registry{"square": s})
	runs := manySquares(t, c.Node(0), 10_000)
	<-reached
	if err := c.Node(0).Drain(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	checkSquares(t, c.Node(2), runs)
}

// TestSmallRunsThatTakeAnotherCourse emit, fail at first, fail for good, and
// are cancelled, beside many that do not.
func TestSmallRunsThatTakeAnotherCourse(t *testing.T) {
	var tries, roots atomic.Int64
	stuck := make(chan struct{}, 1)
	c := start(t, 2, mapreduce.Registry{
		"square": &squares{},
		"emits": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			if t.Parent != "" {
				return 1, nil
			}
			roots.Add(1)
			for i := range 10 {
				if err := t.Emit("child", i); err != nil {
					return nil, err
				}
			}
			return 0, nil
		}),
		"flaky": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			if tries.Add(1); t.Attempt < 3 {
				return nil, fmt.Errorf("not at attempt %d", t.Attempt)
			}
			return t.Attempt, nil
		}),
		"never": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
			return nil, mapreduce.Permanent(fmt.Errorf("never"))
		}),
		"stuck": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			stuck <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}),
	})
	squared := manySquares(t, c.Node(0), 500)
	retry := job.Retry{Attempts: 3, Backoff: trigger.Backoff{Initial: 1, Factor: 1}}
	runs, err := c.Node(1).SubmitAll(t.Context(), []job.Spec{
		{Processor: "emits"}, {Processor: "flaky", Retry: retry}, {Processor: "never"}, {Processor: "stuck"}, {Processor: "nobody"},
	})
	if err == nil || runs[4] != nil {
		t.Errorf("got %v, %v, want a run of an unknown processor to be refused", runs[4], err)
	}
	<-stuck
	if err := runs[3].Cancel(t.Context(), "enough"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Node(1).WaitAll(t.Context(), runs[:4])
	t.Log(err)
	for i, want := range []struct {
		state    job.State
		done     int
		attempts int
		epoch    uint64
	}{{job.Succeeded, 11, 11, 1}, {job.Succeeded, 1, 3, 1}, {job.Failed, 0, 1, 1}, {job.Canceled, 0, -1, 1}} {
		run, err := runs[i].Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := run.Progress
		if run.State != want.state || p.Done != want.done || want.attempts >= 0 && p.Attempts != want.attempts || run.Epoch != want.epoch {
			t.Errorf("run %d is %v in epoch %d with %+v, want %+v", i, run.State, run.Epoch, p, want)
		}
	}
	if got := tries.Load(); got != 3 {
		t.Errorf("the one that fails at first was tried %d times, want 3", got)
	}
	if got := roots.Load(); got != 1 {
		t.Errorf("the one that emits was executed %d times, want once", got)
	}
	checkSquares(t, c.Node(1), squared)
}

// TestRunsOfOneSubmitTakeEachItsOwnCourse though they are recorded together: each is
// found, ended, tried again and forgotten by itself.
func TestRunsOfOneSubmitTakeEachItsOwnCourse(t *testing.T) {
	const many = 60
	stuck := make(chan struct{}, many)
	c := start(t, 2, mapreduce.Registry{"any": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
		i, err := strconv.Atoi(t.Params)
		switch {
		case err != nil:
			return nil, mapreduce.Permanent(err)
		case i%10 == 1 && t.Attempt == 1:
			return nil, fmt.Errorf("not at the first attempt")
		case i%10 == 2 && !strings.HasSuffix(t.Run, "#2"):
			return nil, mapreduce.Permanent(fmt.Errorf("not at all"))
		case i%10 == 3:
			stuck <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		case i%10 == 4 && t.Parent == "":
			return i, t.Emit("child", 0)
		case i%10 == 5:
			return strings.Repeat("long", 1000), nil
		}
		return i, nil
	})})
	specs := make([]job.Spec, many)
	for i := range specs {
		specs[i] = job.Spec{
			Name: "any", Processor: "any", Params: strconv.Itoa(i), Tags: []string{"tour"},
			Retry: job.Retry{Attempts: 2, Backoff: trigger.Backoff{Initial: 1, Factor: 1}},
		}
	}
	runs, err := c.Node(1).SubmitAll(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	if lot, _, ok := job.LotOf(runs[0].ID()); !ok || runs[many-1].ID() != job.InLot(lot, many-1) {
		t.Errorf("%q and %q are not recorded together", runs[0].ID(), runs[many-1].ID())
	}
	for i := 3; i < many; i += 10 {
		<-stuck
		if i == 3 { // another one by its ID, with nothing but that
			if o, err := c.Node(0).Bulk(t.Context(), job.Bulk{Verb: job.BulkStop, Runs: []job.RunID{runs[i].ID()}, Reason: "enough"}); err != nil || o.ID == "" {
				t.Fatalf("got %+v, %v", o, err)
			}
			continue
		}
		if err := runs[i].Cancel(t.Context(), "enough"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Node(1).WaitAll(t.Context(), runs)
	if err == nil {
		t.Error("all have succeeded")
	}
	for i, r := range runs {
		want, tasks := job.Succeeded, 1
		switch i % 10 {
		case 2:
			want = job.Failed
		case 3:
			want = job.Canceled
		case 4:
			tasks = 2
		}
		run, err := c.Node(0).Run(r.ID()).Get(t.Context())
		if err != nil || run.State != want || run.Spec.Params != strconv.Itoa(i) || want != job.Canceled && run.Progress.Tasks != tasks || len(run.History) < 3 {
			t.Errorf("run %d: got %+v, %v, want it %v", i, run, err, want)
		}
	}
	next, err := runs[2].Retry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := next.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != 2 {
		t.Errorf("the second attempt returned %d, %v", got, err)
	}
	for _, order := range []job.RunOrder{job.RunsByID, job.RunsByCreation} {
		for want, q := range map[int]job.RunQuery{
			many + 1:      {Job: "any"},
			many + 1 - 12: {Tags: []string{"tour"}, States: []job.State{job.Succeeded}},
			12:            {States: []job.State{job.Failed, job.Canceled}, Backward: true},
		} {
			got := 0
			q.Namespace, q.Order, q.Limit = "default", order, 7
			for {
				page, err := c.Node(1).Find(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if got += len(page.Runs); page.Next == "" {
					break
				}
				q.After = page.Next
			}
			if got != want {
				t.Errorf("%+v: found %d, want %d", q, got, want)
			}
		}
	}
}
