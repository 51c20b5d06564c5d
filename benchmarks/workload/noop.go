package workload

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// noop is tasks that do nothing, which leaves what a task costs.
type noop struct{}

// Name is what it is called.
func (noop) Name() string { return "noop" }

// About says what it does.
func (noop) About() string {
	return "one task emits --tasks tasks (default 100000, with --bytes of payload in all) that each return their number, and a Reduce sees each once; latency: of every 64th, from being emitted to being executed"
}

// Prepare takes note of how many tasks there are to be.
func (noop) Prepare(_ context.Context, o benchmarks.Options, _ string) (benchmarks.Trial, error) {
	n := cmp.Or(o.Tasks, 100_000)
	t := &noopTrial{n: n, emitted: make([]atomic.Int64, n/every+1)}
	if o.Bytes > 0 {
		t.pad = int(max(o.Bytes/int64(n), 8))
		if t.pad > maxPad {
			return nil, fmt.Errorf("option Bytes %d over %d tasks make payloads of %d bytes: want at most %d each", o.Bytes, n, t.pad, maxPad)
		}
	}
	return t, nil
}

const (
	every  = 64        // of how many tasks the latency of one is taken
	maxPad = 512 << 10 // bytes of a task's payload
)

type noopTrial struct {
	latencies
	n   int // tasks
	pad int // bytes of payload of each; 0 is just its number

	began   time.Time
	emitted []atomic.Int64 // by number: when, since began, in nanoseconds
	got     noopSum
	done    int // tasks, as the run's progress has it
}

// noopSum is what the Reduce has seen.
type noopSum struct {
	Results   int // with a number
	Different int // numbers
}

// Size returns the number of tasks, without those that emit and reduce them.
func (t *noopTrial) Size() (items, bytes int64) { return int64(t.n), int64(t.n) * int64(t.pad) }

// Processors is the trial itself.
func (t *noopTrial) Processors() mapreduce.Registry { return mapreduce.Registry{"noop": t} }

// Run submits the run and gets what its Reduce returns.
func (t *noopTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.began, t.got = time.Now(), noopSum{}
	r, err := pool[0].Submit(ctx, job.Spec{Processor: "noop"})
	if err != nil {
		return err
	}
	out, err := r.Wait(ctx)
	if err != nil {
		return err
	}
	if t.got, err = mapreduce.Value[noopSum](ctx, out); err != nil {
		return err
	}
	p, err := r.Progress(ctx)
	t.done = p.Done
	return err
}

// Process emits the tasks, or is one of them.
func (t *noopTrial) Process(_ context.Context, task *mapreduce.Task) (any, error) {
	if task.Parent == "" {
		return nil, t.emit(task)
	}
	n, err := t.number(task)
	if err == nil && n%every == 0 {
		t.since(t.began.Add(time.Duration(t.emitted[n/every].Load())))
	}
	return n, err
}

func (t *noopTrial) emit(task *mapreduce.Task) error {
	padded := make([]byte, t.pad)
	for i := range t.n {
		if i%every == 0 {
			t.emitted[i/every].Store(int64(time.Since(t.began)))
		}
		var payload any = i
		if t.pad > 0 {
			binary.LittleEndian.PutUint64(padded, uint64(i))
			payload = padded
		}
		if err := task.Emit("noop", payload); err != nil {
			return err
		}
	}
	return nil
}

func (t *noopTrial) number(task *mapreduce.Task) (n int, err error) {
	n = -1
	if t.pad > 0 {
		var padded []byte
		if err := task.Decode(&padded); err != nil {
			return n, err
		}
		if len(padded) != t.pad {
			return n, mapreduce.Permanent(fmt.Errorf("noop: a payload of %d bytes: want %d", len(padded), t.pad))
		}
		n = int(binary.LittleEndian.Uint64(padded))
	} else if err := task.Decode(&n); err != nil {
		return n, err
	}
	if n < 0 || n >= t.n {
		return n, mapreduce.Permanent(fmt.Errorf("noop: task number %d: want 0 to %d", n, t.n-1))
	}
	return n, nil
}

// Reduce ticks off the numbers.
func (t *noopTrial) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	var sum noopSum
	seen := make([]bool, t.n)
	for r := range results {
		n := -1 // the task that emitted the others returned nothing
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		if n < 0 {
			continue
		}
		if n >= len(seen) {
			return nil, mapreduce.Permanent(fmt.Errorf("noop: result %d: want 0 to %d", n, t.n-1))
		}
		sum.Results++
		if !seen[n] {
			seen[n] = true
			sum.Different++
		}
	}
	return sum, nil
}

// Check demands that each task counted once.
func (t *noopTrial) Check(context.Context) error {
	if want := (noopSum{t.n, t.n}); t.got != want {
		return fmt.Errorf("Reduce saw %d results with %d different numbers: want %d of both", t.got.Results, t.got.Different, t.n)
	}
	if want := t.n + 2; t.done != want { // with the one that emits and the Reduce
		return fmt.Errorf("%d tasks are done, as the run has it: want %d", t.done, want)
	}
	return nil
}
