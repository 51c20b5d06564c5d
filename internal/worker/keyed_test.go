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
	"sync"
	"testing"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
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

// fakePairs is a shuffle whose reader breaks off, and which notes what is
// dropped.
type fakePairs struct {
	lost error

	mu      sync.Mutex
	drops   []job.RunID
	aborted int
}

func (p *fakePairs) Writer(shuffle.WriterConfig) (pairWriter, error) {
	return &fakeWriter{p}, nil
}

func (p *fakePairs) Read(context.Context, shuffle.ReadConfig) (pairReader, error) {
	return &fakeReader{p: p}, nil
}

func (p *fakePairs) Drop(id job.RunID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops = append(p.drops, id)
}

type fakeWriter struct{ p *fakePairs }

func (w *fakeWriter) Add(_, _ []byte) error          { return nil }
func (w *fakeWriter) Commit() (shuffle.Stats, error) { return shuffle.Stats{}, nil }
func (w *fakeWriter) Abort() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.aborted++
}

type fakeReader struct {
	p   *fakePairs
	err error
}

func (r *fakeReader) Groups() iter.Seq2[[]byte, iter.Seq[[]byte]] {
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		one, _ := mapreduce.Encode(1)
		yield([]byte("word"), func(yield func([]byte) bool) {
			if yield(one) {
				r.err = r.p.lost // there were more of them
			}
		})
	}
}

func (r *fakeReader) Err() error { return r.err }
func (r *fakeReader) Close()     {}

func TestAReduceThatLosesItsInputNamesTheMapOutputs(t *testing.T) {
	lost := []job.MapOutputID{{Task: 4, Epoch: 1, Attempt: 2}}
	p := &fakePairs{lost: fmt.Errorf("wrapped: %w", &shuffle.LostError{Run: "r", Outputs: lost, Cause: errors.New("gone")})}
	w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(words{})}}, p)
	o := one(t, w, h, keyedRun("r"), tasks(job.KindReduce, 1, 1)[0])
	if o.Failure == nil || !slices.Equal(o.Failure.Lost, lost) || o.Failure.Permanent {
		t.Errorf("got %+v, want it to name the outputs", o.Failure)
	}
	if len(h.output) > 0 {
		t.Error("it returned a sum of what there was")
	}
}

func TestCancelCutsOffPairs(t *testing.T) {
	began := make(chan struct{})
	var once sync.Once
	endless := words{onMap: func(ctx context.Context, _ string) error {
		once.Do(func() { close(began) })
		<-ctx.Done()
		return nil // as if nothing were
	}}
	p := &fakePairs{}
	w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(endless)}}, p)
	take(t, w, keyedRun("r"), mapTasks(0, 1))
	<-began
	w.Cancel("r", 1, nil, nil)
	if o := h.await("r", 1)[0]; o.Failure == nil || o.Failure.Reason != ErrCanceled.Error() {
		t.Errorf("got %+v", o.Failure)
	}
	if p.aborted != 1 {
		t.Error("its pairs were not aborted")
	}
}

func TestForgetDropsPairsOnceMoreWhenTheLastAttemptIsBack(t *testing.T) {
	began, gate, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stubborn := words{onMap: func(context.Context, string) error {
		close(began)
		<-gate
		close(done)
		return nil
	}}
	p := &fakePairs{}
	w, h := start(t, Config{Slots: 1, Processors: mapreduce.Registry{"words": mapreduce.Of(stubborn), "p": mapreduce.ProcessorFunc(noop)}}, p)
	take(t, w, keyedRun("r"), mapTasks(0, 9))
	<-began
	w.Forget("r")
	if s := w.Stats(); s.Queued != 0 || len(s.Runs) != 0 || len(p.drops) != 1 {
		t.Errorf("got %+v and %d drops", s, len(p.drops))
	}
	close(gate)
	<-done
	take(t, w, newTestRun("next", "p"), mapTasks(0, 1))
	h.await("next", 1)
	if err := w.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if !slices.Equal(p.drops, []job.RunID{"r", "r"}) || len(h.outcomes["r"]) > 0 {
		t.Errorf("got drops %q and %d outcomes, want two drops and no word of it", p.drops, len(h.outcomes["r"]))
	}
}

func TestPairsAreHandedOnInChunks(t *testing.T) {
	w, h := start(t, Config{Processors: mapreduce.Registry{"p": mapreduce.ProcessorFunc(noop)}}, nil)
	a := newAttempt(w)
	a.run, a.what, a.ctx = newRun("r", 1, newTestRun("r", "p").Created), &job.Task{}, t.Context()
	p := &packer{a: a}
	for _, size := range []int{1, chunkBytes / 2, chunkBytes / 2, chunkBytes / 4, 0, chunkBytes + 1, 1} {
		if err := p.add([]byte("k"), make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range h.output[a.id()] {
		pairs, size := 0, len(b)
		for len(b) > 0 {
			_, _, rest, err := mapreduce.NextPair(b)
			if err != nil {
				t.Fatal(err)
			}
			b = rest
			pairs++
		}
		n += pairs
		if size > chunkBytes && pairs > 1 {
			t.Errorf("a chunk of %d bytes holds %d pairs", size, pairs)
		}
	}
	if n != 7 || h.pairs[a.id()] != 7 || len(h.output[a.id()]) != 4 {
		t.Errorf("got %d pairs in %d chunks, want 7 in 4", n, len(h.output[a.id()]))
	}
	if err := p.add([]byte("k"), make([]byte, 1<<20)); !mapreduce.IsPermanent(err) || !strings.Contains(err.Error(), "Output") {
		t.Errorf("got %v for a pair that is too large", err)
	}
}

// summing sums up the results of all tasks.
type summing struct{ mapreduce.ProcessorFunc }

func (summing) Before(context.Context, *mapreduce.Task) (any, error) { return "begin", nil }

func (summing) Reduce(ctx context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	return sum, ctx.Err()
}

func TestAReduceSeesAllResultsOrFails(t *testing.T) {
	h := newHost()
	for i := range 10 {
		b, _ := mapreduce.Encode(i)
		h.results = append(h.results, mapreduce.NewResult(i, b, ""))
	}
	w, _ := start(t, Config{Host: h, Processors: mapreduce.Registry{"sum": summing{noop}}}, nil)
	r := newTestRun("r", "sum")
	want, _ := mapreduce.Encode(45)
	if o := one(t, w, h, r, tasks(job.KindReduce, 0, 1)[0]); o.Failure != nil || string(o.Result) != string(want) {
		t.Errorf("got %+v with %+v, want 45", o, o.Failure)
	}
	take(t, w, r, tasks(job.KindBefore, 0, 1))
	want, _ = mapreduce.Encode("begin")
	if o := h.await("r", 2)[1]; string(o.Result) != string(want) {
		t.Errorf("got %+v from the step before", o)
	}
	h.broken = errors.New("journal cut off")
	take(t, w, r, tasks(job.KindReduce, 1, 1))
	if o := h.await("r", 3)[2]; o.Failure == nil || !strings.Contains(o.Failure.Reason, "journal cut off") {
		t.Errorf("got %+v, want it to fail for its input", o)
	}
}

func TestBoundsSurviveTheirWay(t *testing.T) {
	long := strings.Repeat("x", maxBound)
	for _, test := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"a", "b\x00", "c"}, []string{"a", "b\x00", "c"}},
		{[]string{"a", long + "1", long + "2", "y"}, []string{"a", long, "y"}},
	} {
		var in sharding.Ranges
		for _, s := range test.in {
			in = append(in, []byte(s))
		}
		out, err := decodeBounds(encodeBounds(in))
		var got []string
		for _, b := range out {
			got = append(got, string(b))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("got %q, %v, want %q", got, err, test.want)
		}
	}
}

func TestBoundsThatDoNotFitFailTheAttempt(t *testing.T) {
	w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(words{})}}, &fakePairs{})
	r := keyedRun("r")
	r.Spec.Sorted = true
	for i, before := range [][]byte{nil, {200}, {3, 1, 'a', 1, 'b', 1, 'c'}, {2, 1, 'b', 1, 'a'}, {1, 1, 'a', 0}} {
		w.Take(job.Batch{Run: r, Before: before, Tasks: mapTasks(i, 1)})
		if o := h.await("r", i+1)[i]; o.Failure == nil || !o.Failure.Permanent || !strings.Contains(o.Failure.Reason, "bounds of run r") {
			t.Errorf("%v: got %+v, want a permanent failure", before, o.Failure)
		}
	}
}

func FuzzDecodeBounds(f *testing.F) {
	f.Add(encodeBounds(sharding.Ranges{[]byte("a"), []byte("b")}))
	f.Add([]byte{255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeBounds(b)
		if err == nil && !slices.IsSortedFunc(r, func(a, b []byte) int { return strings.Compare(string(a), string(b)) }) {
			t.Errorf("%q does not ascend", r)
		}
	})
}
