package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

// EntryKind tells the entries of a run's journal apart.
type EntryKind byte

// The kinds of entry.
const (
	// EntryTasks is a chunk of tasks: of the input, or staged by an attempt
	// and part of the run once that attempt has succeeded.
	EntryTasks EntryKind = 't'
	// EntryPairs is output that a reduce attempt has staged.
	EntryPairs EntryKind = 'p'
	// EntryOutcomes is outcomes that the master has accepted.
	EntryOutcomes EntryKind = 'o'
)

// Entry is one entry of a run's journal: a small header that the master
// needs, and a blob that only workers and readers of results open.
type Entry struct {
	Kind EntryKind `msgpack:"-"`
	// N is how many tasks or pairs the blob holds.
	N int `msgpack:"n,omitempty"`
	// Task, Epoch, Attempt and Index tell which attempt staged the blob, and
	// as which of its blobs. The zero task is the input.
	Task    job.TaskID `msgpack:"t,omitempty"`
	Epoch   uint64     `msgpack:"e,omitempty"`
	Attempt int        `msgpack:"a,omitempty"`
	Index   int        `msgpack:"i,omitempty"`
	// Members are where the attempts of an outcomes entry ran, with how many
	// of the outcomes in a row are theirs.
	Members []MemberCount `msgpack:"m,omitempty"`

	Blob []byte `msgpack:"-"`
}

// MemberCount says that the next N of something belong to a member.
type MemberCount struct {
	Member string `msgpack:"m"`
	N      int    `msgpack:"n"`
}

// EncodeEntry returns the bytes of e.
func EncodeEntry(e *Entry) ([]byte, error) {
	head, err := codec.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("wire: entry: %w", err)
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(head)+len(e.Blob))
	b = append(b, byte(e.Kind))
	b = appendBytes(b, head)
	return append(b, e.Blob...), nil
}

// DecodeEntry returns the entry in b, whose blob it shares.
func DecodeEntry(b []byte) (*Entry, error) {
	r := reader{b: b}
	e := &Entry{Kind: EntryKind(r.byte())}
	head := r.bytes(64 << 10)
	if r.err != nil {
		return nil, r.err
	}
	kind := e.Kind
	if err := codec.Unmarshal(head, e); err != nil {
		return nil, fmt.Errorf("wire: entry: %w", err)
	}
	e.Kind, e.Blob = kind, r.b
	return e, nil
}

// Wants reports whether the entry in b is of a kind that is asked for.
func (r *JournalRef) Wants(b []byte) bool {
	return len(r.Kinds) == 0 || len(b) > 0 && slices.Contains(r.Kinds, EntryKind(b[0]))
}
