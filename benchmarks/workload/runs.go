package workload

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// runs is many runs of one task each, which leaves what a run costs.
type runs struct{}

// Name is what it is called.
func (runs) Name() string { return "runs" }

// About says what it does.
func (runs) About() string {
	return "32 callers, spread over the nodes, make --tasks runs (default 2000, with --bytes of Params in all) of one task and wait for the result of each; latency: of each run, from Submit to the result"
}

const callers = 32

// Prepare takes note of how many runs there are to be.
func (runs) Prepare(_ context.Context, o benchmarks.Options, _ string) (benchmarks.Trial, error) {
	t := &runsTrial{n: cmp.Or(o.Tasks, 2000), seed: o.Seed}
	if t.pad = int(min(o.Bytes/int64(t.n), job.MaxParams+1)); t.pad > job.MaxParams {
		return nil, fmt.Errorf("option Bytes %d over %d runs make Params of %d bytes: want at most %d each", o.Bytes, t.n, o.Bytes/int64(t.n), job.MaxParams)
	}
	return t, nil
}

type runsTrial struct {
	latencies
	n    int
	pad  int // bytes of each run's Params, at least
	seed uint64
	got  []uint64 // by run
}

// Size returns the number of runs.
func (t *runsTrial) Size() (items, bytes int64) { return int64(t.n), int64(t.n) * int64(t.pad) }

// Processors is what the runs do: they answer their number.
func (t *runsTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"answer": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		n, err := strconv.Atoi(strings.TrimLeft(task.Params, " "))
		if err != nil {
			return nil, mapreduce.Permanent(err)
		}
		return t.answer(n), nil
	})}
}

// answer is what run n has to return.
func (t *runsTrial) answer(n int) uint64 { return (t.seed + uint64(n)) * 0x9e3779b97f4a7c15 }

// Run makes all the runs.
func (t *runsTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.got = make([]uint64, t.n)
	return share(ctx, t.n, callers, 1, func(ctx context.Context, c, i, _ int) error {
		if err := t.one(ctx, pool[c%len(pool)], i); err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
		return nil
	})
}

func (t *runsTrial) one(ctx context.Context, n *node.Node, i int) error {
	began := time.Now()
	r, err := n.Submit(ctx, job.Spec{Processor: "answer", Params: fmt.Sprintf("%*d", t.pad, i)})
	if err != nil {
		return err
	}
	out, err := r.Wait(ctx)
	if err != nil {
		return err
	}
	if t.got[i], err = mapreduce.Value[uint64](ctx, out); err == nil {
		t.since(began)
	}
	return err
}

// Check demands that each run returned its own answer.
func (t *runsTrial) Check(context.Context) error {
	for n, got := range t.got {
		if want := t.answer(n); got != want {
			return fmt.Errorf("run %d returned %d: want %d", n, got, want)
		}
	}
	return nil
}
