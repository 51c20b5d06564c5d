package state

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

func TestRunsArePagedInOrderOfTheirIDs(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	// IDs that are beginnings of each other, and runs that take several records.
	ids := []job.RunID{"a/j", "a/j@1", "a/j@1/x", "a/j@10", "a/j@2", "a/j@2~", "b/j@1", "b/é@1"}
	for i, id := range ids {
		run := newRun(string(id))
		if i%2 == 0 {
			run.Plan.Sample = make([]byte, 600<<10)
		}
		run.Master = "m1"
		create(t, s, run, blobs(string(id)))
	}
	for _, id := range ids[:6] {
		must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
	}
	for limit := range 5 {
		var got []job.RunID
		for after := job.RunID(""); ; {
			runs, err := s.Runs(after, limit)
			must(t, err)
			if len(runs) == 0 {
				break
			}
			for _, r := range runs {
				got, after = append(got, r.ID), r.ID
			}
		}
		if !slices.Equal(got, ids) {
			t.Fatalf("limit %d: got %q, want %q", limit, got, ids)
		}
	}
	for _, id := range ids {
		if got := journal(t, s, id, 0); !slices.Equal(got, []string{string(id)}) {
			t.Fatalf("run %q has journal %q", id, got)
		}
	}
	unfinished, err := s.Unfinished()
	must(t, err)
	if len(unfinished) != 2 || unfinished[0].ID != ids[6] || unfinished[1].ID != ids[7] {
		t.Fatalf("got %d unfinished runs", len(unfinished))
	}
}

func TestWatchGivesThePresentThenTheLatest(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	early, stopEarly := s.Watch("d/j@1")
	id := created(t, s, "d/j@1")
	if run := <-early; run.Epoch != 1 {
		t.Fatalf("got epoch %d, want 1", run.Epoch)
	}
	ch, stop := s.Watch(id)
	if run := <-ch; run.Epoch != 1 {
		t.Fatalf("got epoch %d, want 1", run.Epoch)
	}
	for epoch := range uint64(5) {
		_, err := s.Assign(ctx, id, 1+epoch, "m", "")
		must(t, err)
	}
	if run := <-ch; run.Epoch != 6 {
		t.Fatalf("got epoch %d, want the latest, 6", run.Epoch)
	}
	stop()
	stop()
	if _, ok := <-ch; ok {
		t.Fatal("the channel is open after stop")
	}
	stopEarly()
	last, stopLast := s.Watch(id)
	defer stopLast()
	<-last
	closed(t, s)
	if _, ok := <-last; ok {
		t.Fatal("the channel is open after Close")
	}
	after, stopAfter := s.Watch(id)
	defer stopAfter()
	if _, ok := <-after; ok {
		t.Fatal("a channel of a closed state is open")
	}
}

func TestAwaitReturnsTheFinishedRun(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	_, err := s.Await(ctx, "d/none@1")
	refused(t, err, ErrNoRun)
	id := created(t, s, "d/j@1")
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.Await(over, id)
	refused(t, err, context.Canceled)

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			run, err := s.Await(ctx, id)
			if err != nil || run.State != job.Failed {
				t.Errorf("got %v, %v", run.State, err)
			}
		})
	}
	must(t, s.Append(ctx, id, 1, 0, blobs("x")))
	must(t, s.Finish(ctx, id, 1, job.Failed, "no luck", job.Progress{}))
	wg.Wait()
	run, err := s.Await(ctx, id)
	must(t, err)
	if run.Reason != "no luck" {
		t.Fatalf("got reason %q", run.Reason)
	}
}

func TestJobsAreKeptByNamespaceAndName(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	for _, spec := range []job.Spec{
		{Processor: "p"},
		{Namespace: "a", Name: "x", Processor: "p"},
		{Namespace: "a", Name: "xy", Processor: "p", Params: strings.Repeat("y", 900<<10)},
		{Namespace: "ab", Name: "x", Processor: "p"},
		{Namespace: "a", Name: "x", Processor: "q"},
	} {
		declare(t, s, spec)
	}
	got, err := s.Job("a", "x")
	must(t, err)
	if got.Spec.Processor != "q" || got.Revision != 2 {
		t.Fatalf("got processor %q at revision %d, want the one put last", got.Spec.Processor, got.Revision)
	}
	if got, err = s.Job("", "p"); err != nil || got.Spec.Namespace != "default" {
		t.Fatalf("got %+v, %v", got, err)
	}
	in, err := s.Jobs("a", "", 0)
	must(t, err)
	all, err := s.Jobs("", "", 0)
	must(t, err)
	if rest, err := s.Jobs("", "a/x", 1); err != nil || len(rest) != 1 || rest[0].Spec.Name != "xy" {
		t.Fatalf("got %+v, %v behind a/x, want a/xy", rest, err)
	}
	if len(in) != 2 || len(all) != 4 {
		t.Fatalf("got %d and %d jobs, want 2 and 4", len(in), len(all))
	}
	must(t, s.DeleteJob(ctx, "a", "xy"))
	refused(t, s.DeleteJob(ctx, "a", "xy"), ErrNoJob)
	_, err = s.Job("a", "xy")
	refused(t, err, ErrNoJob)
	_, err = s.PutJob(ctx, job.Spec{Name: "a\x00b"}, nil, time.Time{}, 0)
	refused(t, err, ErrInvalid)
}

func TestSeededNamesDoNotMix(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir())
	want := map[job.RunID][]string{}
	const letters = "a/@~ \xff"
	for range 60 {
		var b strings.Builder
		for range 1 + chance.IntN(5) {
			b.WriteByte(letters[chance.IntN(len(letters)-1)])
		}
		id := b.String()
		if _, taken := want[job.RunID(id)]; taken {
			continue
		}
		var chunks [][]byte
		for i := range chance.IntN(4) {
			chunks = append(chunks, []byte(id+fmt.Sprint(i)))
			want[job.RunID(id)] = append(want[job.RunID(id)], string(chunks[i]))
		}
		if chunks == nil {
			want[job.RunID(id)] = nil
		}
		created(t, s, id, chunks...)
	}
	for id, entries := range want {
		if got := journal(t, s, id, 0); !slices.Equal(got, entries) {
			t.Fatalf("run %q: got %q, want %q", id, got, entries)
		}
	}
}
