package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/runlog"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestTheLinesOfAForgottenRunGoWithIt(t *testing.T) {
	nodes := servers(t, 1, func(_ int, cfg *Config) {
		cfg.Slots = 1
		cfg.Processors["talks"] = mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
			task.Log.Info("here")
			return nil, nil
		})
	})
	n, _ := leads(t, nodes)
	var ids []job.RunID
	for range 2 {
		r, err := n.Submit(t.Context(), job.Spec{Processor: "talks"})
		if err == nil {
			_, err = r.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID())
	}
	if err := n.logs.collector.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.state.ForgetAll(t.Context(), ids[:1]); err != nil {
		t.Fatal(err)
	}
	for _, err := range n.Run(ids[0]).Logs(t.Context(), job.LogQuery{}) {
		if !errors.Is(err, ErrNoRun) {
			t.Errorf("got %v of a run that is forgotten", err)
		}
	}
	if err := n.server.forgetLogs(t.Context(), time.Hour); err != nil || len(n.kept.Runs(0)) != 2 {
		t.Errorf("there are lines of %v, %v: those that came lately are to be left alone", n.kept.Runs(0), err)
	}
	if err := n.server.forgetLogs(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := n.kept.Runs(0); len(left) != 1 || left[0] != ids[1] {
		t.Errorf("there are lines of %v, want those of %v", left, ids[1:])
	}
}

// TestAFollowerKnowsWhatItHasSeen gives lines by chance, each twice.
func TestAFollowerKnowsWhatItHasSeen(t *testing.T) {
	chance, seen := rand.New(rand.NewPCG(1, 1)), seenLines{}
	numbers := append(chance.Perm(500), chance.Perm(500)...)
	chance.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
	was := map[int]bool{}
	for _, n := range numbers {
		for _, node := range []string{"a", "b"} {
			if fresh := seen.add(&job.LogLine{Node: node, Attempt: 1, Seq: uint64(n)}); fresh == was[n] {
				t.Fatalf("line %d is new: %v", n, fresh)
			}
		}
		was[n] = true
	}
	if w := (writer{node: "a", attempt: 1}); len(seen[w]) != 1 {
		t.Errorf("it remembers %d spans for lines without a gap", len(seen[w]))
	}
}

func TestWhatAServerRefusesIsNotSentAgain(t *testing.T) {
	n, _ := leads(t, servers(t, 1, func(int, *Config) {}))
	err := n.logs.hand(t.Context(), n.id, [][]byte{{9}})
	if !isRefusal(err) {
		t.Errorf("got %v, want a refusal", err)
	}
	for _, err := range []error{nil, context.DeadlineExceeded, runlog.ErrClosed, ErrStopped, state.ErrNotLeader} {
		if isRefusal(err) {
			t.Errorf("%v is taken for a refusal", err)
		}
	}
}
