package storetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/internal/store"
)

// TestLog tests the logs that open makes of the file at path.
func TestLog(t *testing.T, open func(path string) (Log, error)) {
	with := func(name string, f func(t *testing.T, l Log, reopen func() Log)) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			var l Log
			reopen := func() Log {
				t.Helper()
				if l != nil {
					must(t, l.Close())
				}
				var err error
				l, err = open(path)
				must(t, err)
				return l
			}
			f(t, reopen(), reopen)
			must(t, l.Close())
			must(t, l.Close()) // twice is harmless
		})
	}
	with("WhatWasAppendedIsThere", logKeeps)
	with("ThereAreNoGaps", logHasNoGaps)
	with("BothEndsCanBeCut", logIsCut)
	with("LimitsAreKept", logLimits)
	with("StableValuesStay", logStable)
	with("RandomOperationsAgreeWithAModel", logModel)
	t.Run("OneProcessHasIt", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l, err := open(path)
		must(t, err)
		_, err = open(path)
		refused(t, err, store.ErrLocked)
		must(t, l.Close())
		refused(t, l.Append(entries(1, 1)), store.ErrClosed)
		_, err = l.Get(1)
		refused(t, err, store.ErrClosed)
	})
}

func same(t *testing.T, l Log, low, high uint64) {
	t.Helper()
	if l.First() != low || l.Last() != high {
		t.Fatalf("got entries %d to %d, want %d to %d", l.First(), l.Last(), low, high)
	}
	for i := low; i <= high && high > 0; i++ {
		got, err := l.Get(i)
		must(t, err)
		if !bytes.Equal(got, text(i)) {
			t.Fatalf("entry %d is not what was appended", i)
		}
	}
	for _, i := range []uint64{low - 1, high + 1} {
		_, err := l.Get(i)
		refused(t, err, store.ErrNotFound)
	}
}

func logKeeps(t *testing.T, l Log, reopen func() Log) {
	same(t, l, 0, 0)
	must(t, l.Append(nil))
	must(t, l.Append(entries(7, 7))) // a log begins anywhere
	must(t, l.Append(entries(8, 300)))
	same(t, l, 7, 300)
	same(t, reopen(), 7, 300)
}

func logHasNoGaps(t *testing.T, l Log, reopen func() Log) {
	must(t, l.Append(entries(1, 3)))
	for _, es := range [][]store.Entry{
		entries(3, 3), entries(5, 5), entries(1, 4),
		append(entries(4, 4), entries(6, 6)...), append(entries(4, 4), entries(4, 4)...),
		{{Index: 0}},
	} {
		if l.Append(es) == nil {
			t.Fatalf("append from entry %d was taken", es[0].Index)
		}
	}
	same(t, l, 1, 3)
	same(t, reopen(), 1, 3)
}

func logIsCut(t *testing.T, l Log, reopen func() Log) {
	must(t, l.Append(entries(1, 500)))
	must(t, l.DeleteRange(1, 123))
	same(t, l, 124, 500)
	must(t, l.DeleteRange(401, 500))
	same(t, l, 124, 400)
	must(t, l.DeleteRange(1, 5)) // nothing is there
	must(t, l.DeleteRange(600, 700))
	must(t, l.DeleteRange(300, 200))
	if l.DeleteRange(200, 210) == nil {
		t.Fatal("a hole was cut")
	}
	l = reopen()
	same(t, l, 124, 400)
	must(t, l.Append(entries(401, 405)))
	must(t, l.DeleteRange(0, 1<<62))
	same(t, l, 0, 0)
	l = reopen()
	same(t, l, 0, 0)
	must(t, l.Append(entries(1000, 1001)))
	same(t, reopen(), 1000, 1001)
}

func logLimits(t *testing.T, l Log, _ func() Log) {
	big := make([]byte, store.MaxEntry)
	must(t, l.Append([]store.Entry{{Index: 1, Data: big}, {Index: 2}}))
	got, err := l.Get(1)
	must(t, err)
	if !bytes.Equal(got, big) {
		t.Fatal("a large entry is not what was appended")
	}
	if got, err := l.Get(2); err != nil || len(got) != 0 {
		t.Fatalf("got %q, %v for an empty entry", got, err)
	}
	refused(t, l.Append([]store.Entry{{Index: 3, Head: []byte{1}, Data: big}}), store.ErrTooLarge)
	if l.Last() != 2 {
		t.Fatalf("got last entry %d, want 2", l.Last())
	}
}

func logStable(t *testing.T, l Log, reopen func() Log) {
	_, err := l.Value([]byte("term"))
	refused(t, err, store.ErrNotFound)
	_, err = l.Uint64([]byte("term"))
	refused(t, err, store.ErrNotFound)
	must(t, l.SetUint64([]byte("term"), 1))
	must(t, l.SetUint64([]byte("term"), 1<<63))
	must(t, l.Set([]byte("vote"), []byte("n1")))
	must(t, l.Set([]byte("none"), nil))
	refused(t, l.Set(nil, nil), store.ErrTooLarge)
	must(t, l.Append(entries(1, 1)))
	must(t, l.DeleteRange(1, 1))
	l = reopen()
	n, err := l.Uint64([]byte("term"))
	must(t, err)
	vote, err := l.Value([]byte("vote"))
	must(t, err)
	none, err := l.Value([]byte("none"))
	must(t, err)
	if n != 1<<63 || string(vote) != "n1" || len(none) != 0 {
		t.Fatalf("got %d, %q, %q", n, vote, none)
	}
	_, err = l.Uint64([]byte("vote"))
	refused(t, err, store.ErrCorrupt)
}

func logModel(t *testing.T, l Log, reopen func() Log) {
	chance := seeded(t)
	var low, high uint64
	for range 120 {
		switch {
		case chance.IntN(3) > 0 || high == 0:
			from := high + 1
			if high == 0 {
				from = 1 + chance.Uint64N(1000)
				low = from
			}
			high = from + chance.Uint64N(20)
			must(t, l.Append(entries(from, high)))
		case chance.IntN(2) == 0:
			cut := low + chance.Uint64N(high-low+1)
			must(t, l.DeleteRange(low, cut))
			if low = cut + 1; low > high {
				low, high = 0, 0
			}
		default:
			cut := low + chance.Uint64N(high-low+1)
			must(t, l.DeleteRange(cut, high))
			if high = cut - 1; high < low {
				low, high = 0, 0
			}
		}
		if chance.IntN(10) == 0 {
			l = reopen()
		}
		if l.First() != low || l.Last() != high {
			t.Fatalf("got entries %d to %d, want %d to %d", l.First(), l.Last(), low, high)
		}
	}
	same(t, reopen(), low, high)
}

// Damage opens a log of some entries, lets spoil change the bytes of its file,
// and fails unless reading then gives what was written or an error. How many
// reads found the damage is returned: it is above zero if spoil did anything.
func Damage(t *testing.T, open func(path string) (Log, error), spoil func(path string, chance *rand.Rand)) (found int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := open(path)
	must(t, err)
	must(t, l.Append(entries(1, 200)))
	must(t, l.Close())
	spoil(path, seeded(t))
	if l, err = open(path); err != nil {
		return 1
	}
	for i := uint64(1); i <= 200; i++ {
		got, err := l.Get(i)
		switch {
		case err == nil && !bytes.Equal(got, text(i)):
			t.Fatalf("entry %d was passed on damaged", i)
		case errors.Is(err, store.ErrCorrupt):
			found++
		case err != nil:
			t.Fatalf("got error %v, want %v", err, store.ErrCorrupt)
		}
	}
	must(t, l.Close())
	return found
}
