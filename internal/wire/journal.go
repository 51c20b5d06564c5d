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
	// EntryIntent names tasks that are about to be placed on the member that
	// the master lives on, or that are there no more if it names no member.
	EntryIntent EntryKind = 'i'
	// EntryLoss names tasks that were lost together with a member.
	EntryLoss EntryKind = 'l'
	// EntryHandover says that the master of its epoch ended in good order. It
	// is the last entry of the epoch.
	EntryHandover EntryKind = 'h'
)

// known reports whether the kind is one of those above.
func (k EntryKind) known() bool {
	switch k {
	case EntryTasks, EntryPairs, EntryOutcomes, EntryIntent, EntryLoss, EntryHandover:
		return true
	}
	return false
}

// Entry is one entry of a run's journal: a small header that the master
// needs, and a blob that only workers and readers of results open.
type Entry struct {
	Kind EntryKind `msgpack:"-"`
	// N is how many tasks, pairs or outcomes the blob holds; of an intent or a
	// loss how many rows of tasks, which AppendRows wrote.
	N int `msgpack:"n,omitempty"`
	// Task, Epoch, Attempt and Index tell which attempt staged the blob, and
	// as which of its blobs. The zero task is the input.
	Task    job.TaskID `msgpack:"t"`
	Epoch   uint64     `msgpack:"e,omitempty"`
	Attempt int        `msgpack:"a,omitempty"`
	Index   int        `msgpack:"i,omitempty"`
	// Members are where the attempts of an outcomes entry ran, with how many
	// of the outcomes in a row are theirs.
	Members []MemberCount `msgpack:"m,omitempty"`
	// Member, Name and Life tell which member an intent or a loss is about.
	Member string `msgpack:"b,omitempty"`
	Name   string `msgpack:"c,omitempty"`
	Life   uint64 `msgpack:"l,omitempty"`

	Blob []byte `msgpack:"-"`
}

// MemberCount says that the next N of something belong to a member.
type MemberCount struct {
	Member string `msgpack:"m"`
	N      int    `msgpack:"n"`
}

// check says whether e can be what it claims. Whoever allocates for its N
// tasks or pairs can do so for as many as the blob has bytes at most.
func (e *Entry) check() error {
	switch {
	case !e.Kind.known():
		return fmt.Errorf("wire: entry of kind %q, of which this node knows none: upgrade it", byte(e.Kind))
	case e.N < 0 || e.N > len(e.Blob):
		return fmt.Errorf("wire: entry of %d tasks or pairs in %d bytes", e.N, len(e.Blob))
	case e.Task.N < 0 || e.Attempt < 0 || e.Index < 0:
		return fmt.Errorf("wire: entry %d of attempt %d at %v", e.Index, e.Attempt, e.Task)
	}
	for _, m := range e.Members {
		if m.N < 0 || m.N > e.N {
			return fmt.Errorf("wire: entry with %d of %d outcomes from %q", m.N, e.N, m.Member)
		}
	}
	return nil
}

// EncodeEntry returns the bytes of e. It refuses what DecodeEntry would.
func EncodeEntry(e *Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	head, err := codec.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("wire: entry: %w", err)
	}
	if len(head) > maxHead {
		return nil, fmt.Errorf("wire: entry with a head of %d bytes and %d members, the limit is %d bytes", len(head), len(e.Members), maxHead)
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(head)+len(e.Blob))
	b = append(b, byte(e.Kind))
	b = appendBytes(b, head)
	return append(b, e.Blob...), nil
}

// BlobOf returns the blob of the entry in b, for those who know what it holds and
// want nothing else: the rest is not looked at.
func BlobOf(b []byte) ([]byte, error) {
	r := reader{b: b}
	r.byte()
	r.bytes(maxHead)
	return r.b, r.err
}

// DecodeEntry returns the entry in b, of which its blob is a part.
func DecodeEntry(b []byte) (*Entry, error) {
	r := reader{b: b}
	e := &Entry{Kind: EntryKind(r.byte())}
	head := r.bytes(maxHead)
	if r.err != nil {
		return nil, r.err
	}
	kind := e.Kind
	if err := codec.Unmarshal(head, e); err != nil {
		return nil, fmt.Errorf("wire: entry: %w", err)
	}
	e.Kind, e.Blob = kind, r.b
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// Wants reports whether the entry in b is of a kind that is asked for.
func (r *JournalRef) Wants(b []byte) bool {
	return len(r.Kinds) == 0 || len(b) > 0 && slices.Contains(r.Kinds, EntryKind(b[0]))
}
