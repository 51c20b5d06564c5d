package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// words counts words. The hooks, which may be nil, get in the way.
type words struct {
	onMap    func(ctx context.Context, line string) error
	onReduce func(ctx context.Context, word string) error
}

func (c words) Map(ctx context.Context, line string, emit func(string, int)) error {
	for _, word := range strings.Fields(line) {
		emit(word, 1)
	}
	if c.onMap != nil {
		return c.onMap(ctx, line)
	}
	return nil
}

func (c words) Reduce(ctx context.Context, word string, counts iter.Seq[int]) (int, error) {
	if c.onReduce != nil {
		if err := c.onReduce(ctx, word); err != nil {
			return 0, err
		}
	}
	sum := 0
	for n := range counts {
		sum += n
	}
	return sum, nil
}

func (words) Combine(a, b int) int { return a + b }

const partitions = 3

func keyedRun(id job.RunID) *job.Run {
	r := newTestRun(id, "words")
	r.Spec.Mode = job.MapReduce
	r.Plan = job.Plan{Keyed: true, Reduces: partitions}
	return r
}

func newShuffle(t *testing.T) pairs {
	t.Helper()
	s, err := shuffle.New(shuffle.Config{Dir: t.TempDir(), Node: "id", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return shuffled{s}
}

// text is lines with many words; every word comes more than once.
func text() (lines []string, counts map[string]int) {
	counts = map[string]int{}
	for i := range 40 {
		var line []string
		for k := range 50 {
			word := fmt.Sprintf("w%03d", (i*31+k*k)%257)
			counts[word]++
			line = append(line, word)
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines, counts
}

func payloads(t *testing.T, lines []string, n int) (payloads [][]byte) {
	t.Helper()
	for chunk := range slices.Chunk(lines, (len(lines)+n-1)/n) {
		var values [][]byte
		for _, line := range chunk {
			b, err := mapreduce.Encode(line)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, b)
		}
		p, err := mapreduce.ValuesPayload(values)
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, p)
	}
	return payloads
}

// conduct makes the attempts of a keyed run and returns those that reduce.
func conduct(t *testing.T, w *Worker, h *fakeHost, r *job.Run, payloads [][]byte) []job.Outcome {
	t.Helper()
	var before []byte
	n := 0
	step := func(b job.Batch) []job.Outcome {
		t.Helper()
		b.Run, b.Before = r, before
		for _, o := range w.Take(b) {
			t.Fatalf("%v was refused: %s", o.Task, o.Failure.Reason)
		}
		n += len(b.Tasks)
		got := slices.Clone(h.await(r.ID, n)[n-len(b.Tasks):])
		slices.SortFunc(got, func(a, b job.Outcome) int { return a.Task.N - b.Task.N })
		return got
	}
	if r.Spec.Sorted {
		first := tasks(job.KindBefore, 0, 1)
		var err error
		if first[0].Payload, err = mapreduce.SamplePayload(payloads); err != nil {
			t.Fatal(err)
		}
		o := step(job.Batch{Tasks: first})[0]
		if o.Failure != nil {
			t.Fatalf("before: %s", o.Failure.Reason)
		}
		before = o.Result
	}
	source := job.Source{Node: "id"}
	mapped := mapTasks(0, len(payloads))
	for i := range mapped {
		mapped[i].Payload = payloads[i]
		source.Maps = append(source.Maps, job.MapOutputID{Task: i, Epoch: r.Epoch, Attempt: 1})
	}
	for _, o := range step(job.Batch{Tasks: mapped}) {
		if o.Failure != nil {
			t.Fatalf("%v: %s", o.Task, o.Failure.Reason)
		}
	}
	return step(job.Batch{Tasks: tasks(job.KindReduce, 0, partitions), Sources: []job.Source{source}})
}

func TestAKeyedRunReducesEachKeyOnce(t *testing.T) {
	lines, want := text()
	for _, sorted := range []bool{false, true} {
		t.Run(fmt.Sprintf("sorted=%v", sorted), func(t *testing.T) {
			w, h := start(t, Config{Slots: 2, Processors: mapreduce.Registry{"words": mapreduce.Of(words{})}}, newShuffle(t))
			r := keyedRun("r")
			r.Spec.Sorted = sorted
			var keys []string
			got := map[string]int{}
			for _, o := range conduct(t, w, h, r, payloads(t, lines, 4)) {
				if o.Failure != nil {
					t.Fatalf("%v: %s", o.Task, o.Failure.Reason)
				}
				if o.Bytes == 0 {
					t.Errorf("%v has read nothing", o.Task)
				}
				a := job.AttemptID{Run: r.ID, Task: o.Task, Epoch: 1, N: 1}
				pairs := 0
				for _, b := range h.output[a] {
					for len(b) > 0 {
						k, v, rest, err := mapreduce.NextPair(b)
						if err != nil {
							t.Fatal(err)
						}
						var n int
						if err := mapreduce.NewResult(0, v, "").Decode(&n); err != nil {
							t.Fatal(err)
						}
						keys = append(keys, string(k))
						got[string(k)] += n
						b = rest
						pairs++
					}
				}
				if pairs != h.pairs[a] {
					t.Errorf("%v handed on %d pairs and told of %d", o.Task, pairs, h.pairs[a])
				}
			}
			if len(keys) != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %d keys, want %d:\n%v\n%v", len(keys), len(want), got, want)
			}
			if sorted && !slices.IsSorted(keys) {
				t.Errorf("the output of the partitions in turn is not sorted: %q", keys)
			}
			if sorted && len(h.output) != partitions {
				t.Errorf("%d of %d partitions have keys", len(h.output), partitions)
			}
		})
	}
}

func TestAKeyedRunWritesFiles(t *testing.T) {
	lines, want := text()
	w, h := start(t, Config{Slots: 2, Processors: mapreduce.Registry{"words": mapreduce.Of(words{})}}, newShuffle(t))
	r := keyedRun("r")
	r.Spec.Output = job.Output{Dir: t.TempDir(), Format: mapreduce.TSV}
	n := 0
	for i, o := range conduct(t, w, h, r, payloads(t, lines, 4)) {
		name := fmt.Sprintf("part-%05d", i)
		if o.Failure != nil || !slices.Equal(o.Files, []string{name}) {
			t.Fatalf("got %+v with %+v, want the file %s", o, o.Failure, name)
		}
		b, err := os.ReadFile(filepath.Join(AttemptDir(r.Spec.Output.Dir, job.AttemptID{Run: r.ID, Task: o.Task, Epoch: 1, N: 1}), name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			word, count, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if fmt.Sprint(want[word]) != count {
				t.Errorf("got %q, want a count of %d", line, want[word])
			}
			n++
		}
	}
	if n != len(want) || len(h.output) > 0 {
		t.Errorf("got %d lines and %d outputs, want %d lines alone", n, len(h.output), len(want))
	}
}

func TestKeyedCodeCanFailOnlyItsAttempt(t *testing.T) {
	lines, _ := text()
	boom := func(context.Context, string) error { panic("boom") }
	exit := func(context.Context, string) error { return mapreduce.Permanent(errors.New("bad record")) }
	for _, test := range []struct {
		code words
		want string
	}{
		{words{onMap: boom}, "boom"},
		{words{onMap: exit}, "bad record"},
	} {
		w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(test.code)}}, newShuffle(t))
		task := mapTasks(0, 1)[0]
		task.Payload = payloads(t, lines, 1)[0]
		if o := one(t, w, h, keyedRun("r"), task); o.Failure == nil || !strings.Contains(o.Failure.Reason, test.want) {
			t.Errorf("got %+v, want %q", o.Failure, test.want)
		}
	}
	for _, test := range []struct {
		code words
		want string
	}{
		{words{onReduce: boom}, "boom"},
		{words{onReduce: exit}, "bad record"},
	} {
		w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(test.code)}}, newShuffle(t))
		for _, o := range conduct(t, w, h, keyedRun("r"), payloads(t, lines, 2)) {
			if o.Failure == nil || !strings.Contains(o.Failure.Reason, test.want) {
				t.Errorf("got %+v, want %q", o.Failure, test.want)
			}
		}
	}
}
