package store

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// tableBytes is what the tables of a store take on the disk.
func tableBytes(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sst") {
			info, infoErr := e.Info()
			if infoErr != nil {
				return infoErr
			}
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRemovedRecordsGiveTheirRoomBack(t *testing.T) {
	dir := t.TempDir()
	kv, err := Open(dir, Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	const kept, removed = 8, 400
	chance := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 256<<10) // that can't be compressed
	in := func(n int, do func(b *Batch, i int) error) {
		t.Helper()
		for i := range n {
			b, err := kv.Batch()
			if err == nil {
				err = do(b, i)
			}
			if err == nil {
				err = b.Commit()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(name string) func(b *Batch, i int) error {
		return func(b *Batch, i int) error {
			_, _ = chance.Read(value)
			return b.Put(fmt.Appendf(nil, "%s%03d", name, i), value)
		}
	}
	in(kept, put("kept"))
	in(removed, put("removed"))
	in(removed/2, func(b *Batch, i int) error { return b.Delete(fmt.Appendf(nil, "removed%03d", i)) })
	in(removed/2, func(b *Batch, i int) error {
		return b.Put(fmt.Appendf(nil, "removed%03d", removed/2+i), []byte("small"))
	})
	if err := kv.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if got, most := tableBytes(t, dir), int64(3*kept*len(value)); got > most {
		t.Errorf("%d bytes are left in tables, want at most %d", got, most)
	}
	n := 0
	for p, err := range kv.Scan(nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; strings.HasPrefix(string(p.Key), "kept") != (len(p.Value) == len(value)) {
			t.Fatalf("record %q has %d bytes", p.Key, len(p.Value))
		}
	}
	if want := kept + removed/2; n != want {
		t.Errorf("%d records are left, want %d", n, want)
	}
}

func TestReclaimOfAClosedStoreIsRefused(t *testing.T) {
	kv, err := Open(t.TempDir(), Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := kv.Reclaim(); err == nil {
		t.Error("it was not refused")
	}
}
