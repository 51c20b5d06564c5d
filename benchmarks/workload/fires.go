package workload

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// fires is declared jobs that are all due at the same instant.
type fires struct{}

// Name is what it is called.
func (fires) Name() string { return "fires" }

// About says what it does.
func (fires) About() string {
	return "declare --tasks jobs (default 10000) that are due once, at the same instant, and wait until each has been executed; latency: how late each began. The time is from that instant on, without what is done ahead of it"
}

// declarers is how many jobs are declared at a time: they share the entries of
// the log.
const declarers = 256

// Prepare takes note of how many jobs there are to be.
func (fires) Prepare(_ context.Context, o benchmarks.Options, _ string) (benchmarks.Trial, error) {
	return &firesTrial{executions{n: cmp.Or(o.Tasks, 10_000)}}, nil
}

type firesTrial struct{ executions }

// executions is which of n jobs were executed.
type executions struct {
	latencies
	n int

	times []atomic.Int32 // how often each job was executed
	left  atomic.Int64   // jobs that were not yet
	done  chan struct{}  // closed when none is left
}

// Configure lets all of them go on at once: as much as half of what may is recorded
// ahead of the instants that it is due at.
func (t *executions) Configure(cfg *node.Config) { cfg.MaxRuns = max(10_000, 2*t.n) }

// Size returns the number of jobs.
func (t *firesTrial) Size() (items, bytes int64) { return int64(t.n), 0 }

// Processors is what the jobs do: they take note of how late they are.
func (t *firesTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"fired": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		i, err := strconv.Atoi(task.Params)
		if err != nil || i < 0 || i >= t.n {
			return nil, mapreduce.Permanent(fmt.Errorf("params are %q: want the number of a job", task.Params))
		}
		if t.times[i].Add(1) == 1 {
			t.since(task.Fire)
			if t.left.Add(-1) == 0 {
				close(t.done)
			}
		}
		return nil, nil
	})}
}

// Ready declares the jobs, well before they are due, and waits for that instant.
func (t *firesTrial) Ready(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.times, t.done = make([]atomic.Int32, t.n), make(chan struct{})
	t.left.Store(int64(t.n))
	due := time.Now().Add(3*time.Second + time.Duration(t.n)*time.Millisecond/2).Truncate(time.Second)
	err := share(ctx, t.n, declarers, 1, func(ctx context.Context, c, i, _ int) error {
		return t.declare(ctx, pool[c%len(pool)], i, due)
	})
	if err != nil {
		return err
	}
	wait := time.Until(due)
	if wait < 0 {
		return fmt.Errorf("%d jobs were declared %v after they were due: want fewer --tasks", t.n, -wait)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run waits for the fires.
func (t *firesTrial) Run(ctx context.Context, _ []*node.Node) error {
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d of %d jobs were not executed: %w", t.left.Load(), t.n, context.Cause(ctx))
	}
}

func (t *firesTrial) declare(ctx context.Context, n *node.Node, i int, due time.Time) error {
	_, err := n.PutJob(ctx, job.Spec{
		Name: fmt.Sprintf("job%d", i), Processor: "fired", Params: strconv.Itoa(i),
		Schedule: trigger.Schedule{When: "at " + due.UTC().Format(time.RFC3339)},
	}, 0)
	return err
}

// Check demands that each job was executed once.
func (t *firesTrial) Check(context.Context) error {
	for i := range t.times {
		if n := t.times[i].Load(); n != 1 {
			return fmt.Errorf("job %d was executed %d times: want once", i, n)
		}
	}
	return nil
}
