package node

import (
	"context"
	"testing"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestOnlyTheLeaderKnowsThatThereIsNoSuchRun reads the journal of a run that
// nobody recorded from each of three servers. To one that follows it might be
// news.
func TestOnlyTheLeaderKnowsThatThereIsNoSuchRun(t *testing.T) {
	nodes := servers(t, 3, nil)
	leader, _ := leads(t, nodes)
	for _, n := range nodes {
		want := state.ErrNotLeader
		if n == leader {
			want = state.ErrNoRun
		}
		ref := wire.JournalRef{Run: "default/none@1", Epoch: 1}
		if err := nodes[0].readJournal(t.Context(), n.id, &ref, func(entry) bool { return true }); !is(err, want) {
			t.Errorf("server %s (leader %s): got %v, want %v", n.Name(), leader.Name(), err, want)
		}
	}
}

// TestOnlyTheLeaderHasAllOfARunThatGoesOn reads the journal of such a run from
// each of three servers, as a reduce does that asks one which led before.
func TestOnlyTheLeaderHasAllOfARunThatGoesOn(t *testing.T) {
	began := make(chan struct{}, 1)
	nodes := servers(t, 3, func(_ int, cfg *Config) {
		cfg.Processors = mapreduce.Registry{"held": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})}
	})
	leader, _ := leads(t, nodes)
	r, err := leader.Submit(t.Context(), job.Spec{Processor: "held"})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	run, err := r.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		ref := wire.JournalRef{Run: run.ID, Epoch: run.Epoch}
		err := nodes[0].readJournal(t.Context(), n.id, &ref, func(entry) bool { return true })
		if n == leader && err != nil || n != leader && !is(err, state.ErrNotLeader) {
			t.Errorf("server %s (leader %s): got %v", n.Name(), leader.Name(), err)
		}
	}
	if err := r.Stop(t.Context(), "enough"); err != nil {
		t.Error(err)
	}
}
