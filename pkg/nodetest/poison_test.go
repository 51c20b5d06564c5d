package nodetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// TestATaskThatKillsItsNodesIsQuarantined has one task of many take down one
// node after the other, until there are no more than it is allowed.
func TestATaskThatKillsItsNodesIsQuarantined(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the loss of three nodes to be noticed")
	}
	kills := make(chan int, 16)
	c := nodetest.Start(t, 4, func(i int, cfg *node.Config) {
		cfg.Processors = mapreduce.Registry{"task": mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			var s string
			err := task.Decode(&s)
			if err != nil || s != "poison" {
				return s, err
			}
			kills <- i
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})}
	})
	values := []string{"poison"}
	for range 40 {
		values = append(values, "fine")
	}
	r, err := c.Node(0).Submit(t.Context(), job.Spec{
		Processor: "task", Input: job.Values(values...), Placement: job.Placement{Nodes: []string{"n1", "n2", "n3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.Kill(<-kills)
	}
	c.Restart(1)
	var failed *node.RunError
	if _, err := r.Wait(t.Context()); !errors.As(err, &failed) {
		t.Fatalf("got %v, want that the run failed", err)
	}
	for _, word := range []string{"m0", "quarantined", "n1", "n2", "n3", "1 of 41 tasks"} {
		if !strings.Contains(failed.Reason, word) {
			t.Errorf("got the reason %q, want %q in it", failed.Reason, word)
		}
	}
	if p, err := r.Progress(t.Context()); err != nil || p.Done != 40 || p.Failed != 1 {
		t.Errorf("got %+v, %v, want all done but one", p, err)
	}
	if len(kills) > 0 {
		t.Error("it was placed once more")
	}
}
