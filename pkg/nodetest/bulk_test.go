package nodetest_test

import (
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestABulkGoesOnWhenItsLeaderIsKilled and means the runs that there were when it
// was asked for, though by the clocks those after it were created an hour before.
func TestABulkGoesOnWhenItsLeaderIsKilled(t *testing.T) {
	c := three(t, 4, mapreduce.Registry{"echo": echo}, nil)
	old := leader(t, c, 3)
	n, later := c.Node(3), node.NotBefore(time.Now().Add(24*time.Hour))
	many := func(k int) {
		t.Helper()
		specs := make([]job.Spec, k)
		for i := range specs {
			specs[i] = job.Spec{Name: "j", Processor: "echo"}
		}
		if _, err := n.SubmitAll(t.Context(), specs, later); err != nil {
			t.Fatal(err)
		}
	}
	count := func(s job.State) (k int) {
		t.Helper()
		for q := (job.RunQuery{Namespace: "default", Job: "j", States: []job.State{s}, Limit: 1000}); ; {
			page, err := n.Find(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			k += len(page.Runs)
			if q.After = page.Next; page.Next == "" {
				return k
			}
		}
	}
	const before, after = 4000, 10
	many(before)
	o, err := n.Bulk(t.Context(), job.Bulk{Verb: job.BulkCancel, Job: "j", Reason: "no need"})
	if err == nil {
		o, err = n.AwaitOperation(t.Context(), "", o.ID, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Kill(old)
	t.Logf("the leader was killed after %d steps, with %d runs done", o.Steps, o.Done)
	for i := range 4 {
		if i != old {
			c.Skew(i, -time.Hour)
		}
	}
	many(after)
	if o, err = n.WaitOperation(t.Context(), "", o.ID); err != nil || o.State != job.OperationDone || o.Refused != 0 {
		t.Fatalf("got %+v, %v, want it done", o, err)
	}
	if canceled, pending := count(job.Canceled), count(job.Pending); canceled != before || pending != after {
		t.Errorf("got %d runs canceled and %d pending, want %d and %d", canceled, pending, before, after)
	}
}
