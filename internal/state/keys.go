package state

import (
	"encoding/binary"
	"fmt"

	"github.com/musterhq/muster/pkg/job"
)

// The keys of the store. Every key begins with a letter for what it holds.
// Names are ended by a zero byte, which no name contains, so that no name's
// keys lie among another's and records are in the order of the names. What may
// be larger than a record is kept in parts, and its key ends with the number
// of the part.
//
//	c                       cursor: which entry of the log was applied last
//	v                       version of this layout
//	r id 0 part             a run as it was created
//	h id 0                  its status
//	u id 0                  it has no final state
//	g id 0                  entries are staged, but there is no run
//	j id 0 seq part         an entry of its journal; seq has 8 bytes
//	s namespace 0 name 0 part   a declared job
var (
	cursorKey  = []byte("c")
	versionKey = []byte("v")
)

const layoutVersion = 1

// maxName bounds the ID of a run and the names of a job in bytes.
const maxName = 512

func recordKey(id job.RunID) []byte     { return append(named('r', string(id)), 0) }
func statusKey(id job.RunID) []byte     { return named('h', string(id)) }
func unfinishedKey(id job.RunID) []byte { return named('u', string(id)) }
func stagedKey(id job.RunID) []byte     { return named('g', string(id)) }
func journalPrefix(id job.RunID) []byte { return named('j', string(id)) }

func entryKey(id job.RunID, seq uint64) []byte {
	return append(binary.BigEndian.AppendUint64(named('j', string(id)), seq), 0)
}

func jobKey(namespace, name string) []byte { return append(named('s', namespace, name), 0) }

func named(kind byte, names ...string) []byte {
	n := 1 + 9 // the seq and part that may follow
	for _, name := range names {
		n += len(name) + 1
	}
	k := append(make([]byte, 0, n), kind)
	for _, name := range names {
		k = append(k, name...)
		k = append(k, 0)
	}
	return k
}

// runOf returns the ID in a key of named with one name and n more bytes.
func runOf(key []byte, n int) job.RunID { return job.RunID(key[1 : len(key)-1-n]) }

// seqOf returns the number in a key of entryKey for a journal with prefix.
func seqOf(key []byte, prefix int) uint64 { return binary.BigEndian.Uint64(key[prefix:]) }

func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: %s %q has %d bytes, want 1 to %d", ErrInvalid, what, name, len(name), maxName)
	}
	for i := range len(name) {
		if name[i] < ' ' {
			return fmt.Errorf("%w: %s %q has a control character", ErrInvalid, what, name)
		}
	}
	return nil
}
