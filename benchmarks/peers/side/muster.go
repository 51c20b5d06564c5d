package side

import (
	"context"
	"fmt"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

var musterTasks = []Side{
	{
		Kind: Tasks, Name: "muster-subtasks", Label: "muster, subtasks of one run",
		About: "one run whose first task emits all others; the run is done when the outcome of each is recorded",
		Do:    musterSubtasks,
	},
	{
		Kind: Tasks, Name: "muster-runs", Label: "muster, runs in bulk",
		About: fmt.Sprintf("SubmitAll of a run for each task, %d at a time, WaitAll of them, and the result of each", musterBatch),
		Do:    musterRuns,
	},
	{
		Kind: Latency, Name: "muster-run", Label: "muster, a run of one task",
		About: "Do, from the call to the result, which is recorded then",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return musterLatency(ctx, w, job.Spec{Processor: "one"})
		},
	},
	{
		Kind: Latency, Name: "muster-mapreduce", Label: "muster, a small MapReduce",
		About: "Do with three lines of text, from the call to the counts of their words",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return musterLatency(ctx, w, job.Spec{Processor: "wordcount", Input: job.Values("a b c", "b c", "c")})
		},
	},
}

// musterBatch is how many runs are submitted at a time. Making them is part of what
// is measured, as it is for the others.
const musterBatch = 4096

// fan emits tasks, and is them.
type fan struct {
	*ledger
	tasks int
}

// Process executes one of them.
func (f fan) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	if t.Parent == "" {
		return nil, f.emit(t)
	}
	var payload []byte
	if err := t.Decode(&payload); err != nil {
		return nil, err
	}
	_, err := f.tick(string(payload))
	return nil, err
}

func (f fan) emit(t *mapreduce.Task) error {
	var payload []byte
	for i := range f.tasks {
		payload = f.payload(payload[:0], i)
		if err := t.Emit("task", payload); err != nil {
			return err
		}
	}
	return nil
}

func musterSubtasks(ctx context.Context, w Work) (m Measure, err error) {
	f := fan{newLedger(w.Tasks, w.Payload), w.Tasks}
	err = withPool(ctx, w, mapreduce.Registry{"fan": f}, func(pool []*node.Node) error {
		var run *node.Run
		m, err = timed(func() error {
			if run, err = pool[0].Submit(ctx, job.Spec{Processor: "fan", Retry: job.Retry{Attempts: 1}}); err != nil {
				return err
			}
			_, err = run.Wait(ctx)
			return err
		})
		if err != nil {
			return err
		}
		p, err := run.Progress(ctx)
		if err == nil && (p.Done != w.Tasks+1 || p.Failed != 0) { // with the one that emits
			err = fmt.Errorf("%d tasks are recorded as done and %d as failed: want %d and none", p.Done, p.Failed, w.Tasks+1)
		}
		if err != nil {
			return err
		}
		return f.check()
	})
	return m, err
}

func musterRuns(ctx context.Context, w Work) (m Measure, err error) {
	l := newLedger(w.Tasks, w.Payload)
	one := mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) { return l.tick(t.Params) })
	err = withPool(ctx, w, mapreduce.Registry{"one": one}, func(pool []*node.Node) error {
		m, err = timed(func() error {
			runs, specs := make([]*node.Run, 0, w.Tasks), make([]job.Spec, 0, musterBatch)
			for from := 0; from < w.Tasks; from += musterBatch {
				specs = specs[:0]
				for i := from; i < min(from+musterBatch, w.Tasks); i++ {
					specs = append(specs, job.Spec{Processor: "one", Params: string(l.payload(nil, i)), Retry: job.Retry{Attempts: 1}, Retain: job.Retention{Runs: w.Tasks}})
				}
				made, err := pool[0].SubmitAll(ctx, specs)
				if err != nil {
					return err
				}
				runs = append(runs, made...)
			}
			outs, err := pool[0].WaitAll(ctx, runs)
			if err != nil {
				return err
			}
			return checkNumbers(ctx, outs)
		})
		if err != nil {
			return err
		}
		return l.check()
	})
	return m, err
}

// checkNumbers sees to it that each run has returned its number.
func checkNumbers(ctx context.Context, outs []mapreduce.Output) error {
	for i, out := range outs {
		got, err := mapreduce.Value[int](ctx, out)
		if err == nil && got != i {
			err = fmt.Errorf("the result is %d", got)
		}
		if err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
	}
	return nil
}

func musterLatency(ctx context.Context, w Work, spec job.Spec) (m Measure, err error) {
	one := mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return 7, nil })
	processors := mapreduce.Registry{"one": one, "wordcount": mapreduce.Of(adding{split: words})}
	err = withPool(ctx, w, processors, func(pool []*node.Node) error {
		var latencies []float64
		m, err = timed(func() error {
			latencies, err = oneByOne(ctx, w.Tasks, func(ctx context.Context, _ int) error {
				out, err := pool[0].Do(ctx, spec)
				if err != nil {
					return err
				}
				return checkSmall(ctx, spec.Processor, out)
			})
			return err
		})
		m.Latencies = latencies
		return err
	})
	return m, err
}

// checkSmall looks at the result of what is so small that this takes no time.
func checkSmall(ctx context.Context, processor string, out mapreduce.Output) error {
	if processor == "one" {
		got, err := mapreduce.Value[int](ctx, out)
		if err == nil && got != 7 {
			err = fmt.Errorf("the result is %d: want 7", got)
		}
		return err
	}
	got, err := mapreduce.Collect[string, int64](ctx, out)
	if err == nil && (len(got) != 3 || got["a"] != 1 || got["b"] != 2 || got["c"] != 3) {
		err = fmt.Errorf("the result is %v: want one a, two b and three c", got)
	}
	return err
}
