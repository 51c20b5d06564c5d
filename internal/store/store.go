// Package store is this node's disk.
//
// It has two forms. A KV is an ordered map of records over badger: it holds
// what can be made again, from a log or from another node, so a write is on
// disk only once Sync has returned; a crash of the process alone loses
// nothing. A Log is a sequence of entries over bbolt: what Append has returned
// for is on disk, power loss included.
//
// Neither trusts the disk. Every record carries a checksum of its key and
// value, and one that does not hold is an ErrCorrupt that names the key; what
// was damaged is never passed on, skipped or repaired by guessing. Neither
// waits for the disk to be full either, since a write to a mapped file that
// has no room kills the process: both refuse with ErrFull while there is still
// room to go on reading.
//
// The package knows nothing of what it keeps. It has no expiry, no secondary
// index and no transaction that reads: one writer, any number of readers.
package store

import (
	"errors"
	"fmt"
)

// The errors that callers act on. All are wrapped with what they happened to.
var (
	// ErrNotFound says that there is no record under a key, or no entry under
	// an index.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt says that what was read is not what was written. Other
	// records may be good; the damaged one has to come from elsewhere.
	ErrCorrupt = errors.New("corrupt")
	// ErrFull says that the disk has less free than the reserve. Nothing was
	// written; the same write succeeds once there is room again.
	ErrFull = errors.New("storage full")
	// ErrTooLarge says that a record or a batch is over its limit. Nothing was
	// written.
	ErrTooLarge = errors.New("too large")
	// ErrLocked says that another process has the directory open.
	ErrLocked = errors.New("data directory in use by another process")
	// ErrClosed says that the store was closed. Nothing was written.
	ErrClosed = errors.New("closed")
)

// maxKey bounds a key in bytes.
const maxKey = 2 << 10

func checkKey(key []byte) error {
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("store: key of %d bytes: want 1 to %d: %w", len(key), maxKey, ErrTooLarge)
	}
	return nil
}
