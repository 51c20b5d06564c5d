package store

import (
	"bytes"
	"fmt"
	"iter"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// Snapshot is a KV as it was at one moment. It holds on to the disk space of
// what was replaced since, so it is closed soon.
type Snapshot struct {
	kv   *KV
	txn  *badger.Txn
	once sync.Once
}

// Snapshot returns the records as they are now.
func (kv *KV) Snapshot() (*Snapshot, error) {
	if !kv.gate.enter() {
		return nil, fmt.Errorf("store: %w", ErrClosed)
	}
	return &Snapshot{kv: kv, txn: kv.db.NewTransaction(false)}, nil
}

// Get returns a copy of the value under key, or ErrNotFound.
func (s *Snapshot) Get(key []byte) ([]byte, error) { return get(s.txn, key) }

// Scan yields the records whose keys begin with prefix, in the order of their
// keys. An error is the last it yields.
func (s *Snapshot) Scan(prefix []byte) iter.Seq2[Pair, error] { return s.ScanFrom(prefix, nil) }

// ScanFrom is Scan without the keys before start.
func (s *Snapshot) ScanFrom(prefix, start []byte) iter.Seq2[Pair, error] {
	if bytes.Compare(start, prefix) < 0 {
		start = prefix
	}
	return s.scan(badger.IteratorOptions{Prefix: prefix}, start)
}

// ScanBack is Scan in the opposite order, without the keys from start on. A nil
// start leaves none out.
func (s *Snapshot) ScanBack(prefix, start []byte) iter.Seq2[Pair, error] {
	if start == nil {
		start = append(bytes.Clone(prefix), 0xff) // no key has it behind its prefix
	}
	pairs := s.scan(badger.IteratorOptions{Prefix: prefix, Reverse: true}, start)
	return func(yield func(Pair, error) bool) {
		for p, err := range pairs {
			if err == nil && bytes.Equal(p.Key, start) {
				continue
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func (s *Snapshot) scan(o badger.IteratorOptions, start []byte) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		it := s.txn.NewIterator(o)
		defer it.Close()
		prefix := o.Prefix
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			key, value, err := it.Item().Key(), []byte(nil), error(nil)
			if readErr := it.Item().Value(func(b []byte) error {
				value, err = unseal(key, b)
				return nil
			}); readErr != nil {
				err = fmt.Errorf("store: read %q: %w", key, readErr)
			}
			if err != nil {
				yield(Pair{}, err)
				return
			}
			if !yield(Pair{key, value}, nil) {
				return
			}
		}
	}
}

// Sync returns when everything that was committed before is on disk, as the
// KV's does; who holds a snapshot need not be let in again.
func (s *Snapshot) Sync() error { return s.kv.sync() }

// Close lets go of the snapshot. Closing twice is harmless.
func (s *Snapshot) Close() {
	s.once.Do(func() {
		s.txn.Discard()
		s.kv.gate.leave()
	})
}

func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return nil, notFound(err, key)
	}
	record, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("store: read %q: %w", key, err)
	}
	return unseal(key, record)
}
