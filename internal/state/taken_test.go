package state

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// clock is one that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = noon.Add(after)
}

func openAt(t testing.TB, dir string) (*State, *clock) {
	t.Helper()
	c := &clock{now: noon}
	cfg := config(dir)
	cfg.Now = c.read
	s, err := openLone(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { closed(t, s) })
	return s, c
}

func keyed(id, key string, keep time.Duration) job.Run {
	run := newRun(id)
	run.Master, run.Key, run.KeyFor = "m1", key, keep
	return run
}

func TestKeyThatIsTakenReturnsTheRunThatHasIt(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	create(t, s, keyed("d/j@1", "k", 0), nil)
	got, err := s.Create(ctx, keyed("d/j@2", "k", 0), [][]byte{make([]byte, 2<<20)})
	must(t, err)
	if got.ID != "d/j@1" || got.Key != "k" {
		t.Fatalf("got run %q with key %q", got.ID, got.Key)
	}
	_, err = s.Run("d/j@2")
	refused(t, err, ErrNoRun)
	for p, err := range s.kv.Scan([]byte("g")) {
		must(t, err)
		t.Errorf("record %q of the run that was not created is left", p.Key)
	}
	other := keyed("d/k@1", "k", 0)
	other.Spec.Name = "another"
	if got := create(t, s, other, nil); got.ID != other.ID {
		t.Fatalf("the key of one job is taken in another: got %q", got.ID)
	}
	must(t, s.Finish(ctx, "d/j@1", 1, job.Succeeded, "", job.Progress{}))
	if got := create(t, s, keyed("d/j@3", "k", 0), nil); got.ID != "d/j@3" {
		t.Fatalf("the key of a run that has ended is taken: got %q", got.ID)
	}
}

func TestManyWhoSubmitWithOneKeyGetOneRun(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	ids := make([]job.RunID, 16)
	for i := range ids {
		wg.Go(func() {
			run, err := s.Create(context.Background(), keyed("d/j@"+string(rune('a'+i)), "k", time.Hour), nil)
			if err != nil {
				t.Error(err)
			}
			ids[i] = run.ID
		})
	}
	wg.Wait()
	runs, err := s.Runs("", 0)
	must(t, err)
	if len(runs) != 1 {
		t.Fatalf("there are %d runs", len(runs))
	}
	for _, id := range ids {
		if id != runs[0].ID {
			t.Errorf("somebody got %q, and not %q", id, runs[0].ID)
		}
	}
}

func TestKeyStaysTakenForAsLongAsWasPromised(t *testing.T) {
	dir := t.TempDir()
	s, now := openAt(t, dir)
	ctx := t.Context()
	create(t, s, keyed("d/j@1", "k", time.Hour), nil)
	now.set(time.Minute)
	must(t, s.Finish(ctx, "d/j@1", 1, job.Succeeded, "", job.Progress{}))
	closed(t, s)
	s, now = openAt(t, dir)
	now.set(59 * time.Minute)
	must(t, s.Sweep(ctx))
	if got := create(t, s, keyed("d/j@2", "k", 0), nil); got.ID != "d/j@1" || got.State != job.Succeeded {
		t.Fatalf("got %q, %v, within the time of the first", got.ID, got.State)
	}
	// The promise outlives the run.
	must(t, s.Forget(ctx, "d/j@1"))
	_, err := s.Create(ctx, keyed("d/j@2", "k", 0), nil)
	refused(t, err, ErrExists)
	now.set(time.Hour)
	if got := create(t, s, keyed("d/j@2", "k", 0), nil); got.ID != "d/j@2" {
		t.Fatalf("got %q after the time of the first", got.ID)
	}
	checkLaw(t, s.fsm)
}

func TestSweepFreesKeysWhoseTimeIsOver(t *testing.T) {
	s, now := openAt(t, t.TempDir())
	ctx := t.Context()
	for i := range 2*sweepPage + 10 {
		id := "d/j@" + time.Duration(i).String()
		create(t, s, keyed(id, id, time.Hour), nil)
		must(t, s.Finish(ctx, job.RunID(id), 1, job.Succeeded, "", job.Progress{}))
	}
	create(t, s, keyed("d/live@1", "live", time.Hour), nil)
	create(t, s, keyed("d/later@1", "later", 3*time.Hour), nil)
	must(t, s.Finish(ctx, "d/later@1", 1, job.Succeeded, "", job.Progress{}))
	now.set(2 * time.Hour)
	must(t, s.Sweep(ctx))
	n := 0
	for _, err := range s.kv.Scan([]byte("k")) {
		must(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("%d keys are taken, want that of the run that lives and that of later", n)
	}
	checkLaw(t, s.fsm)
}
