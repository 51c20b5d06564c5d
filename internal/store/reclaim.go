package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Reclaim gives the file system back what removed and replaced records took.
// It is for when much was: it rewrites what is left, and whoever closes the
// store meanwhile waits for it. Others read and write as ever. What a Snapshot
// that is open still sees stays.
//
// By itself a record's room is free again only when as much was written over
// it as lies above it, which in a store that is idle is never.
func (kv *KV) Reclaim() error {
	if !kv.gate.enter() {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	defer kv.gate.leave()
	for range 3 { // the second time there is enough of it for sure
		if err := kv.pushDown(); err != nil {
			return fmt.Errorf("store: reclaim %s: %w", kv.dir, err)
		}
		above := kv.topTables()
		if err := kv.db.Flatten(2); err != nil {
			return fmt.Errorf("store: reclaim %s: %w", kv.dir, err)
		}
		// What is little and in the first level alone is left there.
		if now := kv.topTables(); !slices.ContainsFunc(above, func(id uint64) bool { return slices.Contains(now, id) }) {
			break
		}
	}
	return nil
}

// Size returns how many bytes the tables take, removed records included that
// were not reclaimed.
func (kv *KV) Size() (n int64) {
	if !kv.gate.enter() {
		return 0
	}
	defer kv.gate.leave()
	for _, l := range kv.db.Levels() {
		n += l.Size
	}
	return n
}

// topTables returns the tables of the first level.
func (kv *KV) topTables() (ids []uint64) {
	for _, t := range kv.db.Tables() {
		if t.Level == 0 {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// pushDown returns when all that was removed so far is in tables, where it
// meets what it removes. The library has no call for that, but it writes a
// memtable out when it is full, and begins no further one before the one
// before the last is written. What fills them are records that had expired
// before they were written: nobody sees them, and they end with the compaction.
func (kv *KV) pushDown() error {
	if err := kv.space.Room(fillers*memtableSize, kv.reserve); err != nil {
		return err
	}
	filler := make([]byte, MaxValue)
	for i := range fillers * memtableSize / MaxValue {
		txn := kv.db.NewTransaction(true)
		e := badger.NewEntry(binary.BigEndian.AppendUint32([]byte("\x00reclaim"), uint32(i)), filler)
		e.ExpiresAt = 1 // in 1970
		if err := txn.SetEntry(e); err != nil {
			txn.Discard()
			return err
		}
		if err := txn.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// fillers is how many memtables are filled: the one at hand, those that may
// wait to be written, and one that can't wait.
const fillers = 2 + memtables
