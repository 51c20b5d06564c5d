package node

import (
	"testing"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
)

// TestOnlyTheLeaderKnowsThatThereIsNoSuchRun reads the journal of a run that
// nobody recorded from each of three servers. To one that follows it might be
// news.
func TestOnlyTheLeaderKnowsThatThereIsNoSuchRun(t *testing.T) {
	nodes := servers(t, 3, nil)
	leader, err := nodes[0].Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		want := state.ErrNotLeader
		if n.id == leader.ID {
			want = state.ErrNoRun
		}
		ref := wire.JournalRef{Run: "default/none@1", Epoch: 1}
		if err := nodes[0].readJournal(t.Context(), n.id, &ref, func(entry) bool { return true }); !is(err, want) {
			t.Errorf("server %s (leader %s): got %v, want %v", n.Name(), leader.Name, err, want)
		}
	}
}
