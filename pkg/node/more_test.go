package node_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// versioned tells where it ran, and is only mixed with its like.
type versioned struct{ version string }

func (v versioned) Version() string { return v.version }

func (v versioned) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	return t.Node + " " + v.version, nil
}

// TestARunKeepsToOneVersionOfItsProcessor has two nodes with one and a third
// with another.
func TestARunKeepsToOneVersionOfItsProcessor(t *testing.T) {
	c := nodetest.Start(t, 3, func(i int, cfg *node.Config) {
		cfg.Logger = quiet
		cfg.Processors = mapreduce.Registry{"v": versioned{[]string{"1", "2", "1"}[i]}}
	})
	for i, want := range [][]string{{"n0 1", "n2 1"}, {"n1 2"}, {"n0 1", "n2 1"}} {
		got := values[string](t, do(t, c.Node(i), job.Spec{Processor: "v", Mode: job.Broadcast}))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("submitted by n%d: got %q, want %q", i, got, want)
		}
	}
	r := submit(t, c.Node(1), job.Spec{Processor: "v", Placement: job.Placement{Nodes: []string{"n0"}}})
	for p := range r.Watch(t.Context(), time.Millisecond) {
		if p.Waiting != "" {
			says(t, errors.New(p.Waiting), `2 have processor "v" in version "1" and not "2"`, "is not named n0")
			break
		}
	}
	if err := r.Cancel(t.Context(), ""); err != nil { // which has no reason, and none is needed
		t.Fatal(err)
	}
	if text := fails(t, r, job.Canceled).Error(); strings.HasSuffix(text, ": ") {
		t.Errorf("got %q, want a reason", text)
	}
}

// deep emits down to the level that Params says.
type deep struct{}

func (deep) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	level := 0
	if err := t.Decode(&level); err != nil {
		return nil, err
	}
	if fmt.Sprint(level) == t.Params {
		return 1, nil
	}
	for range 2 {
		if err := t.Emit(fmt.Sprint("level", level+1), level+1); err != nil {
			return nil, err
		}
	}
	return 0, nil
}

// someReduce looks at the first result only.
type someReduce struct{ deep }

func (someReduce) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	for range results {
		return "saw one", nil
	}
	return "saw none", nil
}

// TestSubtasksHaveSubtasks goes ten levels down, and a Reduce need not look at
// all there are.
func TestSubtasksHaveSubtasks(t *testing.T) {
	c := pool(t, 2, mapreduce.Registry{"deep": deep{}, "some": someReduce{}})
	sum := 0
	for _, n := range values[int](t, do(t, c.Node(1), job.Spec{Processor: "deep", Params: "10"})) {
		sum += n
	}
	if sum != 1<<10 {
		t.Errorf("got %d leaves, want %d", sum, 1<<10)
	}
	if got, err := mapreduce.Value[string](t.Context(), do(t, c.Node(1), job.Spec{Processor: "some", Params: "5"})); err != nil || got != "saw one" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestTasksThatMayNotEmitSaySo tries it in a broadcast.
func TestTasksThatMayNotEmitSaySo(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo, "emits": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		return nil, t.Emit("sub", 1)
	})})
	r := submit(t, n, job.Spec{Processor: "emits", Mode: job.Broadcast})
	fails(t, r, job.Failed, "m0 can't emit subtasks", "standalone, map and sharded")
	if got := progress(t, r).Attempts; got != 1 {
		t.Errorf("it was tried %d times, want once", got)
	}
	stillWorks(t, n)
}

// TestARunThatWaitsCanBeCancelledAndTimesOut has no worker for its tasks.
func TestARunThatWaitsCanBeCancelledAndTimesOut(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo, "wordcount": mapreduce.Of(wordCount{})})
	nobody := job.Placement{Tags: []string{"nobody"}}
	late := submit(t, n, job.Spec{Processor: "echo", Placement: nobody, RunTimeout: 30 * time.Millisecond})
	for _, processor := range []string{"echo", "wordcount"} {
		r := submit(t, n, job.Spec{Processor: processor, Placement: nobody, Input: job.Values("a")})
		if err := r.Cancel(t.Context(), "no use"); err != nil {
			t.Fatal(err)
		}
		fails(t, r, job.Canceled, "no use")
	}
	fails(t, late, job.Failed, "RunTimeout of 30ms", "it waited: no worker: 1 lacks tag nobody")
	stillWorks(t, n)
}

// TestHandlesOnNothingSaySo asks for runs whose IDs can't be.
func TestHandlesOnNothingSaySo(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	for _, id := range []job.RunID{"", "x", "\x00", job.RunID(strings.Repeat("x", 5000)), "default/echo@20261124T044922Z-aaaaaaaa"} {
		_, err := n.Run(id).Get(t.Context())
		if says(t, err); len(err.Error()) > 1000 {
			t.Errorf("got an error of %d bytes for run %.20q", len(err.Error()), id)
		}
		if len(id) > 0 && len(id) < 100 && !errors.Is(err, node.ErrNoRun) {
			t.Errorf("got %v for run %.20q, want ErrNoRun", err, id)
		}
	}
	for range 3 {
		do(t, n, job.Spec{Processor: "echo"})
	}
	for limit, want := range map[int]int{-1: 3, 0: 3, 2: 2, 1 << 40: 3} {
		if runs, err := n.Runs(t.Context(), "", limit); err != nil || len(runs) != want {
			t.Errorf("limit %d: got %d runs, %v, want %d", limit, len(runs), err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Submit(ctx, job.Spec{Processor: "echo"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v of a submit whose context is over", err)
	}
	for range submit(t, n, job.Spec{Processor: "echo"}).Watch(t.Context(), 0) {
		break // and that without a panic
	}
}
