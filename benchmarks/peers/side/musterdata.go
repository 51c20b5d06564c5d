package side

import (
	"context"
	"fmt"
	"iter"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

var musterData = []Side{
	{
		Kind: WordCount, Name: "muster", Label: "muster",
		About: "Map emits each word with 1, Combine and Reduce add",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return musterMapReduce(ctx, w, mapreduce.Of(adding{split: words}), false)
		},
	},
	{
		Kind: Sort, Name: "muster", Label: "muster",
		About: "Map emits the key and the rest of a record, and there is no Reduce; Sorted",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return musterMapReduce(ctx, w, mapreduce.OfMap(byKey{}), true)
		},
	},
	{
		Kind: GroupBy, Name: "muster", Label: "muster",
		About: "Map emits the key and the number of a line, Combine and Reduce add",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return musterMapReduce(ctx, w, mapreduce.Of(adding{split: row}), false)
		},
	},
}

func musterMapReduce(ctx context.Context, w Work, p mapreduce.Processor, sorted bool) (m Measure, err error) {
	err = withPool(ctx, w, mapreduce.Registry{"p": p}, func(pool []*node.Node) error {
		m, err = timed(func() error {
			_, err := pool[0].Do(ctx, job.Spec{
				Processor: "p", Input: job.Lines(w.Input + "/in-*"), Sorted: sorted,
				Output: job.Output{Dir: w.Output, Format: mapreduce.TSV},
			})
			return err
		})
		return err
	})
	return m, err
}

// adding adds up the numbers that split finds in a line, by key.
type adding struct {
	split func(line []byte, emit func(key []byte, n int64)) error
}

func (a adding) Map(_ context.Context, line []byte, emit func([]byte, int64)) error {
	return a.split(line, emit)
}

func (adding) Combine(a, b int64) int64 { return a + b }

func (adding) Reduce(_ context.Context, _ []byte, numbers iter.Seq[int64]) (sum int64, err error) {
	for n := range numbers {
		sum += n
	}
	return sum, nil
}

// byKey leaves everything to the order of the keys.
type byKey struct{}

func (byKey) Map(_ context.Context, record []byte, emit func([]byte, []byte)) error {
	if len(record) < keyBytes {
		return mapreduce.Permanent(fmt.Errorf("sort: a record of %d bytes", len(record)))
	}
	emit(record[:keyBytes], record[keyBytes:])
	return nil
}
