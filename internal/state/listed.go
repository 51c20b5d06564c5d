package state

import (
	"encoding/binary"
	"errors"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Runs are listed in the order in which they were created: those of a namespace,
// and those of each tag in it. The state counts what it creates, so that order
// is the same for everybody, and what was seen of it stays as it was while runs
// come, which are at its end, and go. A run is listed by the command that
// creates it, until it is forgotten. What is listed says when the run was
// created, so that most of what a bound by time leaves out need not be read.

const (
	listedInNamespace = 'V'
	listedByTag       = 'L'
)

// listedIn returns the beginning of the keys of a list: that of a namespace, or
// of a tag in it.
func listedIn(namespace, tag string) []byte {
	if tag == "" {
		return named(listedInNamespace, namespace)
	}
	return named(listedByTag, namespace, tag)
}

// listedKey is the place of a run in a list.
func listedKey(list []byte, born uint64, id job.RunID) []byte {
	k := append(make([]byte, 0, len(list)+8+len(id)+1), list...)
	return append(append(binary.BigEndian.AppendUint64(k, born), id...), 0)
}

// listings returns the places of a run in all lists that it is in.
func listings(id job.RunID, st *wire.RunStatus) [][]byte {
	namespace, keys := id.Namespace(), make([][]byte, 0, 1+len(st.Tags))
	keys = append(keys, listedKey(listedIn(namespace, ""), st.Born, id))
	for _, tag := range st.Tags {
		keys = append(keys, listedKey(listedIn(namespace, tag), st.Born, id))
	}
	return keys
}

// list puts a run that is new into its lists.
func list(b *store.Batch, id job.RunID, st *wire.RunStatus) error {
	created := binary.BigEndian.AppendUint64(nil, ordered(st.Created))
	if isLot(st) { // its runs follow each other
		created = binary.AppendUvarint(created, st.Lot)
	}
	for _, key := range listings(id, st) {
		if err := b.Put(key, created); err != nil {
			return err
		}
	}
	return nil
}

// unlist takes a run that is forgotten out of them.
func unlist(b *store.Batch, id job.RunID, st *wire.RunStatus) error {
	for _, key := range listings(id, st) {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// listingsSize is an upper bound of what list and unlist write because of tags.
func listingsSize(id job.RunID, tags []string) int {
	n := 0
	for _, tag := range tags {
		n += len(tag) + 2*len(id) + perRecord
	}
	return n
}

// migrateListed lists all runs of a store that has no lists. It may be repeated
// after a crash in the middle.
func (f *fsm) migrateListed() error {
	v, err := f.kv.Snapshot()
	if err != nil {
		return err
	}
	defer v.Close()
	b, err := f.kv.Batch()
	if err != nil {
		return err
	}
	defer func() { b.Discard() }()
	for p, err := range v.Scan([]byte("h")) {
		if err != nil {
			return err
		}
		st := new(wire.RunStatus)
		if err := wire.DecodeRecord(p.Value, st); err != nil {
			return err
		}
		if !isRun(st) {
			continue
		}
		if b.Size() > store.MaxBatch/2 {
			if err := f.write(b); err != nil {
				return err
			}
			if b, err = f.kv.Batch(); err != nil {
				return err
			}
		}
		if err := list(b, runOf(p.Key, 0), st); err != nil {
			return err
		}
	}
	return errors.Join(b.Put(versionKey, []byte{layoutVersion}), f.write(b))
}
