package node_test

import (
	"context"
	"testing"

	"github.com/musterhq/muster/pkg/node"
)

// TestANodeWithTheStateOfAnotherClusterDoesNotStart founds two clusters and
// has the server of one join the other.
func TestANodeWithTheStateOfAnotherClusterDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	stranger, err := node.Start(t.Context(), node.Config{Name: "stranger", Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := start(t, node.Config{Name: "a", Logger: quiet})
	_, err = node.Start(t.Context(), node.Config{Name: "stranger", Dir: dir, Join: []string{n.Gossip()}, Logger: quiet})
	says(t, err, "holds the state of cluster", "member a", "another Dir", "its own cluster")
	again, err := node.Start(t.Context(), node.Config{Name: "stranger", Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatalf("it does not start without the other cluster: %v", err)
	}
	if err := again.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}
