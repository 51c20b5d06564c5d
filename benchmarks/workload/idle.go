package workload

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// idle is the smallest MapReduce on a pool that does nothing else, which leaves
// how long it takes from being asked for to its result.
type idle struct{}

// Name is what it is called.
func (idle) Name() string { return "idle" }

// About says what it does.
func (idle) About() string {
	return "count the words of three lines, --tasks times (default 100), one run after the other; latency: of each run, from Submit to the counts"
}

// Prepare takes note of how many runs there are to be.
func (idle) Prepare(_ context.Context, o benchmarks.Options, _ string) (benchmarks.Trial, error) {
	return &idleTrial{n: cmp.Or(o.Tasks, 100)}, nil
}

type idleTrial struct {
	latencies
	n   int
	got []map[string]int // by run
}

// Size returns the number of runs.
func (t *idleTrial) Size() (items, bytes int64) { return int64(t.n), 0 }

// Processors is what counts.
func (t *idleTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"words": mapreduce.Of(words{})}
}

type words struct{}

// Map emits a one for each word of a line.
func (words) Map(_ context.Context, line string, emit func(string, int)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, 1)
	}
	return nil
}

// Reduce adds up the ones of a word.
func (words) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	for one := range ones {
		n += one
	}
	return n, nil
}

// Run makes one run after the other.
func (t *idleTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.got = make([]map[string]int, t.n)
	for i := range t.got {
		began := time.Now()
		r, err := pool[i%len(pool)].Submit(ctx, job.Spec{
			Processor: "words", Input: job.Values("to be or", "not to be", fmt.Sprint("run ", i)),
		})
		if err != nil {
			return err
		}
		out, err := r.Wait(ctx)
		if err != nil {
			return err
		}
		if t.got[i], err = mapreduce.Collect[string, int](ctx, out); err != nil {
			return err
		}
		t.since(began)
	}
	return nil
}

// Check demands that each run counted its own words.
func (t *idleTrial) Check(context.Context) error {
	for i, got := range t.got {
		want := map[string]int{"to": 2, "be": 2, "or": 1, "not": 1, "run": 1, fmt.Sprint(i): 1}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("run %d counted %v: want %v", i, got, want)
		}
	}
	return nil
}
