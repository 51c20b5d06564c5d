package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
)

// count changes the count under key by so many, which may be none, and returns
// what it is then. Counts are written with the change that they belong to; a
// count of nothing has no record.
func (tx *change) count(key []byte, by int64) (uint64, error) {
	n, again := tx.counts[string(key)]
	if !again {
		var err error
		if n, err = readCount(tx.batch, key); err != nil {
			return 0, err
		}
	}
	if by == 0 {
		return n, nil
	}
	if by < 0 && n < uint64(-by) {
		return 0, fmt.Errorf("state: count %q is %d and is to change by %d: %w", key, n, by, store.ErrCorrupt)
	}
	n += uint64(by)
	if !again {
		tx.pending += len(key) + 8 + perRecord
	}
	tx.counts[string(key)] = n
	return n, nil
}

func (tx *change) putCounts() error {
	for key, n := range tx.counts { // in any order: they are different records of one write
		var err error
		if n == 0 {
			err = tx.batch.Delete([]byte(key))
		} else {
			err = tx.batch.Put([]byte(key), binary.BigEndian.AppendUint64(nil, n))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readCount(g getter, key []byte) (uint64, error) {
	b, err := g.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCount(key, b)
}

func decodeCount(key, b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("state: count %q has %d bytes: %w", key, len(b), store.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(b), nil
}
