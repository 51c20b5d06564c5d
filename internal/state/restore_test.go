package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// later is when a backup is restored.
var later = noon.Add(time.Hour)

// backedUp returns a backup of a state, which is whole.
func backedUp(t testing.TB, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Backup(t.Context(), &b))
	m, err := CheckBackup(bytes.NewReader(b.Bytes()))
	must(t, err)
	if m.Cluster != s.Cluster() || m.Index == 0 || m.SHA256 == "" || m.At.IsZero() {
		t.Fatalf("got the manifest %+v of cluster %s", m, s.Cluster())
	}
	return b.Bytes()
}

// worded is what a state holds but for which cluster it is, and what its leader
// has recorded of itself.
func worded(t testing.TB, s *State) map[string]string {
	t.Helper()
	all := records(t, s.kv)
	for _, key := range [][]byte{cursorKey, clusterKey, originKey, agreedKey} {
		delete(all, string(key))
	}
	return all
}

// restored makes a directory of a backup and opens it.
func restored(t testing.TB, backup []byte) *State {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	_, cluster, err := Restore(dir, config(dir).ID, bytes.NewReader(backup), later, discard)
	must(t, err)
	s := open(t, dir)
	if s.Cluster() != cluster {
		t.Errorf("got cluster %q, want %q", s.Cluster(), cluster)
	}
	return s
}

func TestARestoredClusterHasTheSameStateAndGoesOn(t *testing.T) {
	s := open(t, t.TempDir())
	filled(t, s)
	must(t, s.PutToken(t.Context(), token("a"), sha256.Sum256([]byte("secret")), true))
	backup := backedUp(t, s)

	r := restored(t, backup)
	if got, want := worded(t, r), worded(t, s); !maps.Equal(got, want) {
		differ(t, "restored", got, want)
	}
	if r.Cluster() == s.Cluster() || r.Origin() != s.Cluster() {
		t.Errorf("got cluster %q of origin %q, want another than %q, of that origin", r.Cluster(), r.Origin(), s.Cluster())
	}
	must(t, r.Append(t.Context(), "d/j@1", 1, 3, blobs("more"))) // what went on goes on
	must(t, r.snapshot())

	again := restored(t, backedUp(t, r)) // the origin stays the first
	if again.Cluster() == r.Cluster() || again.Origin() != s.Cluster() {
		t.Errorf("got cluster %q of origin %q, want another of origin %q", again.Cluster(), again.Origin(), s.Cluster())
	}
	if got, want := worded(t, again), worded(t, r); !maps.Equal(got, want) {
		differ(t, "restored twice", got, want)
	}
}

func TestADamagedBackupIsRefusedAndLeavesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir())
	created(t, s, "d/j@1", []byte("in"))
	good := backedUp(t, s)
	dir := t.TempDir()
	for i := range 90 {
		bad := damaged(good, i, chance)
		_, _, err := Restore(filepath.Join(dir, "state"), "a", bytes.NewReader(bad), later, discard)
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrBroken) {
			t.Fatalf("got %v of a damaged backup", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Fatalf("a damaged backup left %v, %v", left, err)
		}
	}
}

func TestABackupOfALaterVersionIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	v, err := s.kv.Snapshot()
	must(t, err)
	defer v.Close()
	for name, m := range map[string]job.Manifest{
		"layout":   {Layout: layoutVersion + 1},
		"commands": {Commands: wire.MaxCommandVersion + 1},
	} {
		var b bytes.Buffer
		must(t, writeBackup(&b, m, v))
		if _, err := CheckBackup(&b); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: got %v, want %v", name, err, ErrBroken)
		}
	}
	format := bytes.Replace(backedUp(t, s), []byte("backup 1"), []byte("backup 2"), 1)
	if _, err := CheckBackup(bytes.NewReader(format)); !errors.Is(err, ErrBroken) {
		t.Errorf("format: got %v, want %v", err, ErrBroken)
	}
}

func TestNothingIsRestoredOverAState(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := contents(t, s.kv)
	_, _, err := Restore(dir, "a", bytes.NewReader(backedUp(t, s)), later, discard)
	refused(t, err, ErrExists)
	if contents(t, s.kv) != want {
		t.Error("the state was changed")
	}
}

// TestTwoRestoresAreTwoClusters has both begin with the same backup.
func TestTwoRestoresAreTwoClusters(t *testing.T) {
	s := open(t, t.TempDir())
	backup := backedUp(t, s)
	dir := t.TempDir()
	_, one, err := Restore(filepath.Join(dir, "one"), "a", bytes.NewReader(backup), later, discard)
	must(t, err)
	_, other, err := Restore(filepath.Join(dir, "other"), "a", bytes.NewReader(backup), later.Add(1), discard)
	must(t, err)
	if one == other {
		t.Errorf("both are cluster %q", one)
	}
}

// TestAServerIsRescuedFromItsDirectory has one of three servers left, whose log
// ends with what nobody else has.
func TestAServerIsRescuedFromItsDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	filled(t, s)
	must(t, s.snapshot())
	must(t, s.Append(t.Context(), "d/j@1", 1, 3, blobs("behind the snapshot")))
	want := worded(t, s)
	closed(t, s)
	for name, damage := range map[string]func() error{
		"nothing":    func() error { return nil },
		"store lost": func() error { return os.RemoveAll(filepath.Join(dir, "state")) },
	} {
		must(t, damage())
		before := files(t, dir)
		var b bytes.Buffer
		scratch := t.TempDir()
		must(t, Rescue(dir, scratch, &b, later, discard))
		if got := worded(t, restored(t, b.Bytes())); !maps.Equal(got, want) {
			differ(t, name, got, want)
		}
		if after := files(t, dir); !maps.Equal(after, before) {
			t.Errorf("%s: the directory was changed", name)
		}
		if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", name, left, err)
		}
	}
	refused(t, Rescue(t.TempDir(), t.TempDir(), &bytes.Buffer{}, later, discard), ErrInvalid)
}

// files returns the checksums of all files below dir.
func files(t testing.TB, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = sha256.Sum256(b)
		return err
	}))
	return all
}
