package node

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
)

// TestOnlyTheLeaderKnowsThatThereIsNoSuchRun reads the journal of a run that
// nobody recorded from each of three servers. To one that follows it might be
// news.
func TestOnlyTheLeaderKnowsThatThereIsNoSuchRun(t *testing.T) {
	world := simnet.New(1)
	var nodes []*Node
	for i := range 3 {
		name := fmt.Sprintf("n%d", i)
		cfg := Config{
			Name: name, Dir: filepath.Join(t.TempDir(), name), Servers: 3, Slots: 1, JoinTimeout: -1, Network: world.Host(name),
			Gossip: "0.0.0.0:7946", RPC: "0.0.0.0:7947", Join: []string{world.Host("n0").IP() + ":7946"}, Logger: slog.New(slog.DiscardHandler),
		}
		n, err := Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := n.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		nodes = append(nodes, n)
	}
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
