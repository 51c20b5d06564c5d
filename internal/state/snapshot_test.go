package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

var discard = slog.New(slog.DiscardHandler)

// memory is a snapshot in memory.
type memory struct {
	bytes.Buffer
	canceled bool
}

func (m *memory) ID() string    { return "memory" }
func (m *memory) Close() error  { return nil }
func (m *memory) Cancel() error { m.canceled = true; return nil }

func filled(t *testing.T, s *State) {
	t.Helper()
	for i := range 12 {
		id := created(t, s, fmt.Sprintf("d/j@%d", i), bytes.Repeat([]byte{byte(i)}, 400<<10))
		must(t, s.Append(t.Context(), id, 1, 1, blobs("x", "y")))
		if i%3 == 0 {
			must(t, s.Finish(t.Context(), id, 1, job.Succeeded, "", job.Progress{Tasks: i}))
		}
	}
}

func persisted(t testing.TB, f *fsm) *memory {
	t.Helper()
	im, err := f.Snapshot()
	must(t, err)
	defer im.Release()
	var m memory
	must(t, im.Persist(&m))
	return &m
}

func TestRestoredStateEqualsTheSnapshot(t *testing.T) {
	s := open(t, t.TempDir())
	filled(t, s)
	m := persisted(t, s.fsm)

	other := openFSM(t, openKV(t, t.TempDir()))
	apply := entryOf(t, randomCommand(rand.New(rand.NewPCG(1, 1))))
	other.Apply(&raft.Log{Index: 1, Data: apply}) // something to be replaced
	must(t, other.Restore(io.NopCloser(bytes.NewReader(m.Bytes()))))
	if contents(t, other.kv) != contents(t, s.kv) {
		t.Fatal("the restored state differs")
	}
	if other.at != s.fsm.at || len(other.live) != len(s.fsm.live) {
		t.Fatalf("got cursor %v with %d live, want %v with %d", other.at, len(other.live), s.fsm.at, len(s.fsm.live))
	}
}

func TestDamagedSnapshotReplacesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir())
	created(t, s, "d/j@1", []byte("in"))
	good := persisted(t, s.fsm).Bytes()

	f := openFSM(t, openKV(t, t.TempDir()))
	must(t, f.Restore(io.NopCloser(bytes.NewReader(good))))
	want := contents(t, f.kv)
	for i := range 60 {
		bad := damaged(good, i, chance)
		if err := f.Restore(io.NopCloser(bytes.NewReader(bad))); err == nil {
			t.Fatal("a damaged snapshot was restored")
		}
		if contents(t, f.kv) != want {
			t.Fatal("a damaged snapshot replaced the state")
		}
	}
}

func TestSnapshotCutsTheLogAndMakesTheStoreAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	filled(t, s)
	must(t, s.snapshot())
	if first := s.raftLog.First(); first != 0 {
		t.Fatalf("the log still begins with %d after the snapshot", first)
	}
	must(t, s.Append(t.Context(), "d/j@1", 1, 3, blobs("behind the snapshot")))
	want := contents(t, s.kv)
	closed(t, s)

	for name, damage := range map[string]func(dir string) error{
		"nothing":    func(string) error { return nil },
		"store lost": os.RemoveAll,
		"died while restoring": func(dir string) error {
			kv, err := store.Open(dir, store.Options{Reserve: -1})
			if err != nil {
				return err
			}
			err = kv.DropAll()
			if b, batchErr := kv.Batch(); batchErr == nil {
				err = errors.Join(err, b.Put(recordKey("d/half@1"), []byte{1}), b.Commit())
			}
			return errors.Join(err, kv.Close())
		},
	} {
		must(t, damage(filepath.Join(dir, "state")))
		s = open(t, dir)
		if contents(t, s.kv) != want {
			t.Fatalf("%s: the state differs after a restart", name)
		}
		closed(t, s)
	}
}

func TestRestartBehindASnapshotAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	filled(t, s)
	must(t, s.snapshot())
	want := contents(t, s.kv)
	for range 3 { // each adds entries that are no commands, and cuts again
		closed(t, s)
		s = open(t, dir)
		must(t, s.snapshot())
		if contents(t, s.kv) != want {
			t.Fatal("the state differs after a restart")
		}
	}
	must(t, s.Append(t.Context(), "d/j@1", 1, 3, blobs("more")))
}

func TestLogThatHasGrownAsksForASnapshot(t *testing.T) {
	log, err := store.OpenLog(filepath.Join(t.TempDir(), "raft.db"), nil)
	must(t, err)
	defer log.Close()
	l := newRaftLog(log, newWatchdog(time.Hour, discard))
	l.limit.Store(1000)
	store := func(i uint64) {
		must(t, l.StoreLog(&raft.Log{Index: i, Term: 1, Data: make([]byte, 450)}))
	}
	store(1)
	store(2)
	select {
	case <-l.grown:
		t.Fatal("a snapshot is asked for below the limit")
	default:
	}
	store(3)
	<-l.grown
	var e raft.Log
	must(t, l.GetLog(2, &e)) // reading what was counted counts nothing
	if got, want := l.bytes.Load(), int64(3*(450+entryHead)); got != want {
		t.Fatalf("got %d bytes, want %d", got, want)
	}
}

// damaged returns b with a bit that fell over, its end missing or more at it.
func damaged(b []byte, i int, chance *rand.Rand) []byte {
	bad := bytes.Clone(b)
	switch i % 3 {
	case 0:
		bad[chance.IntN(len(bad))] ^= 1 << chance.IntN(8)
	case 1:
		bad = bad[:chance.IntN(len(bad))]
	case 2:
		bad = append(bad, byte(i))
	}
	return bad
}
