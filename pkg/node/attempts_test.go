package node_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// everyThirdTwice fails the first attempt at every third shard.
type everyThirdTwice struct{}

func (everyThirdTwice) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	if t.Shard.Index%3 == 0 && t.Attempt == 1 {
		return nil, errors.New("not yet")
	}
	return t.Shard.Index, nil
}

// TestAttemptsAreListedFromBothEnds reads the attempts of runs whose journals are
// short and long in pages of any size.
func TestAttemptsAreListedFromBothEnds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	n := start(t, node.Config{Slots: 4, Logger: quiet, Processors: mapreduce.Registry{"thirds": everyThirdTwice{}}})
	for _, shards := range []int{1, 10, 9_000} {
		r := submit(t, n, job.Spec{Processor: "thirds", Mode: job.Sharded, Shards: shards, Retry: job.Retry{Attempts: 2}})
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := attempts(t, r, job.AttemptQuery{Limit: 1000})
		if want := shards + (shards+2)/3; len(all) != want {
			t.Fatalf("%d shards: got %d attempts, want %d", shards, len(all), want)
		}
		last := slices.Clone(all)
		slices.Reverse(last)
		limit := 1 + chance.IntN(job.MaxAttemptPage)
		same(t, attempts(t, r, job.AttemptQuery{Limit: limit}), all)
		same(t, attempts(t, r, job.AttemptQuery{Limit: limit, Backward: true}), last)
		some := chance.IntN(len(all))
		same(t, attempts(t, r, job.AttemptQuery{Limit: limit, Cursor: all[some]}), all[some+1:])
		same(t, attempts(t, r, job.AttemptQuery{Limit: limit, Cursor: all[some], Backward: true}), last[len(all)-some:])
	}
}

// attempts returns the cursors of all attempts that q asks for.
func attempts(t *testing.T, r *node.Run, q job.AttemptQuery) (all []string) {
	t.Helper()
	for {
		page, err := r.Attempts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Attempts) > q.Limit {
			t.Errorf("got a page of %d attempts, want up to %d", len(page.Attempts), q.Limit)
		}
		for i := range page.Attempts {
			all = append(all, page.Attempts[i].Cursor)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return all
		}
	}
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %d attempts, want %d, or in another order", len(got), len(want))
	}
}
