package node_test

import (
	"context"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// flood emits and returns about a mebibyte each from many attempts at once.
type flood struct{}

func (flood) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	if t.Parent == "" {
		if err := t.Emit("more", strings.Repeat("p", 1_000_000)); err != nil {
			return nil, err
		}
	}
	return strings.Repeat("r", 1_000_000), nil
}

// TestMuchAtOnceArrivesInPieces has forty attempts that each hand over a
// mebibyte at the same time, more than one message may hold.
func TestMuchAtOnceArrivesInPieces(t *testing.T) {
	n := start(t, node.Config{Slots: 40, Logger: quiet, Processors: mapreduce.Registry{"flood": flood{}}})
	got := 0
	for s, err := range mapreduce.Values[string](t.Context(), do(t, n, job.Spec{Processor: "flood", Mode: job.Sharded, Shards: 40})) {
		if err != nil {
			t.Fatal(err)
		}
		if len(s) == 1_000_000 {
			got++
		}
	}
	if got != 80 {
		t.Errorf("got %d results, want 80", got)
	}
}
