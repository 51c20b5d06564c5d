package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"
)

// Local maps and reduces inputs in this goroutine and returns the output in
// key order: the natural test of a MapReducer. Keys, values and outputs are
// encoded and decoded as in a cluster.
//
//	counts, err := mapreduce.Local(ctx, wordCount{}, "to be or", "not to be")
func Local[In, K, V, Out any](ctx context.Context, m MapReducer[In, K, V, Out], inputs ...In) ([]Pair[K, Out], error) {
	values := make([]any, len(inputs))
	for i, in := range inputs {
		values[i] = in
	}
	if len(values) == 0 {
		return nil, nil
	}
	out, err := LocalRun(ctx, Of(m), LocalOptions{Values: values})
	if err != nil {
		return nil, err
	}
	var pairs []Pair[K, Out]
	for p, err := range Pairs[K, Out](ctx, out) {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// LocalOptions says what LocalRun runs a processor over. The zero value is one
// task without a payload. The fields have the meaning of those of a job.
type LocalOptions struct {
	// Values are inline inputs, a task each; for a keyed processor a record
	// each, see ValuesPerTask.
	Values []any
	// Splits are file inputs, a task each.
	Splits []Split
	// Shards runs one task per shard index, if it is not zero.
	Shards int
	// Nodes runs one task on each of the nodes it names, if there are any: a
	// broadcast.
	Nodes []string

	// Params, Key, Extra and Fire are what each task sees under these names.
	Params string
	Key    string
	Extra  map[string]string
	Fire   time.Time
	// Log is the tasks' logger. Nil discards what they log.
	Log *slog.Logger

	// Attempts is how often a failing task is tried in all, without a wait
	// between. Zero means once.
	Attempts int
	// Tolerate is how many tasks may fail for good before the run does.
	Tolerate int

	// Dir is where files go that the tasks create. They appear there when the
	// run has succeeded. Empty means that no task may create a file.
	Dir string
	// Format makes a keyed run write its pairs to files in Dir, one per
	// partition and in place of those of an earlier run, instead of returning
	// them: TSV or JSON.
	Format string

	// ValuesPerTask is how many of Values one keyed map task gets. Zero means
	// all of them.
	ValuesPerTask int
	// Partitions is how many partitions a keyed run has. Zero means one.
	Partitions int
	// Sorted makes the partitions ranges of keys, found by a sample.
	Sorted bool
	// Combine applies the processor's Combine, if it has one, to the pairs of
	// each map task.
	Combine bool
}

// LocalRun runs p in this goroutine as a run in a cluster would be, one task
// after the other, and returns what it returned. It is the oracle that a
// cluster is tested against: whatever the number of nodes, shards, partitions
// and attempts, and with or without a combiner, the output is the same, but
// for the order of partitions.
//
// All results and pairs are held in memory. An error is that of the first task
// that failed for good, if there are more such than options.Tolerate. A panic
// of p is not recovered.
func LocalRun(ctx context.Context, p Processor, options LocalOptions) (Output, error) {
	if err := errors.Join(Check(p), options.validate()); err != nil {
		return Output{}, err
	}
	run := &localRun{LocalOptions: options, processor: p, powers: PowersOf(p)}
	if run.Log == nil {
		run.Log = slog.New(slog.DiscardHandler)
	}
	run.Attempts = max(run.Attempts, 1)
	run.staging.dir, run.staging.parts = run.Dir, run.Format != ""
	defer run.staging.discard()
	work := run.fanOut
	if run.powers.Keyed != nil {
		work = run.keyed
	}
	if err := work(ctx); err != nil {
		return Output{}, err
	}
	if err := run.staging.publish(); err != nil {
		return Output{}, err
	}
	return NewOutput(func(context.Context) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			for _, item := range run.output {
				if !yield(item, nil) {
					return
				}
			}
		}
	}), nil
}

func (o LocalOptions) validate() error {
	forms := 0
	for _, set := range []bool{len(o.Values) > 0, len(o.Splits) > 0, o.Shards != 0, len(o.Nodes) > 0} {
		if set {
			forms++
		}
	}
	switch {
	case forms > 1:
		return errors.New("mapreduce: local run: more than one of Values, Splits, Shards and Nodes: set one")
	case o.Shards < 0:
		return fmt.Errorf("mapreduce: local run: Shards is %d: want a positive number, or 0 for another mode", o.Shards)
	case o.Partitions < 0:
		return fmt.Errorf("mapreduce: local run: Partitions is %d: want a positive number, or 0 for one", o.Partitions)
	case o.Format != "" && o.Format != TSV && o.Format != JSON:
		return fmt.Errorf("mapreduce: local run: Format is %q: want %q, %q or nothing", o.Format, TSV, JSON)
	case o.Format != "" && o.Dir == "":
		return fmt.Errorf("mapreduce: local run: Format is %q and Dir is empty: say where the files go", o.Format)
	}
	return nil
}
