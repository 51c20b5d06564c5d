package state

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// onDisk is how many bytes the files in dir have, except those that the store
// maps with a size of its own.
func onDisk(t testing.TB, dir string) (n int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == ".mem" || filepath.Ext(path) == ".vlog" {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	}))
	return n
}

// MUSTER_STATE_ENTRIES=10000 is what a run of 10^7 tasks leaves behind.
func TestDiskUseReturnsWhenRunsAreForgotten(t *testing.T) {
	entries, err := strconv.Atoi(os.Getenv("MUSTER_STATE_ENTRIES"))
	if err != nil {
		entries = 2000
		if testing.Short() {
			t.Skip("it writes 200 MB")
		}
	}
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	chance := rand.NewChaCha8([32]byte{2})
	noise := func(size int) []byte {
		b := make([]byte, size)
		_, _ = chance.Read(b)
		return b
	}
	fill := func(id string, n int) job.RunID {
		run := created(t, s, id)
		for i := 0; i < n; i += 10 {
			var batch [][]byte
			for range 10 {
				batch = append(batch, noise(100<<10))
			}
			must(t, s.Append(ctx, run, 1, uint64(i), batch))
		}
		must(t, s.Finish(ctx, run, 1, job.Succeeded, "", job.Progress{}))
		return run
	}
	live := fill("d/live@1", 100) // 10 MB
	large, compacted := fill("d/large@1", entries/2), fill("d/compacted@1", entries/2)
	full := onDisk(t, dir)

	must(t, s.Forget(ctx, large))
	var small []Entry
	for i := range entries / 2 {
		small = append(small, Entry{Seq: uint64(i), Data: fmt.Append(nil, "summary ", i)})
	}
	must(t, s.Rewrite(ctx, compacted, small))
	must(t, s.Compacted(ctx, compacted))
	must(t, s.Reclaim(ctx))

	left := onDisk(t, dir)
	t.Logf("%d MB, and %d MB when it was reclaimed", full>>20, left>>20)
	if most := int64(reclaimLog + 3*(10<<20)); left > most {
		must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if info, infoErr := e.Info(); infoErr == nil {
				t.Log(path, info.Size())
			}
			return err
		}))
		t.Errorf("%d bytes are left, want at most %d", left, most)
	}
	if got := journal(t, s, compacted, uint64(entries/2-1)); len(got) != 1 || got[0] != string(small[entries/2-1].Data) {
		t.Errorf("the last entry is %q", got)
	}
	_, err = s.Run(large)
	refused(t, err, ErrNoRun)
	if got := len(journal(t, s, live, 0)); got != 100 {
		t.Errorf("the run that was kept has %d entries", got)
	}
	want := contents(t, s.kv)
	closed(t, s)
	if s = open(t, dir); contents(t, s.kv) != want {
		t.Error("the state differs after a restart")
	}
}
