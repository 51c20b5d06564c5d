package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/musterhq/muster/internal/store"
)

// TestKV tests the stores that open makes in dir.
func TestKV(t *testing.T, open func(dir string) (KV, error)) {
	with := func(name string, f func(t *testing.T, kv KV, reopen func() KV)) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var kv KV
			reopen := func() KV {
				t.Helper()
				if kv != nil {
					must(t, kv.Close())
				}
				var err error
				kv, err = open(dir)
				must(t, err)
				return kv
			}
			f(t, reopen(), reopen)
			must(t, kv.Close())
			must(t, kv.Close()) // twice is harmless
		})
	}
	with("WhatWasCommittedIsThere", kvKeeps)
	with("BatchIsAllOrNothing", kvAtomic)
	with("BatchReadsItsOwnWrites", kvOwnWrites)
	with("SnapshotStandsStill", kvSnapshot)
	with("LimitsAreKept", kvLimits)
	with("DropAllLeavesNothing", kvDrop)
	with("RandomOperationsAgreeWithAModel", kvModel)
	t.Run("OneProcessHasIt", func(t *testing.T) {
		dir := t.TempDir()
		kv, err := open(dir)
		must(t, err)
		_, err = open(dir)
		refused(t, err, store.ErrLocked)
		must(t, kv.Close())
		_, err = kv.Get([]byte("k"))
		refused(t, err, store.ErrClosed)
		_, err = kv.Batch()
		refused(t, err, store.ErrClosed)
		refused(t, kv.Sync(), store.ErrClosed)
		refused(t, kv.DropAll(), store.ErrClosed)
		for _, err := range kv.Scan(nil) {
			refused(t, err, store.ErrClosed)
		}
	})
}

func put(t *testing.T, kv KV, pairs ...string) {
	t.Helper()
	b, err := kv.Batch()
	must(t, err)
	for i := 0; i < len(pairs); i += 2 {
		must(t, b.Put([]byte(pairs[i]), []byte(pairs[i+1])))
	}
	must(t, b.Commit())
}

func scanned(t *testing.T, kv KV, prefix string) (got []string) {
	t.Helper()
	for p, err := range kv.Scan([]byte(prefix)) {
		must(t, err)
		got = append(got, string(p.Key)+"="+string(p.Value))
	}
	return got
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func kvKeeps(t *testing.T, kv KV, reopen func() KV) {
	_, err := kv.Get([]byte("a"))
	refused(t, err, store.ErrNotFound)
	put(t, kv, "b", "2", "a", "1", "ab", "3", "c", "")
	put(t, kv, "b", "4", "\xff\xff", "5")
	must(t, kv.Sync())
	for range 2 {
		want(t, scanned(t, kv, ""), "a=1", "ab=3", "b=4", "c=", "\xff\xff=5")
		want(t, scanned(t, kv, "a"), "a=1", "ab=3")
		want(t, scanned(t, kv, "\xff"), "\xff\xff=5")
		want(t, scanned(t, kv, "x"))
		got, err := kv.Get([]byte("b"))
		must(t, err)
		want(t, []string{string(got)}, "4")
		kv = reopen()
	}
	for range kv.Scan(nil) {
		break // and the store still closes
	}
}

func kvAtomic(t *testing.T, kv KV, reopen func() KV) {
	put(t, kv, "a", "1")
	b, err := kv.Batch()
	must(t, err)
	must(t, b.Put([]byte("a"), []byte("2")))
	must(t, b.Put([]byte("b"), []byte("2")))
	want(t, scanned(t, kv, ""), "a=1")
	b.Discard()
	if b.Commit() == nil {
		t.Fatal("a discarded batch was committed")
	}
	b.Discard()

	b, err = kv.Batch()
	must(t, err)
	must(t, b.Put([]byte("b"), []byte("3")))
	refused(t, b.Put([]byte("c"), make([]byte, store.MaxValue+1)), store.ErrTooLarge)
	refused(t, b.Commit(), store.ErrTooLarge)
	want(t, scanned(t, reopen(), ""), "a=1")
}

func kvOwnWrites(t *testing.T, kv KV, _ func() KV) {
	put(t, kv, "a", "1", "b", "1")
	b, err := kv.Batch()
	must(t, err)
	must(t, b.Put([]byte("a"), []byte("2"), nil, []byte("3"))) // a value in pieces
	must(t, b.Delete([]byte("b")))
	must(t, b.Delete([]byte("never")))
	got, err := b.Get([]byte("a"))
	must(t, err)
	want(t, []string{string(got)}, "23")
	_, err = b.Get([]byte("b"))
	refused(t, err, store.ErrNotFound)
	must(t, b.Commit())
	want(t, scanned(t, kv, ""), "a=23")
}

func kvSnapshot(t *testing.T, kv KV, _ func() KV) {
	put(t, kv, "a", "1", "b", "1", "ba", "1", "c", "1")
	s, err := kv.Snapshot()
	must(t, err)
	put(t, kv, "b", "2", "bb", "2")
	var got []string
	for p, err := range s.ScanFrom([]byte("b"), []byte("b\x00")) {
		must(t, err)
		got = append(got, string(p.Key)+"="+string(p.Value))
		put(t, kv, "bz", "new") // while it is read
	}
	want(t, got, "ba=1")
	one, err := s.Get([]byte("b"))
	must(t, err)
	want(t, []string{string(one)}, "1")
	s.Close()
	s.Close()
	want(t, scanned(t, kv, "b"), "b=2", "ba=1", "bb=2", "bz=new")
}

func kvLimits(t *testing.T, kv KV, reopen func() KV) {
	big := bytes.Repeat([]byte("x"), store.MaxValue)
	b, err := kv.Batch()
	must(t, err)
	n := 0
	for ; b.Size()+store.MaxValue+100 < store.MaxBatch; n++ {
		must(t, b.Put(fmt.Appendf(nil, "k%d", n), big))
	}
	must(t, b.Commit())
	kv = reopen()
	for i := range n {
		got, err := kv.Get(fmt.Appendf(nil, "k%d", i))
		must(t, err)
		if !bytes.Equal(got, big) {
			t.Fatalf("large record %d is not what was put", i)
		}
	}
	b, err = kv.Batch()
	must(t, err)
	defer b.Discard()
	for range n {
		must(t, b.Put([]byte("k"), big))
	}
	refused(t, b.Put([]byte("k"), big), store.ErrTooLarge)
	refused(t, b.Delete(nil), store.ErrTooLarge)
	refused(t, b.Delete(make([]byte, 4<<10)), store.ErrTooLarge)

	small, err := kv.Batch() // as many small ones as fit
	must(t, err)
	var key []byte
	for i := 0; small.Size()+100 < store.MaxBatch; i++ {
		key = fmt.Appendf(nil, "s%08d", i)
		must(t, small.Put(key, nil))
	}
	must(t, small.Commit())
	_, err = kv.Get(key)
	must(t, err)
}

func kvDrop(t *testing.T, kv KV, reopen func() KV) {
	put(t, kv, "a", "1", "b", "2")
	must(t, kv.DropAll())
	want(t, scanned(t, kv, ""))
	put(t, kv, "c", "3")
	want(t, scanned(t, reopen(), ""), "c=3")
}

func kvModel(t *testing.T, kv KV, reopen func() KV) {
	chance := seeded(t)
	model := map[string]string{}
	for range 150 {
		b, err := kv.Batch()
		must(t, err)
		next := map[string]string{}
		for k, v := range model {
			next[k] = v
		}
		for range chance.IntN(20) {
			key := fmt.Sprintf("%02x", chance.IntN(64))
			if chance.IntN(3) == 0 {
				must(t, b.Delete([]byte(key)))
				delete(next, key)
			} else {
				next[key] = fmt.Sprint(chance.Uint64())
				must(t, b.Put([]byte(key), []byte(next[key])))
			}
		}
		if chance.IntN(5) == 0 {
			b.Discard()
		} else {
			must(t, b.Commit())
			model = next
		}
		if chance.IntN(15) == 0 {
			kv = reopen()
		}
		var all []string
		for k, v := range model {
			all = append(all, k+"="+v)
		}
		slices.Sort(all)
		want(t, scanned(t, kv, ""), all...)
	}
}
