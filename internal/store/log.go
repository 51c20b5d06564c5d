package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// MaxEntry is the largest entry of a Log in bytes.
const MaxEntry = 16 << 20

var (
	entriesBucket = []byte("entries")
	stableBucket  = []byte("stable")
)

// Log is a sequence of entries under consecutive indexes, with a small map of
// values beside it, in one file for one process. It is safe for use by many
// goroutines.
type Log struct {
	path string
	log  *slog.Logger

	swap sync.RWMutex // held by all who use db
	db   *bbolt.DB    // replaced by Shrink, under swap

	writing sync.Mutex
	scratch []byte // guarded by writing

	mu          sync.RWMutex
	first, last uint64 // zero if there are no entries; guarded by mu
}

// An Entry is one element of a Log. Head and Data are stored as one, one after
// the other; they are apart so that who puts something before the data need
// not copy it.
type Entry struct {
	Index      uint64
	Head, Data []byte
}

// OpenLog opens the log in the file at path, which is made if there is none.
// ErrLocked says that another process has it. A nil logger is silence.
func OpenLog(path string, logger *slog.Logger) (*Log, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := os.Remove(path + shrunk); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	db, err := openBolt(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("store: %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	l := &Log{db: db, path: path, log: logger}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

func openBolt(path string) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      200 * time.Millisecond,
		FreelistType: bbolt.FreelistMapType,
		// A log that was cut has a long list of free pages, and writing it
		// with each append would cost more than finding it anew at Open.
		NoFreelistSync: true,
		NoStatistics:   true,
	})
}

func (l *Log) view(f func(*bbolt.Tx) error) error {
	l.swap.RLock()
	defer l.swap.RUnlock()
	return l.db.View(f)
}

func (l *Log) update(f func(*bbolt.Tx) error) error {
	l.swap.RLock()
	defer l.swap.RUnlock()
	return l.db.Update(f)
}

func (l *Log) load() error {
	var fresh bool
	err := l.view(func(tx *bbolt.Tx) error {
		entries := tx.Bucket(entriesBucket)
		if fresh = entries == nil || tx.Bucket(stableBucket) == nil; fresh {
			return nil
		}
		c := entries.Cursor()
		low, _ := c.First()
		if low == nil {
			return nil
		}
		high, _ := c.Last()
		if len(low) != 8 || len(high) != 8 {
			return fmt.Errorf("key %q or %q is no index: %w", low, high, ErrCorrupt)
		}
		l.first, l.last = binary.BigEndian.Uint64(low), binary.BigEndian.Uint64(high)
		return nil
	})
	if err == nil && fresh {
		err = l.update(func(tx *bbolt.Tx) error {
			if _, err := tx.CreateBucketIfNotExists(entriesBucket); err != nil {
				return err
			}
			_, err := tx.CreateBucketIfNotExists(stableBucket)
			return err
		})
	}
	return l.wrap("open", err)
}

// First returns the index of the first entry, or 0 if there are none.
func (l *Log) First() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.first
}

// Last returns the index of the last entry, or 0 if there are none.
func (l *Log) Last() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last
}

// Append adds entries, whose indexes follow the last one without a gap; an
// empty log begins with any index above 0. When it returns they are on disk,
// all of them, or none of them is in the log. They cost one sync together.
func (l *Log) Append(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	size, next := 0, l.Last()+1
	if next == 1 {
		next = max(entries[0].Index, 1)
	}
	for i, e := range entries {
		if e.Index != next+uint64(i) {
			return fmt.Errorf("store: %s: append of entry %d, want %d: a log has no gaps", l.path, e.Index, next+uint64(i))
		}
		n := len(e.Head) + len(e.Data)
		if n > MaxEntry {
			return fmt.Errorf("store: %s: entry %d has %d bytes, the limit is %d: %w", l.path, e.Index, n, MaxEntry, ErrTooLarge)
		}
		size += envelopeSize + n
	}
	if cap(l.scratch) < size {
		l.scratch = make([]byte, 0, size)
	}
	buf := l.scratch[:0] // bbolt reads from it until the transaction is over
	err := l.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(entriesBucket)
		b.FillPercent = 0.95 // keys only grow
		for _, e := range entries {
			key := indexKey(e.Index)
			start := len(buf)
			buf = seal(buf, key, e.Head, e.Data)
			if err := b.Put(key, buf[start:]); err != nil {
				return err
			}
		}
		return nil
	})
	if cap(l.scratch) > maxScratch {
		l.scratch = nil
	}
	if err != nil {
		return l.wrap("append to", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == 0 {
		l.first = entries[0].Index
	}
	l.last = entries[len(entries)-1].Index
	return nil
}

// maxScratch bounds the memory that a log keeps between appends.
const maxScratch = 8 << 20

// Get returns a copy of the entry under index, or ErrNotFound. An entry
// between the first and the last that is not there is ErrCorrupt.
func (l *Log) Get(index uint64) ([]byte, error) {
	var data []byte
	err := l.view(func(tx *bbolt.Tx) error {
		key := indexKey(index)
		record := tx.Bucket(entriesBucket).Get(key)
		if record == nil {
			return ErrNotFound
		}
		value, err := unseal(key, record)
		data = append(data, value...)
		return err
	})
	if err == nil {
		return data, nil
	}
	l.mu.RLock()
	missing := errors.Is(err, ErrNotFound) && l.first <= index && index <= l.last
	l.mu.RUnlock()
	if missing {
		err = ErrCorrupt
	}
	return nil, fmt.Errorf("store: %s: entry %d: %w", l.path, index, l.known(err))
}

// DeleteRange removes the entries from low to high, both included, from either
// end of the log or all of it. To cut a hole in the middle is refused.
func (l *Log) DeleteRange(low, high uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	first, last := l.First(), l.Last()
	low, high = max(low, first), min(high, last)
	if last == 0 || low > high {
		return nil
	}
	if low > first && high < last {
		return fmt.Errorf("store: %s: remove entries %d to %d of %d to %d: a log has no gaps", l.path, low, high, first, last)
	}
	err := l.update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(entriesBucket).Cursor()
		for k, _ := c.Seek(indexKey(low)); k != nil && binary.BigEndian.Uint64(k) <= high; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return l.wrap("cut", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case low == first && high == last:
		l.first, l.last = 0, 0
	case low == first:
		l.first = high + 1
	default:
		l.last = low - 1
	}
	return nil
}

// Close lets go of the file. Closing twice is harmless.
func (l *Log) Close() error {
	l.swap.RLock()
	defer l.swap.RUnlock()
	return l.wrap("close", l.db.Close())
}

func (l *Log) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s %s: %w", what, l.path, l.known(err))
}

// known gives errors of the library the names of this package.
func (l *Log) known(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	case isNoSpace(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }
