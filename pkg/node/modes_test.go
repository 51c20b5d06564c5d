package node_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// pool starts a cluster of n nodes that have the given processors.
func pool(t *testing.T, n int, r mapreduce.Registry) *nodetest.Cluster {
	t.Helper()
	return nodetest.Start(t, n, func(_ int, cfg *node.Config) { cfg.Processors, cfg.Logger = r, quiet })
}

// where tells which shard it is, and on which node.
type where struct {
	Index, Total int
	Node         string
}

var tellsWhere = mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
	return where{t.Shard.Index, t.Shard.Total, t.Node}, nil
})

// TestShardsKnowTheirPlace runs seven, and one for each worker.
func TestShardsKnowTheirPlace(t *testing.T) {
	c := pool(t, 3, mapreduce.Registry{"where": tellsWhere})
	for shards, want := range map[int]int{7: 7, 0: 3, 1: 1} {
		got := values[where](t, do(t, c.Node(1), job.Spec{Processor: "where", Mode: job.Sharded, Shards: shards}))
		if len(got) != want {
			t.Errorf("Shards %d: got %d tasks, want %d", shards, len(got), want)
		}
		for i, w := range got {
			if w.Index != i || w.Total != want {
				t.Errorf("Shards %d: task %d was shard %d of %d, want %d of %d", shards, i, w.Index, w.Total, i, want)
			}
		}
	}
	// Inline values have a place too; subtasks have none.
	got := values[where](t, do(t, c.Node(1), job.Spec{Processor: "where", Input: job.Values("a", "b")}))
	if len(got) != 2 || got[1].Index != 1 || got[1].Total != 2 {
		t.Errorf("got %+v for two values", got)
	}
}

// rollCall is a broadcast with all three steps.
type rollCall struct{}

func (rollCall) Before(_ context.Context, t *mapreduce.Task) (any, error) { return "from " + t.ID, nil }

func (rollCall) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	var before string
	err := t.DecodeBefore(&before)
	return t.Node + " " + before, err
}

func (rollCall) Reduce(_ context.Context, t *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	var before string
	if err := t.DecodeBefore(&before); err != nil {
		return nil, err
	}
	var all []string
	for r := range results {
		var s string
		if err := r.Decode(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return append(all, "folded "+before), nil
}

// TestABroadcastReachesEveryWorkerOnce goes to all, to the tagged and to the
// named, with a step before and one that sees all results.
func TestABroadcastReachesEveryWorkerOnce(t *testing.T) {
	c := nodetest.Start(t, 4, func(i int, cfg *node.Config) {
		cfg.Processors, cfg.Logger = mapreduce.Registry{"roll": rollCall{}}, quiet
		if i == 1 || i == 2 {
			cfg.Tags = []string{"even", fmt.Sprint("odd", i)}
		}
		cfg.Client = i == 3
	})
	for _, k := range []struct {
		placement job.Placement
		want      []string
	}{
		{job.Placement{}, []string{"n0", "n1", "n2"}},
		{job.Placement{Tags: []string{"even"}}, []string{"n1", "n2"}},
		{job.Placement{Tags: []string{"even", "odd2"}}, []string{"n2"}},
		{job.Placement{Nodes: []string{"n0", "n2"}}, []string{"n0", "n2"}},
	} {
		var want []string
		for _, name := range k.want {
			want = append(want, name+" from b0")
		}
		want = append(want, "folded from b0")
		out := do(t, c.Node(3), job.Spec{Processor: "roll", Mode: job.Broadcast, Placement: k.placement})
		if got, err := mapreduce.Value[[]string](t.Context(), out); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, %v, want %q", k.placement, got, err, want)
		}
	}
}

// TestASortedRunIsInOrderAsAWhole compares it with a sort in this goroutine.
func TestASortedRunIsInOrderAsAWhole(t *testing.T) {
	c := pool(t, 2, mapreduce.Registry{"sign": mapreduce.Of(identity{})})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	in, want := make([]int, 20_000), map[int]int{}
	for i := range in {
		in[i] = int(rng.NormFloat64() * 5000)
		want[in[i]]++
	}
	for _, partitions := range []int{1, 2, 7, 50} {
		got := pairs[int, int](t, do(t, c.Node(0), job.Spec{Processor: "sign", Input: job.Values(in...), Sorted: true, Partitions: partitions}))
		if !slices.IsSortedFunc(got, func(a, b mapreduce.Pair[int, int]) int { return cmp.Compare(a.Key, b.Key) }) {
			t.Errorf("%d partitions are in no order", partitions)
		}
		counts := map[int]int{}
		for _, p := range got {
			counts[p.Key] += p.Value
		}
		if !maps.Equal(counts, want) || len(got) != len(want) {
			t.Errorf("%d partitions: got %d keys, want %d with their counts", partitions, len(got), len(want))
		}
	}
}

// identity counts numbers.
type identity struct{}

func (identity) Map(_ context.Context, n int, emit func(int, int)) error {
	emit(n, 1)
	return nil
}

func (identity) Reduce(ctx context.Context, _ int, ones iter.Seq[int]) (int, error) {
	return wordCount{}.Reduce(ctx, "", ones)
}

// crowd counts how many of its attempts execute on each node at a time, and
// lets none go before two are there, or until it is open.
type crowd struct {
	mu        *sync.Mutex
	here      map[string]int
	most      map[string]int
	reached   chan string
	open      chan struct{}
	meetingOf int
}

func (c crowd) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	c.mu.Lock()
	c.here[t.Node]++
	c.most[t.Node] = max(c.most[t.Node], c.here[t.Node])
	if c.here[t.Node] == c.meetingOf {
		select {
		case c.reached <- t.Node:
		default:
		}
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.here[t.Node]--
	}()
	select {
	case <-c.open:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// TestConcurrencyBoundsTheAttemptsOnEachNode has eight slots on each of two
// nodes and lets three of each be used.
func TestConcurrencyBoundsTheAttemptsOnEachNode(t *testing.T) {
	k := crowd{new(sync.Mutex), map[string]int{}, map[string]int{}, make(chan string, 100), make(chan struct{}), 3}
	c := nodetest.Start(t, 2, func(_ int, cfg *node.Config) {
		cfg.Processors, cfg.Logger, cfg.Slots = mapreduce.Registry{"crowd": k, "echo": echo}, quiet, 8
	})
	r := submit(t, c.Node(0), job.Spec{Processor: "crowd", Mode: job.Sharded, Shards: 40, Concurrency: 3})
	full := map[string]bool{}
	for len(full) < 2 {
		full[<-k.reached] = true
	}
	stillWorks(t, c.Node(1)) // in the other slots
	close(k.open)
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.most["n0"] != 3 || k.most["n1"] != 3 {
		t.Errorf("got at most %v attempts at a time, want 3 on each", k.most)
	}
}

// TestARunWaitsForAWorkerThatFits asks for a tag that nobody has, and says so
// until somebody comes who has it.
func TestARunWaitsForAWorkerThatFits(t *testing.T) {
	r := mapreduce.Registry{"where": tellsWhere, "echo": echo}
	first := start(t, node.Config{Name: "first", Logger: quiet, Processors: r})
	spec := job.Spec{Processor: "where", Mode: job.Sharded, Shards: 3, Placement: job.Placement{Tags: []string{"gpu"}}}
	run := submit(t, first, spec)
	keyed := submit(t, first, job.Spec{Processor: "echo", Input: job.Values("x"), Placement: job.Placement{Nodes: []string{"second"}}})
	for r, want := range map[*node.Run]string{run: "no worker: 1 lacks tag gpu", keyed: "no worker: 1 is not named second"} {
		var p job.Progress
		for p = range r.Watch(t.Context(), 10*time.Millisecond) {
			if p.Waiting != "" {
				break
			}
		}
		if p.Waiting != want || p.Done != 0 || p.Running != 0 {
			t.Errorf("got progress %+v, want that it waits because %q", p, want)
		}
	}
	stillWorks(t, first)
	start(t, node.Config{Name: "second", Logger: quiet, Processors: r, Tags: []string{"gpu"}, Join: []string{first.Gossip()}})
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range values[where](t, out) {
		if w.Node != "second" || w.Total != 3 {
			t.Errorf("got %+v, want all three on the second node", w)
		}
	}
	if _, err := keyed.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if p := progress(t, run); p.Waiting != "" || p.Done != 3 {
		t.Errorf("got progress %+v of what is done", p)
	}
}

// TestTasksSeeWhatTheCallerSaid hands a key, extra values, parameters and the
// time of the submit to every task, subtasks and reduces included.
func TestTasksSeeWhatTheCallerSaid(t *testing.T) {
	seen := make(chan mapreduce.Task, 10)
	c := pool(t, 2, mapreduce.Registry{"sees": sees{seen}, "maps": mapreduce.Of(seesKeyed{seen})})
	before := time.Now()
	for _, spec := range []job.Spec{
		{Processor: "sees", Params: `{"a":1}`},
		{Processor: "maps", Params: `{"a":1}`, Partitions: 1, Input: job.Values("x")},
	} {
		r := submit(t, c.Node(1), spec, node.Key("order-17"), node.Extra("tenant", "a"), node.Extra("region", ""))
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		run, err := r.Get(t.Context())
		if err != nil || run.Key != "order-17" || run.Extra["tenant"] != "a" {
			t.Errorf("the run has key %q and extra %v, %v", run.Key, run.Extra, err)
		}
		ids := map[string]bool{}
		for len(seen) > 0 {
			task := <-seen
			ids[task.ID] = true
			if task.Run != string(r.ID()) || task.Key != "order-17" || !maps.Equal(task.Extra, map[string]string{"tenant": "a", "region": ""}) ||
				task.Params != `{"a":1}` || task.Attempt != 1 || !task.Fire.Equal(run.Fire) || task.Log == nil || task.IdempotencyKey() != string(r.ID())+"/"+task.ID {
				t.Errorf("%s saw %+v", task.ID, task)
			}
			if task.Fire.Before(before.Add(-time.Second)) || task.Fire.After(time.Now().Add(time.Second)) || task.Fire.Location() != time.UTC {
				t.Errorf("%s saw the run due at %v, want about now, in UTC", task.ID, task.Fire)
			}
			if task.ID == "m1" && (task.Parent != "m0" || task.Name != "sub") {
				t.Errorf("m1 has parent %q and name %q", task.Parent, task.Name)
			}
		}
		want := map[string]bool{"m0": true, "m1": true, "r0": true}
		if spec.Processor == "maps" {
			delete(want, "m1")
		}
		if !maps.Equal(ids, want) {
			t.Errorf("%s: got tasks %v, want %v", spec.Processor, ids, want)
		}
	}
}

// sees passes its tasks on.
type sees struct{ seen chan<- mapreduce.Task }

func (s sees) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	s.seen <- *t
	t.Log.Debug("seen", slog.String("task", t.ID))
	t.Progress(1, 2)
	if t.Parent == "" {
		return nil, t.Emit("sub", 1)
	}
	return nil, nil
}

func (s sees) Reduce(_ context.Context, t *mapreduce.Task, _ iter.Seq[mapreduce.Result]) (any, error) {
	s.seen <- *t
	return nil, nil
}

type seesKeyed struct{ seen chan<- mapreduce.Task }

func (s seesKeyed) Map(ctx context.Context, w string, emit func(string, int)) error {
	if t, ok := mapreduce.TaskFrom(ctx); ok {
		s.seen <- *t
	}
	emit(w, 1)
	return nil
}

func (s seesKeyed) Reduce(ctx context.Context, _ string, _ iter.Seq[int]) (int, error) {
	if t, ok := mapreduce.TaskFrom(ctx); ok {
		s.seen <- *t
	}
	return 0, nil
}
