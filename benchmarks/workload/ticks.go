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

// ticks is declared jobs that are due again and again.
type ticks struct {
	every time.Duration // whole seconds
	due   int           // how often each job is
}

// Name is what it is called.
func (ticks) Name() string { return "ticks" }

// About says what it does.
func (ticks) About() string {
	return "declare --tasks jobs (default 10000) that are due every 10 s, a tenth of them each second, for 30 s, and wait until each fire has been executed; latency: how late each began. The time is that of declaring them, too"
}

// Prepare takes note of how many jobs there are to be.
func (w ticks) Prepare(_ context.Context, o benchmarks.Options, _ string) (benchmarks.Trial, error) {
	return &ticksTrial{executions{n: cmp.Or(o.Tasks, 10_000)}, w}, nil
}

type ticksTrial struct {
	executions
	ticks
}

// Size returns the number of fires.
func (t *ticksTrial) Size() (items, bytes int64) { return int64(t.n * t.ticks.due), 0 }

// Processors is what the jobs do: they take note of how late they are.
func (t *ticksTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"fired": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		i, err := strconv.Atoi(task.Params)
		if err != nil || i < 0 || i >= t.n {
			return nil, mapreduce.Permanent(fmt.Errorf("params are %q: want the number of a job", task.Params))
		}
		t.since(task.Fire)
		if int(t.times[i].Add(1)) <= t.ticks.due && t.left.Add(-1) == 0 {
			close(t.done)
		}
		return nil, nil
	})}
}

// Run declares the jobs, well before they are due first, and waits for all of
// their fires.
func (t *ticksTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.times, t.done = make([]atomic.Int32, t.n), make(chan struct{})
	t.left.Store(int64(t.n * t.ticks.due))
	begin := time.Now().Add(3*time.Second + time.Duration(t.n)*time.Millisecond/2).Truncate(t.every).Add(t.every)
	err := share(ctx, t.n, declarers, 1, func(ctx context.Context, c, i, _ int) error {
		_, err := pool[c%len(pool)].PutJob(ctx, job.Spec{
			Name: fmt.Sprintf("job%d", i), Processor: "fired", Params: strconv.Itoa(i),
			Schedule: trigger.Schedule{
				When: fmt.Sprintf("every %s phase %ds", t.every, i%int(t.every/time.Second)), Start: begin,
				End: begin.Add(time.Duration(t.ticks.due) * t.every), Overlap: trigger.OverlapAllow, Misfire: trigger.MisfireAll, CatchUp: 24 * time.Hour,
			},
		}, 0)
		return err
	})
	if err != nil {
		return err
	}
	if late := time.Since(begin); late > 0 {
		return fmt.Errorf("%d jobs were declared %v after they were due: want fewer --tasks", t.n, late)
	}
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d of %d fires were not executed: %w", t.left.Load(), t.n*t.ticks.due, context.Cause(ctx))
	}
}

// Check demands that each job was executed as often as it was due.
func (t *ticksTrial) Check(context.Context) error {
	for i := range t.times {
		if n := int(t.times[i].Load()); n != t.ticks.due {
			return fmt.Errorf("job %d was executed %d times: want %d", i, n, t.ticks.due)
		}
	}
	return nil
}
