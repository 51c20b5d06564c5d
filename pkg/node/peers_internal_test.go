package node

import (
	"context"
	"log/slog"
	"testing"
)

// TestWhatAMemberWasIsNotTakenForWhatItIs answers a question about a member that
// drains after it has stopped to do so, which happens where one follows the
// other at once.
func TestWhatAMemberWasIsNotTakenForWhatItIs(t *testing.T) {
	n, err := Start(t.Context(), Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Stop(context.WithoutCancel(t.Context())) }()
	was := n.members.Self()
	was.Roles = append(was.Roles, roleDraining)
	n.peers.learn(peer{member: was})
	for _, p := range n.peers.list() {
		if p.member.Has(roleDraining) {
			t.Errorf("got %v, want what the pool says now", p.member)
		}
	}
}
