package node

import (
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// waiting returns why the tasks of a run are not placed, once it says so.
func waiting(t *testing.T, r *Run) string {
	t.Helper()
	for p := range r.Watch(t.Context(), 10*time.Millisecond) {
		if p.Waiting != "" {
			return p.Waiting
		}
	}
	t.Fatal("the run is over")
	return ""
}

// TestARunThatNoWorkerTakesSaysWhy has one node, of one slot, that has as many
// tasks as it is ready to hold.
func TestARunThatNoWorkerTakesSaysWhy(t *testing.T) {
	n, _, h := holding(t, 1, nil)
	h.next(t, accept(t, n, job.Spec{}))
	accept(t, n, job.Spec{})
	if got, want := waiting(t, accept(t, n, job.Spec{})), "no worker: 1 has 0 free slots"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	tagged := accept(t, n, job.Spec{Placement: job.Placement{Tags: []string{"gpu"}}})
	if got, want := waiting(t, tagged), "no worker: 1 lacks tag gpu"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	stopRun(t, tagged)
}
