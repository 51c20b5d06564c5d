package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

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

func (w *fakeWriter) Add(_, _ []byte) error                         { return nil }
func (w *fakeWriter) AddWords([][16]byte, [][]byte, []uint64) error { return nil }
func (w *fakeWriter) Commit() (shuffle.Stats, error)                { return shuffle.Stats{}, nil }
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

func (r *fakeReader) Pairs() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		one, _ := mapreduce.Encode(1)
		if yield([]byte("word"), one) {
			r.err = r.p.lost
		}
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

// byWord emits each word with its length, and has no Reduce.
type byWord struct{}

func (byWord) Map(_ context.Context, line string, emit func(string, int)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, len(word))
	}
	return nil
}

func TestPairsThatPassAsTheyAreEndWithTheirInput(t *testing.T) {
	lost := []job.MapOutputID{{Task: 4, Epoch: 1, Attempt: 2}}
	p := &fakePairs{lost: &shuffle.LostError{Run: "r", Outputs: lost, Cause: errors.New("gone")}}
	w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.OfMap(byWord{})}}, p)
	o := one(t, w, h, keyedRun("r"), tasks(job.KindReduce, 1, 1)[0])
	if o.Failure == nil || !slices.Equal(o.Failure.Lost, lost) {
		t.Errorf("got %+v, want it to name the outputs", o.Failure)
	}
	if len(h.output) > 0 {
		t.Error("it returned what there was")
	}
}

func TestPairsThatPassAsTheyAreEndWithTheirAttempt(t *testing.T) {
	w, _ := start(t, Config{Processors: mapreduce.Registry{"p": mapreduce.ProcessorFunc(noop)}}, nil)
	a := newAttempt(w)
	full := errors.New("disk full")
	if err := a.passPairs(&fakeReader{p: &fakePairs{}}, &fullSink{err: full}); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	a.stop(mapreduce.ErrCanceled)
	sink := &fullSink{err: full}
	if err := a.passPairs(&fakeReader{p: &fakePairs{}}, sink); !errors.Is(err, mapreduce.ErrCanceled) || sink.taken > 0 {
		t.Errorf("got %v after %d pairs, want none and %v", err, sink.taken, mapreduce.ErrCanceled)
	}
}

// fullSink takes no more pairs.
type fullSink struct {
	err   error
	taken int
}

func (s *fullSink) add(_, _ []byte) error { s.taken++; return s.err }
func (s *fullSink) close() error          { return nil }

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
	if o := h.await("r", 1)[0]; o.Failure == nil || o.Failure.Reason != mapreduce.ErrCanceled.Error() {
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
