package store

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestShrunkLogHoldsTheSameInAsMuchAsItTakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(i uint64) Entry { return Entry{Index: i, Data: bytes.Repeat([]byte{byte(i)}, 100<<10)} }
	const last = 200
	for i := uint64(1); i <= last; i++ {
		if err := l.Append([]Entry{entry(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.SetUint64([]byte("term"), 7); err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRange(1, last-10); err != nil {
		t.Fatal(err)
	}
	before, err := l.FileSize()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup // others read and write meanwhile
	wg.Go(func() {
		for i := uint64(last + 1); i <= last+20; i++ {
			if err := l.Append([]Entry{entry(i)}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 100 {
			if _, err := l.Get(last); err != nil {
				t.Error(err)
			}
		}
	})
	if err := l.Shrink(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if after, err := l.FileSize(); err != nil || after > before/3 {
		t.Errorf("the file has %d bytes after %d, %v", after, before, err)
	}
	check := func() {
		t.Helper()
		if l.First() != last-9 || l.Last() != last+20 {
			t.Fatalf("got entries %d to %d", l.First(), l.Last())
		}
		for i := l.First(); i <= l.Last(); i++ {
			if got, err := l.Get(i); err != nil || !bytes.Equal(got, entry(i).Data) {
				t.Fatalf("entry %d: %d bytes, %v", i, len(got), err)
			}
		}
		if n, err := l.Uint64([]byte("term")); err != nil || n != 7 {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	check()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash in the middle leaves behind is of no use.
	if err := os.WriteFile(path+shrunk, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(path, nil); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := os.Stat(path + shrunk); !os.IsNotExist(err) {
		t.Errorf("the rest of a crash is still there: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
