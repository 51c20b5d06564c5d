package workload

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// groupBy is the adding up of amounts by key: of many keys, all different
// unless fewer are asked for, so that a Combine is tried in vain.
type groupBy struct{}

// Name is what it is called.
func (groupBy) Name() string { return "groupby" }

// About says what it does.
func (groupBy) About() string {
	return "add up by key the amounts of --bytes (default 64 MiB) of lines of a key and an amount, with --keys different keys (default: all differ; 1: one for all) as frequent as --skew makes them (default: all alike), by --tasks map tasks, with a Combine and into files; items: lines; latency: of the map and reduce attempts"
}

// Prepare writes the lines, and adds up what they come to.
func (groupBy) Prepare(ctx context.Context, o benchmarks.Options, dir string) (benchmarks.Trial, error) {
	size := cmp.Or(o.Bytes, 64<<20)
	rng := rand.New(rand.NewPCG(o.Seed, 4))
	t := &groupTrial{dir: dir, seed: maphash.MakeSeed()}
	next := t.draw(rng, o)
	var err error
	t.bytes, err = write(ctx, dir, fileCount(size), size, func(_ int, dst []byte) []byte {
		amount := 1 + rng.Uint64N(1000)
		dst = appendKey(dst, next())
		t.want.add(t.seed, dst, amount)
		t.lines++
		return append(strconv.AppendUint(append(dst, ' '), amount, 10), '\n')
	})
	t.split = splitBytes(o, t.bytes)
	return t, err
}

// draw returns what draws the number of a key, and counts those that differ.
func (t *groupTrial) draw(rng *rand.Rand, o benchmarks.Options) func() int {
	if o.Keys == 0 {
		n := 0
		return func() int { n++; t.want.keys++; return n }
	}
	draw := func() int { return rng.IntN(o.Keys) }
	if o.Skew > 0 {
		draw = newZipf(rng, o.Keys, o.Skew).next
	}
	seen := make([]bool, o.Keys)
	return func() int {
		n := draw()
		if !seen[n] {
			seen[n] = true
			t.want.keys++
		}
		return n
	}
}

// appendKey appends the key of a number: all differ, and in another order.
func appendKey(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	for x, i := uint64(n)*0x9e3779b97f4a7c15, 0; i < 16; i++ { // odd, so that no two are alike
		dst = append(dst, digits[x>>60])
		x <<= 4
	}
	return dst
}

// sums is what the sums of all keys come to. However the amounts of a key are
// added up, the checksum is the same; if one is missing, it is not.
type sums struct {
	keys     int
	checksum uint64
}

func (s *sums) add(seed maphash.Seed, key []byte, amount uint64) {
	s.checksum += maphash.Bytes(seed, key) * amount
}

type groupTrial struct {
	latencies
	dir          string
	lines, bytes int64
	split        int64
	seed         maphash.Seed
	want         sums
	tries        int
}

// Size returns the number of lines.
func (t *groupTrial) Size() (items, bytes int64) { return t.lines, t.bytes }

// Processors is the one that adds up.
func (t *groupTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"groupby": watch(mapreduce.Of(adder{}), &t.latencies)}
}

// Run adds up, to the files.
func (t *groupTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.tries++
	in := job.Lines(filepath.Join(t.dir, "in-*"))
	in.SplitBytes = t.split
	r, err := pool[0].Submit(ctx, job.Spec{Processor: "groupby", Input: in, Output: job.Output{Dir: t.out(), Format: mapreduce.TSV}})
	if err != nil {
		return err
	}
	_, err = r.Wait(ctx)
	return err
}

func (t *groupTrial) out() string { return filepath.Join(t.dir, fmt.Sprintf("out-%d", t.tries)) }

// Check reads the files: there has to be a line for each key, and no more of
// them, and with the amounts of all.
func (t *groupTrial) Check(ctx context.Context) error {
	parts, err := filepath.Glob(filepath.Join(t.out(), "part-*"))
	if err != nil {
		return err
	}
	var got sums
	for _, part := range parts {
		err := eachLine(ctx, part, func(line []byte) error {
			key, sum, _ := bytes.Cut(line, []byte{'\t'})
			amount, err := strconv.ParseUint(string(sum), 10, 64)
			if err != nil {
				return fmt.Errorf("the sum of key %q: %w", key, err)
			}
			got.keys++
			got.add(t.seed, key, amount)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(part), err)
		}
	}
	if got != t.want {
		return fmt.Errorf("%d keys with checksum %x: want %d with %x", got.keys, got.checksum, t.want.keys, t.want.checksum)
	}
	return os.RemoveAll(t.out())
}

// adder adds up amounts by key.
type adder struct{}

func (adder) Map(_ context.Context, line []byte, emit func([]byte, int)) error {
	key, rest, ok := bytes.Cut(line, []byte{' '})
	amount, err := strconv.Atoi(string(rest))
	if !ok || err != nil {
		return mapreduce.Permanent(fmt.Errorf("groupby: the line %q is no key with an amount", line))
	}
	emit(key, amount)
	return nil
}

func (adder) Combine(a, b int) int { return a + b }

func (adder) Reduce(_ context.Context, _ []byte, amounts iter.Seq[int]) (sum int, err error) {
	for n := range amounts {
		sum += n
	}
	return sum, nil
}
