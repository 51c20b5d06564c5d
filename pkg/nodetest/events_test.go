package nodetest_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

// ran is what a task saw of the events of its run.
type ran struct{ run, id, count string }

// hearing is a cluster of three servers whose processor "hear" tells what its
// tasks saw.
func hearing(t *testing.T) (*nodetest.Cluster, <-chan ran) {
	t.Helper()
	to := make(chan ran, 10_000)
	return nodetest.Start(t, 3, func(_ int, cfg *node.Config) {
		cfg.Servers = 3
		cfg.Processors = mapreduce.Registry{"hear": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			to <- ran{t.Run, t.Extra["event.id"], t.Extra["event.count"]}
			return nil, nil
		})}
	}), to
}

// listen declares a job that is due when its text says.
func listen(t *testing.T, n *node.Node, when string) {
	t.Helper()
	if _, err := n.PutJob(t.Context(), job.Spec{Name: "hear", Processor: "hear", Schedule: trigger.Schedule{When: when}}, 0); err != nil {
		t.Fatal(err)
	}
}

// send sends an event until that is acknowledged.
func send(t *testing.T, n *node.Node, id string) {
	t.Helper()
	for {
		_, err := n.Send(t.Context(), job.Event{Name: "e", ID: id})
		if err == nil {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// over waits until runs have succeeded, which is a moment after what their tasks
// saw. The nodes that are left stop after that: the first one in peace, the next
// with no majority to record anything.
func over(t *testing.T, n *node.Node, runs iter.Seq[string]) {
	t.Helper()
	for id := range runs {
		if _, err := n.Run(job.RunID(id)).Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// killLeader takes the leader away and returns two that are left.
func killLeader(t *testing.T, c *nodetest.Cluster) (*node.Node, *node.Node) {
	t.Helper()
	for i := range 3 {
		if c.Node(i).Leads() {
			c.Kill(i)
			return c.Node((i + 1) % 3), c.Node((i + 2) % 3)
		}
	}
	t.Fatal("nobody leads")
	return nil, nil
}

// TestEachEventMakesOneRunWhateverBecomesOfTheLeader sends events, takes the
// leader away when it has just acknowledged one, and sends on. An attempt may
// be made twice where a node was lost, a run may not.
func TestEachEventMakesOneRunWhateverBecomesOfTheLeader(t *testing.T) {
	const all = 300
	c, to := hearing(t)
	listen(t, c.Node(0), "event e")
	a, b := c.Node(0), c.Node(1)
	for i := range all {
		if i == all/2 {
			a, b = killLeader(t, c)
		}
		send(t, a, strconv.Itoa(i))
		a, b = b, a
	}
	runs := map[string]string{} // by event
	for len(runs) < all {
		r := <-to
		if other, known := runs[r.id]; known && other != r.run {
			t.Errorf("event %s has made %s and %s", r.id, other, r.run)
		}
		runs[r.id] = r.run
	}
	over(t, a, maps.Values(runs))
	d, err := a.Job(t.Context(), "", "hear")
	if err != nil || d.Fires.Runs != all || len(d.Fires.Skipped) > 0 || len(d.Fires.Refused) > 0 {
		t.Errorf("%d events have made %d runs, skipped %v, refused %v, %v", all, d.Fires.Runs, d.Fires.Skipped, d.Fires.Refused, err)
	}
}

// TestDebouncedEventsOutliveTheLeader takes the leader away while events wait
// for others. Its heir knows how many there were, and the run is of the last,
// whether that came in time or has one of its own.
func TestDebouncedEventsOutliveTheLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the seconds that the events wait")
	}
	c, to := hearing(t)
	listen(t, c.Node(0), `event e debounce("all", 2s, 1m)`)
	for i := range 3 {
		send(t, c.Node(i), fmt.Sprint("before", i))
	}
	a, _ := killLeader(t, c)
	send(t, a, "after")
	told, runs := 0, map[string]bool{}
	for told < 4 {
		r := <-to
		if runs[r.run] {
			continue
		}
		runs[r.run] = true
		n, err := strconv.Atoi(r.count)
		if told += n; err != nil || (told == 4) != (r.id == "after") {
			t.Fatalf("%s is of %s, and of %s events; that makes %d of 4, %v", r.run, r.id, r.count, told, err)
		}
	}
	over(t, a, maps.Keys(runs))
	if told != 4 {
		t.Errorf("the runs are of %d events, want 4", told)
	}
}

// TestABatchOutlivesTheLeader takes the leader away while a batch fills.
func TestABatchOutlivesTheLeader(t *testing.T) {
	c, to := hearing(t)
	listen(t, c.Node(0), "event e batch(4, 1h)")
	for i := range 3 {
		send(t, c.Node(i), strconv.Itoa(i))
	}
	a, _ := killLeader(t, c)
	send(t, a, "3")
	run := ""
	for range 4 { // one task each
		r := <-to
		if run == "" {
			run = r.run
		}
		if r.run != run || r.id != "0" || r.count != "4" {
			t.Errorf("a task of %s saw %+v", run, r)
		}
	}
	over(t, a, slices.Values([]string{run}))
}
