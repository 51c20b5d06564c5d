package store

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Seeker finds records of a Snapshot by where they would be. It is closed
// before the Snapshot is.
type Seeker struct {
	it     *badger.Iterator
	prefix []byte
}

// Seeker returns one for the records whose keys begin with prefix.
func (s *Snapshot) Seeker(prefix []byte) *Seeker {
	return &Seeker{s.txn.NewIterator(badger.IteratorOptions{Prefix: prefix}), prefix}
}

// Seek returns the first record whose key is not before start, which begins
// with the prefix, and whether there is one. The pair is the caller's.
func (s *Seeker) Seek(start []byte) (Pair, bool, error) {
	s.it.Seek(start)
	if !s.it.ValidForPrefix(s.prefix) {
		return Pair{}, false, nil
	}
	item := s.it.Item()
	record, err := item.ValueCopy(nil)
	if err != nil {
		return Pair{}, false, fmt.Errorf("store: read %q: %w", item.Key(), err)
	}
	key := item.KeyCopy(nil)
	value, err := unseal(key, record)
	return Pair{key, value}, err == nil, err
}

// Close ends it.
func (s *Seeker) Close() { s.it.Close() }
