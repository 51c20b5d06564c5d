package workload

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// bulk is runs of one task each that are submitted many at a time.
type bulk struct{}

// Name is what it is called.
func (bulk) Name() string { return "bulk" }

// About says what it does.
func (bulk) About() string {
	return "4 callers, spread over the nodes, submit --tasks runs (default 50000, with --bytes of Params in all) of one task, 1000 at a time, and wait for the result of each; latency: of each thousand, from SubmitAll to the last result"
}

const (
	bulkCallers = 4
	together    = 1000
)

// Prepare takes note of how many runs there are to be.
func (bulk) Prepare(ctx context.Context, o benchmarks.Options, dir string) (benchmarks.Trial, error) {
	o.Tasks = cmp.Or(o.Tasks, 50_000)
	t, err := runs{}.Prepare(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	return &bulkTrial{t.(*runsTrial)}, nil
}

// bulkTrial is the same runs, submitted together.
type bulkTrial struct{ *runsTrial }

// Run makes all the runs.
func (t *bulkTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.got = make([]uint64, t.n)
	return share(ctx, t.n, bulkCallers, together, func(ctx context.Context, c, first, end int) error {
		return t.group(ctx, pool[c%len(pool)], first, end)
	})
}

// group makes the runs from first up to and without end.
func (t *bulkTrial) group(ctx context.Context, n *node.Node, first, end int) error {
	began := time.Now()
	specs := make([]job.Spec, 0, end-first)
	for i := first; i < end; i++ {
		specs = append(specs, job.Spec{Processor: "answer", Params: fmt.Sprintf("%*d", t.pad, i)})
	}
	made, err := n.SubmitAll(ctx, specs)
	if err != nil {
		return err
	}
	outs, err := n.WaitAll(ctx, made)
	if err != nil {
		return err
	}
	for i, out := range outs {
		if t.got[first+i], err = mapreduce.Value[uint64](ctx, out); err != nil {
			return err
		}
	}
	t.since(began)
	return nil
}
