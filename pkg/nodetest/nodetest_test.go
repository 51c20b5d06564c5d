package nodetest_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

type wordCount struct{}

func (wordCount) Map(_ context.Context, line string, emit func(string, int)) error {
	for w := range strings.FieldsSeq(line) {
		emit(w, 1)
	}
	return nil
}

func (wordCount) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	for one := range ones {
		n += one
	}
	return n, nil
}

// combining is wordCount with a combiner.
type combining struct{ wordCount }

func (combining) Combine(a, b int) int { return a + b }

// flaky is wordCount whose attempts fail half way, until that was often enough.
type flaky struct {
	wordCount
	calls *atomic.Int64
}

func (f flaky) Map(ctx context.Context, line string, emit func(string, int)) error {
	if err := f.wordCount.Map(ctx, line, emit); err != nil {
		return err
	}
	switch n := f.calls.Add(1); {
	case n%50 == 20 && n < 1000:
		return fmt.Errorf("not today")
	case n%50 == 45 && n < 1000:
		panic("not like this")
	}
	return nil
}

func start(t *testing.T, n int, r mapreduce.Registry) *nodetest.Cluster {
	t.Helper()
	return nodetest.Start(t, n, func(_ int, cfg *node.Config) { cfg.Processors = r })
}

func wait(t *testing.T, n *node.Node, spec job.Spec) mapreduce.Output {
	t.Helper()
	run, err := n.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOutputDependsOnTheInputAlone is the law: nodes, splits, partitions,
// combiners and attempts make no difference to what a run returns.
func TestOutputDependsOnTheInputAlone(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var calls atomic.Int64
	registry := mapreduce.Registry{
		"plain": mapreduce.Of(wordCount{}), "combining": mapreduce.Of(combining{}), "flaky": mapreduce.Of(flaky{calls: &calls}),
	}
	clusters := []*nodetest.Cluster{start(t, 1, registry), start(t, 3, registry)}
	for round := range 12 {
		calls.Store(0)
		lines := randomLines(rng)
		want, err := mapreduce.Local(t.Context(), wordCount{}, lines...)
		if err != nil {
			t.Fatal(err)
		}
		spec := job.Spec{
			Processor: []string{"plain", "combining", "flaky"}[rng.IntN(3)], Partitions: rng.IntN(9),
			Sorted: rng.IntN(2) == 0, Input: job.Values(lines...),
			Retry: job.Retry{Attempts: 50, Backoff: trigger.Backoff{Initial: time.Millisecond, Factor: 1}},
		}
		if rng.IntN(2) == 0 {
			spec.Input = job.Lines(write(t, lines))
			spec.Input.SplitBytes = 1 + rng.Int64N(2000)
		}
		c := clusters[rng.IntN(2)]
		var got []mapreduce.Pair[string, int]
		for p, err := range mapreduce.Pairs[string, int](t.Context(), wait(t, c.Node(0), spec)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		if !spec.Sorted { // then only each partition is in order
			slices.SortFunc(got, func(a, b mapreduce.Pair[string, int]) int { return cmp.Compare(a.Key, b.Key) })
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, %+v: got %d pairs %.200v, want %d pairs %.200v", round, spec, len(got), got, len(want), want)
		}
	}
}

func randomLines(rng *rand.Rand) []string {
	lines := make([]string, rng.IntN(400))
	for i := range lines {
		var words []string
		for range rng.IntN(12) {
			words = append(words, fmt.Sprint("w", int(rng.ExpFloat64()*50)))
		}
		lines[i] = strings.Join(words, " ")
	}
	return lines
}

// write puts lines into a few files and returns the pattern that matches them.
func write(t *testing.T, lines []string) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 3 {
		part := lines[i*len(lines)/3 : (i+1)*len(lines)/3]
		text := strings.Join(part, "\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".txt")), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*.txt")
}

// numbers emits as many tasks as params say and adds up what they return. It
// holds every task from the one numbered hold until open is closed.
type numbers struct {
	hold    int
	reached chan struct{} // closed when a task waits
	once    *atomic.Bool
	open    chan struct{}
}

func newNumbers(hold int) numbers {
	return numbers{hold: hold, reached: make(chan struct{}), once: new(atomic.Bool), open: make(chan struct{})}
}

func (p numbers) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var n int
	if t.Parent == "" {
		var total int
		if _, err := fmt.Sscan(t.Params, &total); err != nil {
			return nil, mapreduce.Permanent(err)
		}
		for i := range total {
			if err := t.Emit("number", i); err != nil {
				return nil, err
			}
		}
		return -1, nil
	}
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	if n >= p.hold {
		if p.once.CompareAndSwap(false, true) {
			close(p.reached)
		}
		select {
		case <-p.open:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return n, nil
}

func (numbers) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	seen := map[int]int{}
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		seen[n]++
	}
	for n, times := range seen {
		if times != 1 {
			return nil, mapreduce.Permanent(fmt.Errorf("task %d counted %d times", n, times))
		}
	}
	return len(seen) - 1, nil
}

// TestEveryTaskCountsOnceWhenAWorkerIsKilled kills one of three nodes half way
// through a run.
func TestEveryTaskCountsOnceWhenAWorkerIsKilled(t *testing.T) {
	p := newNumbers(2500)
	c := start(t, 3, mapreduce.Registry{"numbers": p})
	run, err := c.Node(1).Submit(t.Context(), job.Spec{Processor: "numbers", Params: "5000"})
	if err != nil {
		t.Fatal(err)
	}
	<-p.reached
	c.Kill(2)
	close(p.open)
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != 5000 {
		t.Errorf("got %d tasks, %v, want 5000", got, err)
	}
}

// TestARunGoesOnUnderAnotherMaster kills the node that conducts a run.
func TestARunGoesOnUnderAnotherMaster(t *testing.T) {
	first, second := newNumbers(0), newNumbers(1000)
	c := start(t, 3, mapreduce.Registry{"first": first, "second": second})
	// The node with the state conducts the first run, so another one conducts
	// the second.
	run1, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "first", Params: "2"})
	if err != nil {
		t.Fatal(err)
	}
	run2, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "second", Params: "2000"})
	if err != nil {
		t.Fatal(err)
	}
	<-second.reached
	before, err := run2.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	master := slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return c.Node(i).ID() == before.Master })
	if master < 1 {
		t.Fatalf("the second run is conducted by node %d, want another than node 0", master)
	}
	c.Kill(master)
	close(first.open)
	close(second.open)
	for _, run := range []*node.Run{run1, run2} {
		out, err := run.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := map[job.RunID]int{run1.ID(): 2, run2.ID(): 2000}[run.ID()]
		if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != want {
			t.Errorf("%s: got %d tasks, %v, want %d", run.ID(), got, err, want)
		}
	}
	after, err := run2.Get(t.Context())
	if err != nil || after.Epoch <= before.Epoch {
		t.Errorf("got epoch %d, %v, want one after %d", after.Epoch, err, before.Epoch)
	}
}

// gated is wordCount whose reduces wait until open is closed.
type gated struct {
	wordCount
	maps    *atomic.Int64
	reached chan struct{}
	once    *atomic.Bool
	open    chan struct{}
}

func (g gated) Map(ctx context.Context, line string, emit func(string, int)) error {
	g.maps.Add(1)
	return g.wordCount.Map(ctx, line, emit)
}

func (g gated) Reduce(ctx context.Context, k string, ones iter.Seq[int]) (int, error) {
	if g.once.CompareAndSwap(false, true) {
		close(g.reached)
	}
	select {
	case <-g.open:
		return g.wordCount.Reduce(ctx, k, ones)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// TestLostMapOutputIsMadeAnew kills a node after the last map task, when the
// reduces have begun.
func TestLostMapOutputIsMadeAnew(t *testing.T) {
	g := gated{maps: new(atomic.Int64), reached: make(chan struct{}), once: new(atomic.Bool), open: make(chan struct{})}
	c := start(t, 3, mapreduce.Registry{"gated": mapreduce.Of(g)})
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf("all w%d", i%10))
	}
	run, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "gated", Input: job.Values(lines...), Partitions: 12})
	if err != nil {
		t.Fatal(err)
	}
	<-g.reached
	mapped := g.maps.Load()
	c.Kill(2)
	close(g.open)
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts, err := mapreduce.Collect[string, int](t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"all": 60}
	for i := range 10 {
		want[fmt.Sprint("w", i)] = 6
	}
	if !maps.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
	if again := g.maps.Load() - mapped; again == 0 || again >= mapped {
		t.Errorf("%d of %d lines were mapped again, want some and not all", again, mapped)
	}
}

// TestARunThatNobodyCountsSaysSo watches a run from a worker while the node
// that holds the state, and conducts the run, is away.
func TestARunThatNobodyCountsSaysSo(t *testing.T) {
	p := newNumbers(500)
	c := start(t, 2, mapreduce.Registry{"numbers": p})
	run, err := c.Node(1).Submit(t.Context(), job.Spec{Processor: "numbers", Params: "1000"})
	if err != nil {
		t.Fatal(err)
	}
	<-p.reached
	known, waited := 0, false
	for now := range run.Watch(t.Context(), 10*time.Millisecond) {
		if now.Tasks < known {
			t.Errorf("got %d tasks after %d", now.Tasks, known)
		}
		switch {
		case known == 0 && now.Tasks > 1:
			known = now.Tasks
			c.Kill(0)
		case known > 0 && !waited && now.Waiting != "":
			waited = true
			c.Restart(0)
			close(p.open)
		}
	}
	if !waited {
		t.Error("the run did not say that it waits")
	}
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != 1000 {
		t.Errorf("got %d tasks, %v, want 1000", got, err)
	}
}

// TestTheNetworkDoesWhatItIsTold asks the node with the state across a link
// that is cut, is slow, and is as it was again.
func TestTheNetworkDoesWhatItIsTold(t *testing.T) {
	c := start(t, 2, nil)
	ask := func(patience time.Duration) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		began := time.Now()
		_, err := c.Node(1).Runs(ctx, "", 1)
		return time.Since(began), err
	}
	for name, cut := range map[string]func(){
		"cut": func() { c.Cut(0, 1) }, "isolated": func() { c.Isolate(0) },
	} {
		cut()
		if took, err := ask(100 * time.Millisecond); err == nil {
			t.Errorf("%s: got an answer after %v, want none", name, took)
		}
		c.Heal()
		if _, err := ask(time.Minute); err != nil {
			t.Errorf("%s and healed: %v", name, err)
		}
	}
	const there = 500 * time.Millisecond
	c.Slow(0, 1, there, 0)
	if took, err := ask(time.Minute); err != nil || took < 2*there {
		t.Errorf("slow: got an answer after %v, %v, want one after %v at least", took, err, 2*there)
	}
	c.Heal()
	if took, err := ask(time.Minute); err != nil || took >= 2*there {
		t.Errorf("healed: got an answer after %v, %v, want it to be fast again", took, err)
	}
}

// TestRunsOutliveTheirCluster stops all nodes in the middle of a run and
// starts them again.
func TestRunsOutliveTheirCluster(t *testing.T) {
	p := newNumbers(500)
	c := start(t, 3, mapreduce.Registry{"numbers": p})
	run, err := c.Node(1).Submit(t.Context(), job.Spec{Processor: "numbers", Params: "1000"})
	if err != nil {
		t.Fatal(err)
	}
	id := run.ID()
	<-p.reached
	for i := range 3 {
		c.Kill(i)
	}
	close(p.open)
	for i := range 3 {
		c.Restart(i)
	}
	out, err := c.Node(2).Run(id).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != 1000 {
		t.Errorf("got %d tasks, %v, want 1000", got, err)
	}
}

// TestAWrongClockIsBelievedByNobodyElse submits to a node whose clock is an
// hour ahead, for now and for later.
func TestAWrongClockIsBelievedByNobodyElse(t *testing.T) {
	p := newNumbers(1000)
	c := start(t, 2, mapreduce.Registry{"numbers": p})
	c.Skew(1, time.Hour)
	before := time.Now()
	run, err := c.Node(1).Submit(t.Context(), job.Spec{Processor: "numbers", Params: "3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := run.Get(t.Context())
	if err != nil || got.Created.Sub(before) < time.Hour || got.Finished.Sub(before) > time.Hour/2 {
		t.Errorf("got %+v, %v, want one that was created in an hour and has ended now", got, err)
	}
	later, err := c.Node(1).Submit(t.Context(), job.Spec{Processor: "numbers", Params: "3"}, node.NotBefore(before.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := later.Get(t.Context()); err != nil || got.State != job.Pending {
		t.Errorf("got %v, %v, want it to wait for an hour by the leader's clock", got.State, err)
	}
}
