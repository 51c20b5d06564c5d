package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// canceled makes runs that were canceled before they began.
func canceled(t *testing.T, n *Node, k int) (ids []job.RunID) {
	t.Helper()
	for i := range k {
		r, err := n.Submit(t.Context(), job.Spec{Name: fmt.Sprintf("j%d", i), Processor: "echo"}, NotBefore(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Stop(t.Context(), "for the test"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID())
	}
	return ids
}

// TestAnOperationGoesOnUnderTheNextLeader which finds its first step done and
// the second under way: the last run of all is held.
func TestAnOperationGoesOnUnderTheNextLeader(t *testing.T) {
	nodes := servers(t, 3, nil)
	n, l := leads(t, nodes)
	ids := canceled(t, n, severalStep+7)
	release, err := l.retries.lock(t.Context(), ids[len(ids)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	o, err := n.Bulk(t.Context(), job.Bulk{Verb: job.BulkRetry, Runs: ids})
	if err != nil {
		t.Fatal(err)
	}
	if o, err = n.AwaitOperation(t.Context(), "", o.ID, 0); err != nil || o.State.Over() || o.Steps != 1 || o.Done != severalStep {
		t.Fatalf("got %+v, %v, want one step done", o, err)
	}
	if err := n.state.Transfer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o, err = n.WaitOperation(t.Context(), "", o.ID); err != nil || o.State != job.OperationDone || o.Done != len(ids) || o.Steps != 2 {
		t.Errorf("got %+v, %v, want all %d done", o, err, len(ids))
	}
	for _, id := range ids {
		if _, err := nodes[0].Run(job.Again(id, 2)).Get(t.Context()); err != nil {
			t.Errorf("run %s was not tried again: %v", id, err)
		}
	}
}

// TestACanceledOperationDoesNoMore than the step that it is in, and keeps no
// other from being carried out.
func TestACanceledOperationDoesNoMore(t *testing.T) {
	n, l := leads(t, servers(t, 1, nil))
	ids := canceled(t, n, severalStep+7)
	release, err := l.retries.lock(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	held, err := n.Bulk(t.Context(), job.Bulk{Verb: job.BulkRetry, Runs: ids})
	if err != nil {
		t.Fatal(err)
	}
	other, err := n.Bulk(t.Context(), job.Bulk{Verb: job.BulkRetry, Runs: ids[:1]})
	if err != nil {
		t.Fatal(err)
	}
	if held, err = n.CancelOperation(t.Context(), "", held.ID, "enough"); err != nil || held.State != job.OperationCanceled || held.Reason != "enough" {
		t.Fatalf("got %+v, %v, want it canceled", held, err)
	}
	release()
	if other, err = n.WaitOperation(t.Context(), "", other.ID); err != nil || other.Done != 1 {
		t.Errorf("the other: got %+v, %v, want it done", other, err)
	}
	if held, err = n.WaitOperation(t.Context(), "", held.ID); err != nil || held.State != job.OperationCanceled || held.Done != 0 {
		t.Errorf("got %+v, %v, want it canceled still", held, err)
	}
	if _, err := n.Run(job.Again(ids[len(ids)-1], 2)).Get(t.Context()); !is(err, ErrNoRun) {
		t.Errorf("the last run was tried again: %v", err)
	}
}

// TestOperationsThatGoOnAreBounded of each namespace.
func TestOperationsThatGoOnAreBounded(t *testing.T) {
	n, l := leads(t, servers(t, 1, nil))
	ids := canceled(t, n, 1)
	release, err := l.retries.lock(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for range maxOpen {
		if _, err := n.Bulk(t.Context(), job.Bulk{Verb: job.BulkRetry, Runs: ids}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = n.Bulk(t.Context(), job.Bulk{Verb: job.BulkRetry, Runs: ids}); !is(err, ErrOverloaded) {
		t.Errorf("one too many: got %v, want %v", err, ErrOverloaded)
	}
	if _, err := n.Bulk(t.Context(), job.Bulk{Namespace: "other", Verb: job.BulkRetry}); err != nil {
		t.Errorf("in another namespace: %v", err)
	}
}
