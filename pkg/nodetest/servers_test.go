package nodetest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// three starts a cluster of three servers, and of workers up to n nodes.
func three(t *testing.T, n int, r mapreduce.Registry, configure func(i int, cfg *node.Config)) *nodetest.Cluster {
	t.Helper()
	return nodetest.Start(t, n, func(i int, cfg *node.Config) {
		cfg.Processors, cfg.Logger, cfg.Grace = r, slog.New(slog.DiscardHandler), 50*time.Millisecond
		if i < 3 {
			cfg.Servers = 3
		}
		if configure != nil {
			configure(i, cfg)
		}
	})
}

// leader returns which of the first three nodes leads, as node from says.
func leader(t *testing.T, c *nodetest.Cluster, from int) int {
	t.Helper()
	m, err := c.Node(from).Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var i int
	if _, err := fmt.Sscanf(m.Name, "n%d", &i); err != nil {
		t.Fatalf("the leader is called %q", m.Name)
	}
	return i
}

var echo = mapreduce.Func(func(_ context.Context, s string) (string, error) { return s, nil })

// TestEveryNodeFindsTheLeaderAndTheNext submits from servers, a worker and a
// client, under one leader and, while it is killed, under the next.
func TestEveryNodeFindsTheLeaderAndTheNext(t *testing.T) {
	c := three(t, 5, mapreduce.Registry{"echo": echo}, func(i int, cfg *node.Config) { cfg.Client = i == 4 })
	old := leader(t, c, 4)
	for i := range 5 {
		if got := leader(t, c, i); got != old {
			t.Errorf("node %d says that %d leads, node 4 %d", i, got, old)
		}
	}
	spec := job.Spec{Processor: "echo", Input: job.Values("x")}
	for i := range 5 {
		wait(t, c.Node(i), spec)
	}
	var wg sync.WaitGroup
	ids := make([][]job.RunID, 5)
	killed := make(chan struct{})
	for i := range 5 {
		if i == old {
			continue
		}
		n := c.Node(i)
		wg.Go(func() {
			for after := 0; after < 3; { // submits that begin when it is gone
				select {
				case <-killed:
					after++
				default:
				}
				r, err := n.Submit(t.Context(), spec)
				if err != nil {
					t.Errorf("node %d: %v", i, err)
					return
				}
				ids[i] = append(ids[i], r.ID())
			}
		})
	}
	c.Kill(old)
	close(killed)
	wg.Wait()
	next := leader(t, c, 4)
	if next == old {
		t.Errorf("node %d leads, which was killed", next)
	}
	for _, some := range ids {
		for _, id := range some {
			if _, err := c.Node(3).Run(id).Wait(t.Context()); err != nil {
				t.Errorf("run %s that was accepted: %v", id, err)
			}
		}
	}
}

// TestAKeyIsOneRunWhoeverAsks submits with one key from all nodes at once.
func TestAKeyIsOneRunWhoeverAsks(t *testing.T) {
	open := make(chan struct{})
	c := three(t, 3, mapreduce.Registry{"held": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
		select {
		case <-open:
		case <-ctx.Done():
		}
		return nil, context.Cause(ctx)
	})}, nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	ids := map[job.RunID]bool{}
	for i := range 12 {
		n := c.Node(i % 3)
		wg.Go(func() {
			r, err := n.Submit(t.Context(), job.Spec{Processor: "held"}, node.Key("k"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[r.ID()] = true
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("got %d runs, want one: %v", len(ids), ids)
	}
	close(open)
}

// TestARunWaitsForItsTimeWhileItsClusterIsAway restarts all servers between a
// submit and the time that the run is to begin at.
func TestARunWaitsForItsTimeWhileItsClusterIsAway(t *testing.T) {
	c := three(t, 3, mapreduce.Registry{"echo": echo}, nil)
	leader(t, c, 0)
	at := time.Now().Add(3 * time.Second)
	// It may take less than the time that it waits.
	spec := job.Spec{Processor: "echo", Input: job.Values("x"), RunTimeout: time.Minute}
	r, err := c.Node(1).Submit(t.Context(), spec, node.NotBefore(at))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.Kill(i)
	}
	for i := range 3 {
		c.Restart(i)
	}
	if _, err := c.Node(2).Run(r.ID()).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	run, err := c.Node(0).Run(r.ID()).Get(t.Context())
	if err != nil || run.Finished.Before(at) {
		t.Errorf("it ended at %v, %v, want after %v", run.Finished, err, at)
	}
}

// TestANodeThatIsCutOffCallsItsAttemptsOffAndComesBack cuts a worker off from
// all others for longer than it may be without a leader.
func TestANodeThatIsCutOffCallsItsAttemptsOffAndComesBack(t *testing.T) {
	began, causes := make(chan struct{}), make(chan error, 16)
	var once sync.Once
	var back atomic.Bool
	c := three(t, 4, mapreduce.Registry{"held": mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		if task.Node != "n3" {
			<-began
		}
		if task.Node != "n3" || back.Load() {
			return task.Node, nil
		}
		once.Do(func() { close(began) })
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	}), "echo": echo}, func(_ int, cfg *node.Config) { cfg.FenceAfter = time.Second })
	r, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "held", Mode: job.Sharded, Shards: 8, Placement: job.Placement{Nodes: []string{"n3", "n0"}}})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	c.Isolate(3)
	if cause := <-causes; !errors.Is(cause, mapreduce.ErrFenced) || !strings.Contains(cause.Error(), "no leader has answered for 1s") {
		t.Errorf("the attempt was called off because of %v, want that the node was fenced", cause)
	}
	if _, err := r.Wait(t.Context()); err != nil { // the others do it all
		t.Error(err)
	}
	back.Store(true)
	c.Heal()
	c.Settle()
	only := job.Spec{Processor: "held", Placement: job.Placement{Nodes: []string{"n3"}}}
	if got, err := mapreduce.Value[string](t.Context(), wait(t, c.Node(0), only)); err != nil || got != "n3" {
		t.Errorf("the node that was cut off: got %q, %v, want it to work again", got, err)
	}
	wait(t, c.Node(3), job.Spec{Processor: "echo", Input: job.Values("x")})
}

// TestADrainedLeaderLeadsAndConductsNoMore drains the leader while it conducts
// one run and executes the only attempt at another's task, and undrains it.
func TestADrainedLeaderLeadsAndConductsNoMore(t *testing.T) {
	began, open := make(chan string, 64), make(chan struct{})
	c := three(t, 3, mapreduce.Registry{"held": heldUntil(open, began), "where": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) { return task.Node, nil })}, nil)
	old := leader(t, c, 0)
	from := c.Node((old + 1) % 3)
	name, id := c.Node(old).Name(), c.Node(old).ID()
	on := func(node string) *node.Run {
		t.Helper()
		r, err := from.Submit(t.Context(), job.Spec{Processor: "held", Placement: job.Placement{Nodes: []string{node}}, Retry: job.Retry{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-began; got != node {
			t.Fatalf("it began on %s, want %s", got, node)
		}
		return r
	}
	// The leader conducts what it is given while it has the least to do.
	conducted, executed := on(from.Name()), on(name)
	masterOf := func(r *node.Run) string {
		run, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return run.Master
	}
	if a, b := masterOf(conducted), masterOf(executed); a != id || b == id {
		t.Fatalf("got masters %s and %s, want only the first to be the leader", a, b)
	}
	drained := make(chan error, 1)
	go func() { drained <- from.Drain(context.WithoutCancel(t.Context()), name) }()
	<-began // again, under the next master
	if masterOf(conducted) == id {
		t.Error("the drained node conducts")
	}
	select {
	case err := <-drained:
		t.Fatalf("the drain did not wait for an attempt: %v", err)
	default:
	}
	close(open)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	for _, r := range []*node.Run{conducted, executed} {
		out, err := r.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := map[*node.Run]string{conducted: from.Name(), executed: name}[r]
		if got, err := mapreduce.Value[string](t.Context(), out); err != nil || got != want {
			t.Errorf("got %q, %v, want what was executed on %s", got, err, want)
		}
	}
	if next := leader(t, c, (old+1)%3); next == old {
		t.Error("the drained node leads")
	}
	where := job.Spec{Processor: "where", Mode: job.Sharded, Shards: 9}
	for v, err := range mapreduce.Values[string](t.Context(), wait(t, from, where)) {
		if err != nil || v == name {
			t.Errorf("the drained node works: %q, %v", v, err)
		}
	}
	if err := from.Undrain(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[string](t.Context(), wait(t, from, job.Spec{Processor: "where", Placement: job.Placement{Nodes: []string{name}}})); err != nil || got != name {
		t.Errorf("got %q, %v, want %s to work again", got, err, name)
	}
}

// TestARunKeepsItsDeadlineUnderTheNextMaster stops the master of a run whose
// time is running out.
func TestARunKeepsItsDeadlineUnderTheNextMaster(t *testing.T) {
	began := make(chan string, 64)
	c := three(t, 4, mapreduce.Registry{"held": mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		began <- task.Node
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})}, func(i int, cfg *node.Config) { cfg.Client = i == 3 })
	const limit = 4 * time.Second
	r, err := c.Node(3).Submit(t.Context(), job.Spec{Processor: "held", Mode: job.Sharded, Shards: 3, RunTimeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	run, err := r.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if c.Node(i).ID() == run.Master {
			c.Kill(i)
			break
		}
	}
	var failed *node.RunError
	if _, err := r.Wait(t.Context()); !errors.As(err, &failed) || !strings.Contains(failed.Reason, "longer than its RunTimeout of 4s") {
		t.Fatalf("got %v, want that it took too long", err)
	}
	after, err := r.Get(t.Context())
	if err != nil || after.Epoch <= run.Epoch {
		t.Fatalf("got epoch %d, %v, want another master", after.Epoch, err)
	}
	if took := after.Finished.Sub(after.Created); took < limit {
		t.Errorf("it ended after %v, want no less than %v", took, limit)
	}
}

// TestAMasterThatStopsGivesItsRunsAwayAtOnce stops the node that conducts a run
// while an attempt executes elsewhere.
func TestAMasterThatStopsGivesItsRunsAwayAtOnce(t *testing.T) {
	began, open := make(chan string, 64), make(chan struct{})
	c := three(t, 4, mapreduce.Registry{"held": heldUntil(open, began)}, func(i int, cfg *node.Config) { cfg.Client = i == 3 })
	for range 3 { // one for each that can conduct
		r, err := c.Node(3).Submit(t.Context(), job.Spec{Processor: "held", Placement: job.Placement{Nodes: []string{"n0"}}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		run, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if run.Master != c.Node(1).ID() {
			continue
		}
		<-began
		c.Stop(1)
		close(open)
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var story []string
		for _, h := range after.History {
			story = append(story, h.What)
		}
		// It may stop before it has answered that it took the run, which is as soon.
		got := strings.Join(story, "\n")
		if !strings.Contains(got, "its master n1 handed it over: this node takes no more work") && !strings.Contains(got, "its master n1 did not take it") {
			t.Errorf("the run does not tell that its master handed it over:\n%s", got)
		}
		return
	}
	t.Fatal("node 1 was given no run, of as many as there are nodes")
}

// heldUntil returns a processor that tells began where it executes, and returns
// that once open is closed.
func heldUntil(open <-chan struct{}, began chan<- string) mapreduce.Processor {
	return mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		began <- task.Node
		select {
		case <-open:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		return task.Node, nil
	})
}
