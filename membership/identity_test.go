package membership

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIdentityStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids { // all at once, in a directory that is not there yet
		wg.Go(func() {
			var err error
			if ids[i], err = Identity(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || checkID(id) != nil || len(id) != 26 {
			t.Errorf("got IDs %q, want one", ids)
			break
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files left in the directory, want 1", len(files))
	}
	if other, err := Identity(t.TempDir()); err != nil || other == ids[0] {
		t.Errorf("another directory gave %q, %v", other, err)
	}
}

func TestACorruptIdentityIsNotReplaced(t *testing.T) {
	for _, content := range []string{"", "\n", "short\n", strings.Repeat("A", 26), strings.Repeat("a", 200)} {
		dir := t.TempDir()
		path := filepath.Join(dir, identityFile)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Identity(dir)
		wantError(t, err, path, "restore it from a backup, or remove it")
		if b, _ := os.ReadFile(path); string(b) != content {
			t.Errorf("the file was changed from %q to %q", content, b)
		}
		cfg := brisk("")
		cfg.Dir = dir
		wantError(t, startFails(t, t.Context(), cfg), path)
	}
	_, err := Identity(filepath.Join(os.Args[0], "not a directory"))
	wantError(t, err, "membership: identity")
}

func TestALaterLifeHasAHigherIncarnationThoughTheClockWentBack(t *testing.T) {
	dir := t.TempDir()
	noon := time.Now()
	var last uint64
	for i := range 3 {
		k, err := loadKnown(dir)
		if err != nil {
			t.Fatal(err)
		}
		n, err := k.begin(noon.Add(-time.Duration(i) * time.Hour))
		if err != nil || n <= last {
			t.Errorf("life %d: got %d, %v after %d", i, n, err, last)
		}
		last = n
	}
}

func TestAMemoryThatCannotBeReadIsOnlySaid(t *testing.T) {
	for _, content := range []string{"", "{", `{"version":9}`, "\x00\x00"} {
		cfg := brisk("")
		cfg.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(cfg.Dir, knownFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		lines := newBook()
		cfg.Logger = newLogger(lines)
		a := start(t, cfg)
		lines.await(t, "WARN starting without the last known members", knownFile)
		_ = a.Close()
		if k, err := loadKnown(cfg.Dir); err != nil || k.file.Incarnation != a.Self().Incarnation {
			t.Errorf("after %q: %v", content, err)
		}
	}
}

func TestKnownForgetsTheOldestFirstAndTheImpossible(t *testing.T) {
	dir := t.TempDir()
	k, _ := loadKnown(dir)
	now := time.Now()
	var ms []Member
	for i := range maxKnown {
		ms = append(ms, Member{ID: "n" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Addr: "10.0.0.1:1"})
	}
	ms = append(ms, Member{ID: "bad", Addr: "nowhere"})
	k.see(ms[:1], "self", now.Add(-time.Hour))
	k.see(ms[1:], "self", now)
	k.see([]Member{{ID: "self", Addr: "10.0.0.9:9"}}, "self", now)
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	k, err := loadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	ps := k.peers(now)
	if len(ps) != maxKnown-1 {
		t.Errorf("%d known, want %d", len(ps), maxKnown-1)
	}
	for _, p := range ps {
		if p.ID == ms[0].ID || p.ID == "bad" || p.ID == "self" {
			t.Errorf("%s is known", p.ID)
		}
	}
	if n := len(k.peers(now.Add(forgetting + time.Hour))); n != 0 {
		t.Errorf("%d known after all that time", n)
	}
}
