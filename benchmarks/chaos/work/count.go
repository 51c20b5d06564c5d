package work

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// A Text is files of words whose counts are known.
type Text struct {
	dir    string
	counts map[string]int
}

const (
	textFiles = 6
	textLines = 150 // of a file
	lineWords = 40
	allWords  = 2000
)

// NewText writes files into dir, the same for the same rng.
func NewText(dir string, rng *rand.Rand) (*Text, error) {
	t := &Text{dir: dir, counts: map[string]int{}}
	for i := range textFiles {
		if err := t.write(filepath.Join(dir, fmt.Sprintf("text-%d.txt", i)), rng); err != nil {
			return nil, fmt.Errorf("work: %w", err)
		}
	}
	return t, nil
}

func (t *Text) write(path string, rng *rand.Rand) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for range textLines {
		line := make([]string, lineWords)
		for i := range line {
			line[i] = "w" + strconv.Itoa(min(rng.IntN(allWords), rng.IntN(allWords))) // some more than others
			t.counts[line[i]]++
		}
		fmt.Fprintln(w, strings.Join(line, " "))
	}
	return w.Flush()
}

// Count is a keyed run that counts the words of the text, in so many
// partitions. A map attempt rests for about so long.
func (t *Text) Count(partitions int, rest time.Duration) Work {
	w := Work{
		Kind: "count", Spec: job.Spec{
			Processor: "count", Params: encode(restParams{rest}), Partitions: partitions, Input: job.Lines(filepath.Join(t.dir, "text-*.txt")),
		},
		Want: make(map[string]string, len(t.counts)), Noted: true, Keyed: true, read: readCounts,
	}
	w.Spec.Input.SplitBytes = 8 << 10
	for word, n := range t.counts {
		w.Want[word] = strconv.Itoa(n)
	}
	return w
}

func readCounts(ctx context.Context, out mapreduce.Output, got *Got) error {
	for p, err := range mapreduce.Pairs[string, int](ctx, out) {
		if err != nil {
			return err
		}
		got.Items = append(got.Items, verdict.Item{Key: p.Key, Value: strconv.Itoa(p.Value)})
	}
	return nil
}

// words counts the words of lines.
type words struct{}

func (words) Map(_ context.Context, line string, emit func(string, int)) error {
	for w := range strings.FieldsSeq(line) {
		emit(w, 1)
	}
	return nil
}

func (words) Combine(a, b int) int { return a + b }

func (words) Reduce(_ context.Context, _ string, counts iter.Seq[int]) (int, error) {
	sum := 0
	for n := range counts {
		sum += n
	}
	return sum, nil
}

var counter = mapreduce.Of(words{})

// counted is the counter, whose attempts rest and are noted.
type counted struct {
	mapreduce.Keyed
	mapreduce.Processor
	noted noted
}

// MapShard maps the input of one task.
func (c counted) MapShard(ctx context.Context, t *mapreduce.Task, out func(key, value []byte) error) error {
	return c.noted.do(ctx, t, func() error {
		var p restParams
		if err := params(t, &p); err != nil {
			return err
		}
		if err := rest(ctx, p.Rest, t.Shard.Index); err != nil {
			return err
		}
		return c.Keyed.MapShard(ctx, t, out)
	})
}

// Words says that there is no quicker form: it would be noted by nobody.
func (counted) Words() *mapreduce.Words { return nil }

// ReduceGroups reduces the keys of one partition.
func (c counted) ReduceGroups(ctx context.Context, t *mapreduce.Task, groups iter.Seq2[[]byte, iter.Seq[[]byte]], out func(key, value []byte) error) error {
	return c.noted.do(ctx, t, func() error { return c.Keyed.ReduceGroups(ctx, t, groups, out) })
}
