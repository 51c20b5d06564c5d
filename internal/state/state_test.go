package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// open opens the state in dir and closes it when the test ends.
func open(t testing.TB, dir string) *State {
	t.Helper()
	s, err := Open(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s
}

func config(dir string) Config {
	return Config{Dir: dir, ID: "n1", Now: func() time.Time { return noon }, Reserve: -1}
}

func closed(t testing.TB, s *State) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func newRun(id string) job.Run {
	return job.Run{
		ID:    job.RunID(id),
		Spec:  job.Spec{Namespace: "default", Name: "nightly", Processor: "count"},
		Fire:  noon,
		Key:   "k",
		Extra: map[string]string{"a": "1", "b": "2", "c": "3"},
	}
}

// created creates a run under a first master.
func created(t testing.TB, s *State, id string, chunks ...[]byte) job.RunID {
	t.Helper()
	run := newRun(id)
	run.Master = "m1"
	must(t, s.Create(t.Context(), run, chunks))
	return run.ID
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func journal(t testing.TB, s *State, id job.RunID, from uint64) []string {
	t.Helper()
	var got []string
	for e, err := range s.Journal(id, from) {
		must(t, err)
		if e.Seq != from+uint64(len(got)) {
			t.Fatalf("got entry %d after %d entries from %d", e.Seq, len(got), from)
		}
		got = append(got, string(e.Data))
	}
	return got
}

func blobs(s ...string) [][]byte {
	var b [][]byte
	for _, x := range s {
		b = append(b, []byte(x))
	}
	return b
}

func TestCreatedRunIsReadAsItWasGiven(t *testing.T) {
	s := open(t, t.TempDir())
	run := newRun("reports/nightly@20260329T120000Z")
	run.Plan = job.Plan{Keyed: true, Reduces: 4, Sample: bytes.Repeat([]byte("s"), 700<<10)}
	must(t, s.Create(t.Context(), run, blobs("c0", "c1")))

	got, err := s.Run(run.ID)
	must(t, err)
	run.Created, run.Plan.Chunks = noon, 2
	if !reflect.DeepEqual(got, run) {
		t.Fatalf("got %+v, want %+v", got, run)
	}
	if got, want := journal(t, s, run.ID, 0), []string{"c0", "c1"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	refused(t, s.Create(t.Context(), run, nil), ErrExists)
}

func TestCreateWithMasterBeginsUnderEpochOne(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1")
	run, err := s.Run(id)
	must(t, err)
	if run.Epoch != 1 || run.Master != "m1" || run.State != job.Running {
		t.Fatalf("got epoch %d, master %q, %v", run.Epoch, run.Master, run.State)
	}
}

func TestLargeInputIsStagedAndWhole(t *testing.T) {
	s := open(t, t.TempDir())
	var chunks [][]byte
	for i := range 7 {
		chunks = append(chunks, bytes.Repeat([]byte{byte('a' + i)}, 300<<10+i))
	}
	chunks = append(chunks, bytes.Repeat([]byte("z"), MaxEntry), nil)
	must(t, s.Create(t.Context(), newRun("d/j@1"), chunks))
	for i, want := range chunks {
		got, err := s.Entry("d/j@1", uint64(i))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("entry %d: got %d bytes, want %d", i, len(got), len(want))
		}
	}
	i := 0
	for e, err := range s.Journal("d/j@1", 0) {
		must(t, err)
		if !bytes.Equal(e.Data, chunks[i]) {
			t.Fatalf("journal entry %d differs", i)
		}
		i++
	}
	if i != len(chunks) {
		t.Fatalf("got %d entries, want %d", i, len(chunks))
	}
	err := s.Append(t.Context(), "d/j@1", 1, 0, [][]byte{make([]byte, MaxEntry+1)})
	refused(t, err, ErrInvalid)
}

func TestStagedInputBelongsToTheRunOnceItIsCreated(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	run := newRun("d/j@1")
	must(t, s.Stage(ctx, run.ID, 0, []byte("c0")))
	must(t, s.Stage(ctx, run.ID, 1, []byte("c1")))
	must(t, s.Stage(ctx, run.ID, 1, []byte("c1"))) // an answer that was lost
	refused(t, s.Stage(ctx, run.ID, 1, []byte("other")), ErrConflict)
	refused(t, s.Stage(ctx, run.ID, 3, []byte("gap")), ErrConflict)

	_, err := s.Run(run.ID)
	refused(t, err, ErrNoRun)
	_, err = s.Entry(run.ID, 0)
	refused(t, err, ErrNoRun)
	refused(t, s.Append(ctx, run.ID, 1, 2, blobs("x")), ErrNoRun)

	run.Plan.Chunks = 3
	refused(t, s.Create(ctx, run, nil), ErrConflict)
	run.Plan.Chunks = 2
	must(t, s.Create(ctx, run, nil))
	if got, want := journal(t, s, run.ID, 0), []string{"c0", "c1"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	refused(t, s.Stage(ctx, run.ID, 2, []byte("late")), ErrExists)
	refused(t, s.Discard(ctx, run.ID), ErrExists)
}

func TestStagedInputWithoutRunIsRemovedAtOpen(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	for i := range 3 * discardStep / 2 {
		must(t, s.Stage(ctx, "d/left@1", uint64(i), bytes.Repeat([]byte("x"), 100)))
	}
	must(t, s.Stage(ctx, "d/large@1", 0, make([]byte, MaxEntry)))
	created(t, s, "d/kept@1", []byte("c"))
	closed(t, s)

	s = open(t, dir)
	for _, kind := range []string{"g", "j"} {
		for p, err := range s.kv.Scan([]byte(kind)) {
			must(t, err)
			if !strings.Contains(string(p.Key), "kept") {
				t.Errorf("record %q is left", p.Key)
			}
		}
	}
	must(t, s.Stage(ctx, "d/left@1", 0, []byte("another input")))
	must(t, s.Discard(ctx, "d/left@1"))
	must(t, s.Stage(ctx, "d/left@1", 0, []byte("and one more")))
}

func TestOldMasterIsFenced(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1", []byte("c"))
	must(t, s.Append(ctx, id, 1, 1, blobs("by m1")))
	run, err := s.Assign(ctx, id, "m2")
	must(t, err)
	if run.Epoch != 2 || run.Master != "m2" || run.State != job.Running {
		t.Fatalf("got epoch %d, master %q, %v", run.Epoch, run.Master, run.State)
	}
	refused(t, s.Append(ctx, id, 1, 2, blobs("late")), ErrFenced)
	refused(t, s.Append(ctx, id, 3, 2, blobs("early")), ErrFenced)
	refused(t, s.Append(ctx, id, 0, 2, blobs("nobody's")), ErrFenced)
	refused(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}), ErrFenced)
	must(t, s.Append(ctx, id, 2, 2, blobs("by m2")))
	if got, want := journal(t, s, id, 1), []string{"by m1", "by m2"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	var coded interface{ ErrorCode() string }
	err = s.Append(ctx, id, 1, 2, blobs("late"))
	if !errors.As(err, &coded) || coded.ErrorCode() != "fenced" {
		t.Fatalf("got %v without its code", err)
	}
}

func TestAppendMayBeRepeatedButNotChanged(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1", []byte("c"))
	must(t, s.Append(ctx, id, 1, 1, blobs("a", "b")))
	must(t, s.Append(ctx, id, 1, 1, blobs("a", "b")))
	must(t, s.Append(ctx, id, 1, 2, blobs("b", "c", "d")))
	refused(t, s.Append(ctx, id, 1, 2, blobs("x")), ErrConflict)
	refused(t, s.Append(ctx, id, 1, 6, blobs("gap")), ErrConflict)
	refused(t, s.Append(ctx, id, 1, 0, blobs("c")), ErrConflict) // it is of epoch 0
	must(t, s.Append(ctx, id, 1, 5, nil))
	if got, want := journal(t, s, id, 0), []string{"c", "a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	_, err := s.Entry(id, 5)
	refused(t, err, ErrNoEntry)
}

func TestFinalStateIsAbsorbing(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	must(t, s.Append(ctx, id, 1, 0, blobs("a")))
	progress := job.Progress{Tasks: 3, Done: 3, Members: map[string]int{"n1": 1, "n2": 2}}
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "all done", progress))
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "again", job.Progress{}))
	refused(t, s.Finish(ctx, id, 1, job.Failed, "", job.Progress{}), ErrFinal)
	refused(t, s.Append(ctx, id, 1, 1, blobs("b")), ErrFinal)
	must(t, s.Append(ctx, id, 1, 0, blobs("a")))
	_, err := s.Assign(ctx, id, "m2")
	refused(t, err, ErrFinal)
	run, err := s.Cancel(ctx, id, "too late")
	must(t, err)
	if run.State != job.Succeeded || run.Reason != "all done" || run.CancelReason != "" ||
		!run.Finished.Equal(noon) || !reflect.DeepEqual(run.Progress, progress) {
		t.Fatalf("got %+v", run)
	}
	refused(t, s.Finish(ctx, id, 1, job.Running, "", job.Progress{}), ErrInvalid)
}

func TestCancelThatCameFirstWins(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	run, err := s.Cancel(ctx, id, "by ann")
	must(t, err)
	if run.CancelReason != "by ann" || run.State != job.Running {
		t.Fatalf("got %q, %v", run.CancelReason, run.State)
	}
	run, err = s.Cancel(ctx, id, "by bob")
	must(t, err)
	if run.CancelReason != "by ann" {
		t.Fatalf("got %q, want the first reason", run.CancelReason)
	}
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{Tasks: 1}))
	run, err = s.Run(id)
	must(t, err)
	if run.State != job.Canceled || run.Reason != "by ann" || run.Progress.Tasks != 1 {
		t.Fatalf("got %v, %q", run.State, run.Reason)
	}
}

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
		must(t, s.Create(ctx, run, blobs(string(id))))
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
	for range 5 {
		_, err := s.Assign(ctx, id, "m")
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
		{Processor: "p"}, {Namespace: "a", Name: "x", Processor: "p"},
		{Namespace: "a", Name: "xy", Processor: "p", Params: strings.Repeat("y", 900<<10)}, {Namespace: "ab", Name: "x", Processor: "p"},
		{Namespace: "a", Name: "x", Processor: "q"},
	} {
		must(t, s.PutJob(ctx, spec))
	}
	got, err := s.Job("a", "x")
	must(t, err)
	if got.Processor != "q" {
		t.Fatalf("got processor %q, want the one put last", got.Processor)
	}
	if got, err = s.Job("", "p"); err != nil || got.Namespace != "default" {
		t.Fatalf("got %+v, %v", got, err)
	}
	in, err := s.Jobs("a")
	must(t, err)
	all, err := s.Jobs("")
	must(t, err)
	if len(in) != 2 || len(all) != 4 {
		t.Fatalf("got %d and %d jobs, want 2 and 4", len(in), len(all))
	}
	must(t, s.DeleteJob(ctx, "a", "xy"))
	refused(t, s.DeleteJob(ctx, "a", "xy"), ErrNoJob)
	_, err = s.Job("a", "xy")
	refused(t, err, ErrNoJob)
	refused(t, s.PutJob(ctx, job.Spec{Name: "a\x00b"}), ErrInvalid)
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	for i := range 20 {
		id := created(t, s, fmt.Sprintf("d/j@%d", i), []byte("in"))
		must(t, s.Append(ctx, id, 1, 1, blobs("a", strings.Repeat("b", 600<<10))))
		if i%2 == 0 {
			must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{Members: map[string]int{"a": 1, "b": 2}}))
		}
	}
	must(t, s.PutJob(ctx, job.Spec{Processor: "p"}))
	want, at := contents(t, s.kv), s.fsm.at
	for range 3 {
		closed(t, s)
		s = open(t, dir)
		if got := contents(t, s.kv); got != want {
			t.Fatal("the content changed over a restart")
		}
		if s.fsm.at != at {
			t.Fatalf("got cursor %v, want %v: nothing is to be carried out again", s.fsm.at, at)
		}
	}
	must(t, s.Append(ctx, "d/j@1", 1, 3, blobs("after")))
	refused(t, s.Append(ctx, "d/j@0", 1, 3, blobs("after")), ErrFinal)
}

func TestManyWritersAppendToManyRuns(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	const runs, entries = 16, 60
	var wg sync.WaitGroup
	for r := range runs {
		wg.Go(func() {
			id := created(t, s, fmt.Sprintf("d/j@%02d", r))
			for e := range entries {
				if err := s.Append(ctx, id, 1, uint64(e), blobs(fmt.Sprint(r, e))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for r := range runs {
		got := journal(t, s, job.RunID(fmt.Sprintf("d/j@%02d", r)), 0)
		if len(got) != entries {
			t.Fatalf("run %d has %d entries, want %d", r, len(got), entries)
		}
		for e := range got {
			if got[e] != fmt.Sprint(r, e) {
				t.Fatalf("run %d entry %d is %q", r, e, got[e])
			}
		}
	}
	if last := s.raftLog.Last(); last >= runs*entries {
		t.Errorf("%d commands took %d entries of the log: nothing was gathered", runs*entries, last)
	}
}

func TestFullDiskRefusesNewWorkByName(t *testing.T) {
	dir := t.TempDir()
	closed(t, open(t, dir))
	cfg := config(dir)
	cfg.Reserve = 1 << 62
	s, err := Open(t.Context(), cfg)
	must(t, err)
	defer closed(t, s)
	err = s.Create(t.Context(), newRun("d/j@1"), nil)
	refused(t, err, ErrFull)
	refused(t, err, store.ErrFull)
	if !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %q without the directory", err)
	}
	_, err = s.Runs("", 0)
	must(t, err)
}

func TestDirectoryHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	_, err := Open(t.Context(), config(dir))
	refused(t, err, store.ErrLocked)
	closed(t, s)
	cfg := config(dir)
	cfg.ID = "n2"
	_, err = Open(t.Context(), cfg)
	refused(t, err, ErrInvalid)
	closed(t, open(t, dir))
}

func TestLostLogIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	created(t, s, "d/j@1")
	closed(t, s)
	must(t, os.Remove(filepath.Join(dir, "raft.db")))
	_, err := Open(t.Context(), config(dir))
	refused(t, err, store.ErrCorrupt)
}

func TestLostStoreIsMadeAgainFromTheLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	created(t, s, "d/j@1", []byte("c"))
	want := contents(t, s.kv)
	closed(t, s)
	must(t, os.RemoveAll(filepath.Join(dir, "state")))
	s = open(t, dir)
	if got := contents(t, s.kv); got != want {
		t.Fatal("the store differs from the one that was lost")
	}
}

func TestClosedStateRecordsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1")
	closed(t, s)
	refused(t, s.Append(t.Context(), id, 1, 0, blobs("x")), ErrClosed)
	_, err := s.Run(id)
	refused(t, err, ErrClosed)
	closed(t, s)
}

func TestCanceledWriteSaysThatItMayHaveHappened(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := uint64(0); ; { // until the proposal wins against the canceled context
		err := s.Append(ctx, id, 1, i, blobs("x"))
		refused(t, err, context.Canceled)
		if errors.Is(err, ErrUncertain) {
			break
		}
	}
	must(t, s.Append(t.Context(), id, 1, 0, blobs("x")))
	if got := journal(t, s, id, 0); len(got) != 1 {
		t.Fatalf("got %d entries, want 1", len(got))
	}
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
