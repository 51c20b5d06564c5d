package node

import (
	"testing"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// TestAResignationIsAnsweredWhenItIsRecorded gives runs back to the leader: who
// forgets one that he has given back must not be the last to know of it.
func TestAResignationIsAnsweredWhenItIsRecorded(t *testing.T) {
	n, l, h := holding(t, 4, nil)
	r := accept(t, n, job.Spec{})
	h.next(t, r)
	for range 2 { // the second time as after an answer that was lost
		if _, err := l.resign(t.Context(), wire.RunRef{Run: r.ID(), Epoch: 1, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if now, err := l.state.Run(r.ID()); err != nil || now.Epoch != 2 {
			t.Errorf("got epoch %d, %v, want 2", now.Epoch, err)
		}
	}
	h.next(t, r) // by its next master
}

// TestWhatIsGivenBackIsNotConducted asks a node what it conducts while it gives a
// run back, and the leader does not answer.
func TestWhatIsGivenBackIsNotConducted(t *testing.T) {
	n, _, h := holding(t, 4, nil)
	r := accept(t, n, job.Spec{})
	h.next(t, r)
	m := n.masters
	c, err := m.find(r.ID()) // which leaves the crowd
	if err != nil {
		t.Fatal(err)
	}
	if got := m.list(); len(got) != 1 || got[0].Run != r.ID() {
		t.Fatalf("got %v, want the run", got)
	}
	m.mu.Lock() // before the conductor is gone
	c.cancel(errHandedOver)
	m.mu.Unlock()
	for _, ref := range m.list() {
		if ref.Epoch == c.run.Epoch {
			t.Errorf("%v is conducted, though it is given back", ref)
		}
	}
	h.next(t, r) // by its next master
}
