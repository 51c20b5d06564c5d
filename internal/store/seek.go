package store

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Seeker finds records of a Snapshot by where they would be, for who goes from
// place to place: unlike a scan it never reads past what it is asked for, so
// that what was replaced or removed elsewhere costs it nothing. It is closed
// before the Snapshot is.
type Seeker struct {
	it *badger.Iterator
	// at is the key that it stands on, and dead whether that was removed, which
	// its older versions do not know.
	at   []byte
	dead bool
}

// Seeker returns one for the records whose keys begin with prefix.
func (s *Snapshot) Seeker(prefix []byte) *Seeker {
	return &Seeker{it: s.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, AllVersions: true})}
}

// steps is how many versions of records are passed over one by one, which is
// cheaper than to seek if they are few.
const steps = 16

// Seek returns the first record whose key is not before start and begins with
// within, and whether there is one. The pair is the caller's.
func (s *Seeker) Seek(start, within []byte) (Pair, bool, error) {
	if bytes.Compare(s.at, start) >= 0 || s.at == nil || !s.walk(start) {
		s.it.Seek(start)
		s.stand()
	}
	for s.it.ValidForPrefix(within) && s.dead {
		next := append(bytes.Clone(s.at), 0)
		if !s.walk(next) {
			s.it.Seek(next)
			s.stand()
		}
	}
	if !s.it.ValidForPrefix(within) {
		s.at = nil
		return Pair{}, false, nil
	}
	record, err := s.it.Item().ValueCopy(nil)
	if err != nil {
		return Pair{}, false, fmt.Errorf("store: read %q: %w", s.at, err)
	}
	key := bytes.Clone(s.at)
	value, err := unseal(key, record)
	return Pair{key, value}, err == nil, err
}

// walk goes to the first key that is not before start, if that is near.
func (s *Seeker) walk(start []byte) bool {
	for range steps {
		if !s.it.Valid() {
			return false
		}
		if bytes.Compare(s.it.Item().Key(), start) >= 0 {
			s.stand()
			return true
		}
		s.it.Next()
	}
	return false
}

// stand notes what it stands on: the latest version of a record.
func (s *Seeker) stand() {
	s.at, s.dead = nil, false
	if s.it.Valid() {
		item := s.it.Item()
		s.at, s.dead = item.KeyCopy(nil), item.IsDeletedOrExpired()
	}
}

// Close ends it.
func (s *Seeker) Close() { s.it.Close() }
