package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

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

// scarce makes the file system of s one of 100 GB with so much free.
func scarce(s *Space, free *uint64) {
	s.probe = func(string) (uint64, uint64, error) { return *free, 100 << 30, nil }
}

func TestCommitRefusesWhileTheDiskIsNearlyFull(t *testing.T) {
	kv, err := Open(t.TempDir(), Options{Reserve: 1 << 30})
	must(t, err)
	defer kv.Close()
	free := uint64(1<<30 + 10)
	scarce(kv.space, &free)
	b, err := kv.Batch()
	must(t, err)
	must(t, b.Put([]byte("k"), []byte("a value of some length")))
	err = b.Commit()
	refused(t, err, ErrFull)
	for _, want := range []string{kv.dir, "1073741834", "storage full"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell %q", err, want)
		}
	}
	_, err = kv.Get([]byte("k"))
	refused(t, err, ErrNotFound)
	free = 2 << 30
	kv.space.written = lookEveryBytes // what makes it look again
	must(t, b.Commit())               // by itself, once there is room
	_, err = kv.Get([]byte("k"))
	must(t, err)
}

func TestSpaceLooksRarely(t *testing.T) {
	s := NewSpace(t.TempDir())
	looks := 0
	s.probe = func(string) (uint64, uint64, error) { looks++; return 1 << 40, 1 << 41, nil }
	for range 100 {
		must(t, s.Room(1000, 1<<30))
	}
	if looks > 3 { // the second may have passed in between
		t.Errorf("got %d looks for 100 kB", looks)
	}
	looks = 0
	for range 10 {
		must(t, s.Room(lookEveryBytes, 1<<30))
	}
	if looks < 10 {
		t.Errorf("got %d looks for 160 MiB, want 10", looks)
	}
	if got, want := s.Reserve(), int64(1<<41/20); got != want {
		t.Errorf("got a reserve of %d, want %d", got, want)
	}
	must(t, s.Room(1<<40, -1))
}

func TestWhatIsPlannedCountsAsTaken(t *testing.T) {
	s := NewSpace(t.TempDir())
	s.probe = func(string) (uint64, uint64, error) { return 100, 1 << 41, nil }
	must(t, s.Room(60, 10))
	s.looked = s.looked.Add(1000 * lookEvery) // so that it does not look again
	refused(t, s.Room(60, 10), ErrFull)
}

func TestSpaceThatCantBeToldIsNoLimit(t *testing.T) {
	s := NewSpace(t.TempDir())
	s.probe = func(string) (uint64, uint64, error) { return 0, 0, errors.ErrUnsupported }
	must(t, s.Room(1<<40, 1<<40))
	if got := s.Reserve(); got != 0 {
		t.Errorf("got a reserve of %d, want 0", got)
	}
}

func TestEmptyFilesOfACrashDoNotKeepItFromOpening(t *testing.T) {
	dir := t.TempDir()
	kv, err := Open(dir, Options{Reserve: -1})
	must(t, err)
	b, err := kv.Batch()
	must(t, err)
	must(t, errors.Join(b.Put([]byte("k"), []byte("v")), b.Commit(), kv.Close()))
	for _, name := range []string{"000077.vlog", "00078.mem"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	kv, err = Open(dir, Options{Reserve: -1})
	must(t, err)
	defer kv.Close()
	_, err = kv.Get([]byte("k"))
	must(t, err)
}

func TestDamagedRecordIsNeverPassedOn(t *testing.T) {
	kv, err := Open(t.TempDir(), Options{Reserve: -1})
	must(t, err)
	defer kv.Close()
	good := seal(nil, []byte("key"), []byte("value"))
	spoilt := map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "longer": append(good[:len(good):len(good)], 0),
		"another key's": seal(nil, []byte("other"), []byte("value")), "another version's": append([]byte{9}, good[1:]...),
	}
	for i := range good {
		flipped := append([]byte(nil), good...)
		flipped[i] ^= 4
		spoilt["flipped"] = flipped
	}
	for name, record := range spoilt {
		must(t, kv.db.Update(func(tx *badger.Txn) error { return tx.Set([]byte("key"), record) }))
		_, err := kv.Get([]byte("key"))
		refused(t, err, ErrCorrupt)
		if !strings.Contains(err.Error(), "key") {
			t.Errorf("%s: %q does not name the key", name, err)
		}
		n := 0
		for _, err := range kv.Scan(nil) {
			refused(t, err, ErrCorrupt)
			n++
		}
		if n != 1 {
			t.Errorf("%s: the scan yielded %d times", name, n)
		}
	}
}

func TestCloseWaitsForReaders(t *testing.T) {
	kv, err := Open(t.TempDir(), Options{Reserve: -1})
	must(t, err)
	s, err := kv.Snapshot()
	must(t, err)
	closed := make(chan error)
	go func() { closed <- kv.Close() }()
	for range 100 { // for as long as the snapshot is open it can be read
		_, err := s.Get([]byte("k"))
		refused(t, err, ErrNotFound)
	}
	select {
	case <-closed:
		t.Fatal("the store closed under a reader")
	default:
	}
	s.Close()
	must(t, <-closed)
}

// Whoever writes a snapshot down while the store is to be emptied must come to
// an end first, and so must not wait for that.
func TestSnapshotSyncsWhileDropAllWaitsForIt(t *testing.T) {
	kv, err := Open(t.TempDir(), Options{Reserve: -1})
	must(t, err)
	defer kv.Close()
	s, err := kv.Snapshot()
	must(t, err)
	dropped := make(chan error)
	go func() { dropped <- kv.DropAll() }()
	for waits := false; !waits; {
		runtime.Gosched()
		kv.gate.mu.Lock()
		waits = kv.gate.alone
		kv.gate.mu.Unlock()
	}
	must(t, s.Sync())
	s.Close()
	must(t, <-dropped)
}
