package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestACallerWithoutPatienceHearsWhyThereIsNoLeader submits to one of three
// servers whose others are not there.
func TestACallerWithoutPatienceHearsWhyThereIsNoLeader(t *testing.T) {
	n := start(t, node.Config{
		Name: "a", Servers: 3, Join: []string{"127.0.0.1:1"}, JoinTimeout: -1, Logger: quiet, Processors: mapreduce.Registry{"echo": echo},
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := n.Submit(ctx, job.Spec{Processor: "echo", Input: job.Values("x")})
	says(t, err, "no leader", "server a waits for 2 of 3 servers", "nothing was recorded")
	if !errors.Is(err, node.ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want one that is both", err)
	}
	if _, err := n.Leader(ctx); !errors.Is(err, node.ErrNoLeader) {
		t.Errorf("got %v, want %v", err, node.ErrNoLeader)
	}
}
