package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

// An entry of the replicated log is a row of commands. Each is a version, a
// kind, a small head in MessagePack and the blobs that go with it, which
// nobody who merely stores or replicates them opens.

const (
	commandVersion = 1
	// MaxCommand bounds a command in bytes, its blobs included.
	MaxCommand = 4 << 20
	// MaxBlobs bounds how many blobs a command has.
	MaxBlobs = 4096
)

// ErrUnknownCommand says that a command was written by a version of the
// program that knows more than this one. Nothing of it can be carried out.
var ErrUnknownCommand = errors.New("wire: unknown command")

// A Command is one decision of the replicated state.
type Command interface {
	kind() byte
	blobs() [][]byte
	take(blobs [][]byte) error
}

// CreateRun records a run. Its first journal entries are those that were
// staged before and Entries, Chunks in all.
type CreateRun struct {
	Run    job.RunID `msgpack:"r"`
	Master string    `msgpack:"m,omitempty"`
	Chunks uint64    `msgpack:"c,omitempty"`
	// Record is the run as EncodeRecord wrote it.
	Record  []byte   `msgpack:"-"`
	Entries [][]byte `msgpack:"-"`
}

// StageEntry puts one journal entry where a run is going to be.
type StageEntry struct {
	Run   job.RunID `msgpack:"r"`
	Seq   uint64    `msgpack:"q"`
	Entry []byte    `msgpack:"-"`
}

// DiscardStaged removes at most Limit entries that were staged for a run that
// was never created, the last ones first.
type DiscardStaged struct {
	Run   job.RunID `msgpack:"r"`
	Limit uint64    `msgpack:"l"`
}

// AssignRun gives a run its next master.
type AssignRun struct {
	Run    job.RunID `msgpack:"r"`
	Master string    `msgpack:"m"`
}

// AppendEntries appends to a run's journal, the first entry as number First.
type AppendEntries struct {
	Run     job.RunID `msgpack:"r"`
	Epoch   uint64    `msgpack:"e"`
	First   uint64    `msgpack:"f"`
	Entries [][]byte  `msgpack:"-"`
}

// FinishRun records how a run ended, and when by the proposer's clock.
type FinishRun struct {
	Run    job.RunID `msgpack:"r"`
	Epoch  uint64    `msgpack:"e"`
	State  job.State `msgpack:"s"`
	Reason string    `msgpack:"w,omitempty"`
	At     int64     `msgpack:"a"` // nanoseconds since 1970
	// Progress is the progress as EncodeRecord wrote it.
	Progress []byte `msgpack:"-"`
}

// CancelRun records that somebody asked for a run to end.
type CancelRun struct {
	Run    job.RunID `msgpack:"r"`
	Reason string    `msgpack:"w"`
}

// PutJob records a declaration in place of the one of that name, if any.
type PutJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
	// Record is the declaration as EncodeRecord wrote it.
	Record []byte `msgpack:"-"`
}

// DeleteJob removes a declaration.
type DeleteJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
}

func (*CreateRun) kind() byte     { return 'c' }
func (*StageEntry) kind() byte    { return 's' }
func (*DiscardStaged) kind() byte { return 'd' }
func (*AssignRun) kind() byte     { return 'a' }
func (*AppendEntries) kind() byte { return 'j' }
func (*FinishRun) kind() byte     { return 'f' }
func (*CancelRun) kind() byte     { return 'x' }
func (*PutJob) kind() byte        { return 'p' }
func (*DeleteJob) kind() byte     { return 'D' }

func (c *CreateRun) blobs() [][]byte     { return append([][]byte{c.Record}, c.Entries...) }
func (c *StageEntry) blobs() [][]byte    { return [][]byte{c.Entry} }
func (c *DiscardStaged) blobs() [][]byte { return nil }
func (c *AssignRun) blobs() [][]byte     { return nil }
func (c *AppendEntries) blobs() [][]byte { return c.Entries }
func (c *FinishRun) blobs() [][]byte     { return [][]byte{c.Progress} }
func (c *CancelRun) blobs() [][]byte     { return nil }
func (c *PutJob) blobs() [][]byte        { return [][]byte{c.Record} }
func (c *DeleteJob) blobs() [][]byte     { return nil }

func (c *CreateRun) take(b [][]byte) error {
	if len(b) == 0 {
		return errShort
	}
	c.Record, c.Entries = b[0], b[1:]
	return nil
}

func (c *AppendEntries) take(b [][]byte) error { c.Entries = b; return nil }
func (c *StageEntry) take(b [][]byte) error    { return only(b, &c.Entry) }
func (c *FinishRun) take(b [][]byte) error     { return only(b, &c.Progress) }
func (c *PutJob) take(b [][]byte) error        { return only(b, &c.Record) }
func (c *DiscardStaged) take(b [][]byte) error { return only(b) }
func (c *AssignRun) take(b [][]byte) error     { return only(b) }
func (c *CancelRun) take(b [][]byte) error     { return only(b) }
func (c *DeleteJob) take(b [][]byte) error     { return only(b) }

// only stores the blobs in dst if there is exactly one for each.
func only(blobs [][]byte, dst ...*[]byte) error {
	if len(blobs) != len(dst) {
		return fmt.Errorf("wire: command with %d blobs, want %d", len(blobs), len(dst))
	}
	for i := range dst {
		*dst[i] = blobs[i]
	}
	return nil
}

// EncodeCommand returns c as one element of an entry; entries are such
// elements, one after another.
func EncodeCommand(c Command) ([]byte, error) {
	head, err := codec.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("wire: command %q: %w", c.kind(), err)
	}
	blobs := c.blobs()
	size := 2 + binary.MaxVarintLen32*(2+len(blobs)) + len(head)
	for _, b := range blobs {
		size += len(b)
	}
	if size > MaxCommand || len(blobs) > MaxBlobs || len(head) > maxHead {
		return nil, fmt.Errorf("wire: command %q of %d bytes, %d of them its head, and %d blobs is over the limit of %d, %d and %d",
			c.kind(), size, len(head), len(blobs), MaxCommand, maxHead, MaxBlobs)
	}
	const prefix = 4 // the length, which is known last
	b := make([]byte, prefix, prefix+size)
	b = append(b, commandVersion, c.kind())
	b = appendBytes(b, head)
	b = binary.AppendUvarint(b, uint64(len(blobs)))
	for _, blob := range blobs {
		b = appendBytes(b, blob)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefix))
	return b, nil
}

// Commands yields the commands of an entry, each with the number of bytes that
// it takes. It yields an error once, as its last. Blobs share the entry.
func Commands(entry []byte) iter.Seq2[Command, error] {
	return func(yield func(Command, error) bool) {
		for len(entry) > 0 {
			if len(entry) < 4 {
				yield(nil, errShort)
				return
			}
			n := binary.BigEndian.Uint32(entry)
			if n > MaxCommand {
				yield(nil, fmt.Errorf("wire: command of %d bytes is over the limit of %d", n, MaxCommand))
				return
			}
			if int(n) > len(entry)-4 {
				yield(nil, errShort)
				return
			}
			c, err := decodeCommand(entry[4 : 4+n : 4+n])
			if !yield(c, err) || err != nil {
				return
			}
			entry = entry[4+n:]
		}
	}
}

func decodeCommand(b []byte) (Command, error) {
	r := reader{b: b}
	version, kind := r.byte(), r.byte()
	if r.err != nil {
		return nil, r.err
	}
	c := newCommand(kind)
	if version != commandVersion || c == nil {
		return nil, fmt.Errorf("%w: version %d, kind %q: upgrade this node", ErrUnknownCommand, version, kind)
	}
	head := r.bytes(maxHead)
	n := r.uvarint()
	if n > MaxBlobs || n > uint64(len(r.b)) {
		r.fail(fmt.Errorf("wire: command with %d blobs in %d bytes, the limit is %d", n, len(r.b), MaxBlobs))
		n = 0
	}
	var blobs [][]byte
	if n > 0 {
		blobs = make([][]byte, n)
	}
	for i := range blobs {
		blobs[i] = r.bytes(MaxCommand)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Errorf("wire: %d bytes after a command", len(r.b)))
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := codec.Unmarshal(head, c); err != nil {
		return nil, fmt.Errorf("wire: command %q: %w", kind, err)
	}
	return c, c.take(blobs)
}

func newCommand(kind byte) Command {
	switch kind {
	case 'c':
		return &CreateRun{}
	case 's':
		return &StageEntry{}
	case 'd':
		return &DiscardStaged{}
	case 'a':
		return &AssignRun{}
	case 'j':
		return &AppendEntries{}
	case 'f':
		return &FinishRun{}
	case 'x':
		return &CancelRun{}
	case 'p':
		return &PutJob{}
	case 'D':
		return &DeleteJob{}
	case 'F':
		return &FoundCluster{}
	}
	return nil
}

// RunStatus is what changes of a run, as the state stores it beside the run as
// it was created.
type RunStatus struct {
	Master string    `msgpack:"m,omitempty"`
	Epoch  uint64    `msgpack:"e,omitempty"`
	State  job.State `msgpack:"s,omitempty"`
	Reason string    `msgpack:"w,omitempty"`
	Cancel string    `msgpack:"c,omitempty"` // the reason somebody gave
	// Next is how many entries the journal has.
	Next uint64 `msgpack:"n,omitempty"`
	// Staged says that there is no run yet, only entries of one.
	Staged   bool   `msgpack:"g,omitempty"`
	Finished int64  `msgpack:"f,omitempty"` // nanoseconds since 1970
	Progress []byte `msgpack:"p,omitempty"` // EncodeRecord
}

// EncodeRecord returns v, a part of the vocabulary, as the state stores it.
func EncodeRecord(v any) ([]byte, error) {
	b, err := codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("wire: %T: %w", v, err)
	}
	return b, nil
}

// DecodeRecord stores what EncodeRecord wrote to b in v, a pointer.
func DecodeRecord(b []byte, v any) error {
	if err := codec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: %T: %w", v, err)
	}
	return nil
}
