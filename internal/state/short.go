package state

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A journal that is short is kept in the status of its run, and so is the
// beginning of its history, for what a small run costs is mostly how many
// records are written and removed for it. A journal is in the status as a
// whole or not at all: one that grows moves to records of its own.

const (
	// shortBytes bounds what of a journal or a history is in a status, and
	// shortItems how many entries or happenings.
	shortBytes = 1 << 10
	shortItems = 8
)

// statusShort is above what the short parts of a status take in a write, and
// what it takes to move a journal out of it.
func statusShort(id job.RunID) int {
	return 2*shortBytes + shortItems*(len(id)+perRecord)
}

// item is one of a list in a status: an entry with its epoch, or a happening
// with its time.
type item struct {
	n    uint64
	data []byte
}

// appendItem returns list with one more at its end. The bytes of list are
// shared with nobody: a status that is replaced stays as it was.
func appendItem(list []byte, n uint64, data ...byte) []byte {
	grown := make([]byte, 0, len(list)+2*binary.MaxVarintLen64+len(data))
	grown = binary.AppendUvarint(append(grown, list...), n)
	grown = binary.AppendUvarint(grown, uint64(len(data)))
	return append(grown, data...)
}

// items yields the elements of a list. Their bytes are the list's.
func items(list []byte) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for left := list; len(left) > 0; {
			n, a := binary.Uvarint(left)
			size, b := binary.Uvarint(left[max(a, 0):])
			if a <= 0 || b <= 0 || size > uint64(len(left)-a-b) {
				yield(item{}, fmt.Errorf("state: a list of %d bytes ends within an element: %w", len(list), store.ErrCorrupt))
				return
			}
			end := a + b + int(size)
			if !yield(item{n, left[a+b : end : end]}, nil) {
				return
			}
			left = left[end:]
		}
	}
}

// itemAt returns element i of a list, or false if there are not so many.
func itemAt(list []byte, i uint64) (it item, ok bool, err error) {
	for it, err := range items(list) {
		if err != nil || i == 0 {
			return it, err == nil, err
		}
		i--
	}
	return it, false, nil
}

// takesItem reports whether a list that is all there is, of so many elements,
// stays short with one more.
func takesItem(list []byte, have uint64, data int) bool {
	if have >= shortItems || len(list)+data+2*binary.MaxVarintLen64 > shortBytes {
		return false
	}
	return length(list) == have
}

// length returns how many elements a list has that can be read.
func length(list []byte) (n uint64) {
	for _, err := range items(list) {
		if err != nil {
			break
		}
		n++
	}
	return n
}

// put adds entries to the journal and makes st the status of the run.
func (tx *change) put(id job.RunID, epoch uint64, st *wire.RunStatus, entries [][]byte) error {
	for _, e := range entries {
		if takesItem(st.Journal, st.Next, len(e)) {
			st.Journal = appendItem(st.Journal, epoch, e...)
		} else if err := tx.putLong(id, epoch, st, e); err != nil {
			return err
		}
		st.Next++
	}
	return tx.set(id, st)
}

// putLong adds an entry as a record, after those that were in the status.
func (tx *change) putLong(id job.RunID, epoch uint64, st *wire.RunStatus, entry []byte) error {
	seq := uint64(0)
	for it, err := range items(st.Journal) {
		if err == nil {
			err = putEntry(tx.batch, id, seq, it.n, it.data)
		}
		if err != nil {
			return err
		}
		seq++
	}
	st.Journal = nil
	return putEntry(tx.batch, id, st.Next, epoch, entry)
}

// replaced returns the list with some of its elements replaced.
func replaced(list []byte, at []uint64, by [][]byte) ([]byte, error) {
	var out []byte
	seq := uint64(0)
	for it, err := range items(list) {
		if err != nil {
			return nil, err
		}
		if i := slices.Index(at, seq); i >= 0 {
			it.data = by[i]
		}
		out = appendItem(out, it.n, it.data...)
		seq++
	}
	return out, nil
}

// readEntry returns a journal entry that must be there and its epoch. The bytes
// are the caller's to read.
func readEntry(g getter, id job.RunID, st *wire.RunStatus, seq uint64) (epoch uint64, data []byte, err error) {
	if len(st.Journal) > 0 {
		it, ok, err := itemAt(st.Journal, seq)
		if err == nil && !ok {
			err = fmt.Errorf("state: entry %d of run %q: %w", seq, id, store.ErrCorrupt)
		}
		return it.n, it.data, err
	}
	key := entryKey(id, seq)
	b, err := getParts(g, key)
	if err != nil {
		return 0, nil, missing(err)
	}
	return splitEntry(blob{key, b})
}
