package workload

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"path/filepath"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// wordCount is the counting of words: much input, much combining, little
// output.
type wordCount struct{}

// Name is what it is called.
func (wordCount) Name() string { return "wordcount" }

// About says what it does.
func (wordCount) About() string {
	return "count the words of --bytes (default 64 MiB) of text by Zipf's law, of --keys words (default 50,000) as frequent as --skew makes them (default 1), by --tasks map tasks and with a Combine, and collect the counts; items: words; latency: of the map and reduce attempts"
}

// Prepare writes the text, and counts while it does.
func (wordCount) Prepare(ctx context.Context, o benchmarks.Options, dir string) (benchmarks.Trial, error) {
	size := cmp.Or(o.Bytes, 64<<20)
	text := newText(o, 1)
	counts := make([]int, len(text.words))
	t := &wordCountTrial{dir: dir, seed: maphash.MakeSeed()}
	var err error
	t.bytes, err = write(ctx, dir, fileCount(size), size, func(_ int, dst []byte) []byte {
		return text.appendLine(dst, func(word int) { counts[word]++; t.words++ })
	})
	for i, n := range counts {
		if n > 0 {
			t.want.keys++
			t.want.add(t.seed, text.words[i], uint64(n))
		}
	}
	t.split = splitBytes(o, t.bytes)
	return t, err
}

type wordCountTrial struct {
	latencies
	dir          string
	words, bytes int64
	split        int64
	seed         maphash.Seed
	want         sums // and not a map as large, which the nodes' collector of garbage would have to look through
	got          map[string]int
}

// Size returns the number of words.
func (t *wordCountTrial) Size() (items, bytes int64) { return t.words, t.bytes }

// Processors is the counter.
func (t *wordCountTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"wordcount": watch(mapreduce.Of(counter{}), &t.latencies)}
}

// Run counts, up to a map of the counts.
func (t *wordCountTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.got = nil
	in := job.Lines(filepath.Join(t.dir, "in-*"))
	in.SplitBytes = t.split
	r, err := pool[0].Submit(ctx, job.Spec{Processor: "wordcount", Input: in})
	if err != nil {
		return err
	}
	out, err := r.Wait(ctx)
	if err != nil {
		return err
	}
	t.got, err = mapreduce.Collect[string, int](ctx, out)
	return err
}

// Check compares with the count made while the text was.
func (t *wordCountTrial) Check(context.Context) error {
	var got sums
	for word, n := range t.got {
		got.keys++
		got.add(t.seed, []byte(word), uint64(n))
	}
	if got != t.want {
		return fmt.Errorf("%d different words, their counts with checksum %x: want %d with %x", got.keys, got.checksum, t.want.keys, t.want.checksum)
	}
	return nil
}

// counter counts words. Its keys are pieces of the line, which saves making a
// string of each: emit takes a copy.
type counter struct{}

func (counter) Map(_ context.Context, line []byte, emit func([]byte, int)) error {
	fields(line, func(word []byte) { emit(word, 1) })
	return nil
}

func (counter) Combine(a, b int) int { return a + b }

func (counter) Reduce(_ context.Context, _ []byte, counts iter.Seq[int]) (sum int, err error) {
	for n := range counts {
		sum += n
	}
	return sum, nil
}
