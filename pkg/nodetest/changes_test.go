package nodetest_test

import (
	"context"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// reader follows the changes of a namespace at a node.
type reader struct {
	t     *testing.T
	pages chan job.ChangePage
	stop  func()
}

func read(t *testing.T, n *node.Node, q job.ChangeQuery) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	r := &reader{t, make(chan job.ChangePage), func() { cancel(); <-over }}
	t.Cleanup(r.stop)
	go func() {
		defer close(over)
		for page, err := range n.Changes(ctx, q) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("changes at node %s: %v", n.Name(), err)
				}
				return
			}
			select {
			case r.pages <- page:
			case <-ctx.Done():
				return
			}
		}
	}()
	return r
}

// begins waits until a reader knows from where on it reads.
func (r *reader) begins() {
	r.t.Helper()
	if page := <-r.pages; !page.Reset || page.Next == "" || len(page.Changes) > 0 {
		r.t.Fatalf("the first page is %+v, want a reset", page)
	}
}

// ends reads on until all runs have ended, each of which is told of once.
func (r *reader) ends(ids []job.RunID) {
	r.t.Helper()
	created, ended := map[job.RunID]int{}, map[job.RunID]int{}
	for over := 0; over < len(ids); {
		page := <-r.pages
		if page.Reset {
			r.t.Fatalf("a reset, to %s", page.Next)
		}
		for _, c := range page.Changes {
			switch c.What {
			case job.RunCreated:
				created[c.Run]++
			case job.RunEnded:
				ended[c.Run]++
				over++
			}
		}
	}
	for _, id := range ids {
		if created[id] != 1 || ended[id] != 1 {
			r.t.Errorf("run %s is told of as created %d times and as ended %d times, want once", id, created[id], ended[id])
		}
	}
}

// TestChangesAreToldOnceThoughTheServersThatTellOfThemAreKilled and none is
// missing: what one has told the next does not tell again.
func TestChangesAreToldOnceThoughTheServersThatTellOfThemAreKilled(t *testing.T) {
	c := three(t, 4, mapreduce.Registry{"echo": echo}, nil)
	far, near := read(t, c.Node(3), job.ChangeQuery{}), read(t, c.Node(leader(t, c, 3)), job.ChangeQuery{Job: "j"})
	far.begins()
	near.begins()
	many := func(k int) (ids []job.RunID) {
		t.Helper()
		specs := make([]job.Spec, k)
		for i := range specs {
			specs[i] = job.Spec{Name: "j", Processor: "echo"}
		}
		runs, err := c.Node(3).SubmitAll(t.Context(), specs)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			ids = append(ids, r.ID())
		}
		return ids
	}
	ids := many(300)
	far.ends(ids)
	near.ends(ids)
	near.stop()
	old := leader(t, c, 3)
	c.Kill(old)
	far.ends(many(300))
	c.Restart(old)
	c.Settle()
	c.Kill(leader(t, c, 3))
	far.ends(many(300))
}

// TestChangesWhileAServerIsCutOffAreToldLater to those who read there.
func TestChangesWhileAServerIsCutOffAreToldLater(t *testing.T) {
	c := three(t, 4, mapreduce.Registry{"echo": echo}, nil)
	alone := (leader(t, c, 3) + 1) % 3
	r := read(t, c.Node(alone), job.ChangeQuery{})
	r.begins()
	c.Isolate(alone)
	var ids []job.RunID
	for range 20 {
		run, err := c.Node(3).Submit(t.Context(), job.Spec{Name: "j", Processor: "echo"})
		if err == nil {
			_, err = run.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, run.ID())
	}
	c.Heal()
	r.ends(ids)
}
