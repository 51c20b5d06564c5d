package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	s, err := openLone(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s
}

// openLone opens the state of a server that has no others, and leads.
func openLone(ctx context.Context, cfg Config) (*State, error) {
	s, err := Open(ctx, cfg)
	if err == nil && s.Empty() {
		err = s.Bootstrap()
	}
	if err == nil {
		err = s.WaitLead(ctx)
	}
	if err != nil && s != nil {
		err = errors.Join(err, s.Close())
	}
	return s, err
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
		Extra: map[string]string{"a": "1", "b": "2", "c": "3"},
	}
}

// created creates a run under a first master.
func created(t testing.TB, s *State, id string, chunks ...[]byte) job.RunID {
	t.Helper()
	run := newRun(id)
	run.Master = "m1"
	create(t, s, run, chunks)
	return run.ID
}

func create(t testing.TB, s *State, run job.Run, chunks [][]byte) job.Run {
	t.Helper()
	got, err := s.Create(t.Context(), run, chunks)
	must(t, err)
	return got
}

func refuseCreate(t testing.TB, s *State, run job.Run, want error) {
	t.Helper()
	_, err := s.Create(t.Context(), run, nil)
	refused(t, err, want)
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
	declare(t, s, job.Spec{Processor: "p"})
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

func TestOpenThatIsGivenUpLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	id := created(t, s, "d/j@1")
	for i := range 200 {
		must(t, s.Append(t.Context(), id, 1, uint64(i), blobs("x")))
	}
	closed(t, s)
	must(t, os.RemoveAll(filepath.Join(dir, "state"))) // so that there is a log to carry out
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(over, config(dir))
	refused(t, err, context.Canceled)
	for range 10 { // while it is carried out
		s, err := Open(t.Context(), config(dir))
		must(t, err)
		closed(t, s)
	}
	s = open(t, dir)
	if got := journal(t, s, id, 0); len(got) != 200 {
		t.Fatalf("got %d entries, want 200", len(got))
	}
}
