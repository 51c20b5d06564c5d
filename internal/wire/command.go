package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

// An entry of the replicated log is a row of commands. Each is a version, a
// kind, a small head in MessagePack and the blobs that go with it, which
// nobody who merely stores or replicates them opens.

const (
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
	Called string    `msgpack:"mn,omitempty"` // the master, by people
	Chunks uint64    `msgpack:"c,omitempty"`
	// What the state itself has to know of the run. Times are nanoseconds
	// since 1970.
	Namespace string        `msgpack:"n,omitempty"`
	Job       string        `msgpack:"j,omitempty"`
	Priority  int           `msgpack:"p,omitempty"`
	Created   int64         `msgpack:"t,omitempty"`
	NotBefore int64         `msgpack:"b,omitempty"`
	Key       string        `msgpack:"k,omitempty"` // as the state stores it
	KeyFor    time.Duration `msgpack:"kf,omitempty"`
	Epoch     uint64        `msgpack:"e,omitempty"` // that the run goes on from
	Of        job.RunID     `msgpack:"of,omitempty"`
	Attempt   int           `msgpack:"at,omitempty"`
	// MaxQueued and MaxQueuedAll are how many runs of the job and of the
	// cluster may wait, this one included. Zero means any number.
	MaxQueued    uint64 `msgpack:"q,omitempty"`
	MaxQueuedAll uint64 `msgpack:"qa,omitempty"`
	// Fired says that a trigger made the run, and Due of which instant.
	Fired bool  `msgpack:"fi,omitempty"`
	Due   int64 `msgpack:"du,omitempty"`
	// Overlap stands for the key among whose runs it is decided whether the
	// run of a fire overlaps. Zero means all runs of the trigger. (Version 2)
	Overlap uint64 `msgpack:"ov,omitempty"`
	// Line stands for the keys of the run, of which those that wait for a
	// master are a line of their own. (Version 2)
	Line string `msgpack:"ln,omitempty"`
	// Keeps says that KeepFor and KeepRuns are how long the run is to be kept
	// once it has ended, as its spec says. (Version 2)
	Keeps    bool          `msgpack:"rk,omitempty"`
	KeepFor  time.Duration `msgpack:"rf,omitempty"`
	KeepRuns int           `msgpack:"rn,omitempty"`
	// Record is the run as EncodeRecord wrote it.
	Record  []byte   `msgpack:"-"`
	Entries [][]byte `msgpack:"-"`
}

// StageEntry puts one journal entry where a run is going to be.
type StageEntry struct {
	Run   job.RunID `msgpack:"r"`
	Seq   uint64    `msgpack:"q"`
	At    int64     `msgpack:"a,omitempty"`
	Entry []byte    `msgpack:"-"`
}

// DiscardStaged removes at most Limit entries that belong to no run, the last
// ones first: what was staged for a run that was never created, or what is
// left of one that was forgotten. With Before it leaves alone what was staged
// at that time or later.
type DiscardStaged struct {
	Run    job.RunID `msgpack:"r"`
	Limit  uint64    `msgpack:"l"`
	Before int64     `msgpack:"b,omitempty"`
}

// AdmitRun lets a run that waits for a time wait for a master instead.
type AdmitRun struct {
	Run job.RunID `msgpack:"r"`
}

// AssignRun gives a run that has epoch After its next master.
type AssignRun struct {
	Run    job.RunID `msgpack:"r"`
	Master string    `msgpack:"m"`
	Called string    `msgpack:"mn,omitempty"` // the master, by people
	After  uint64    `msgpack:"e,omitempty"`
	At     int64     `msgpack:"a,omitempty"`
	Why    string    `msgpack:"w,omitempty"`
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
	// First is the number of Last. Plain says that the run had a single task, of
	// which the journal has an outcome and nothing else that matters: there is
	// nothing to compact, and who waits for the run needs no more than that.
	// (Version 2)
	First uint64 `msgpack:"n,omitempty"`
	Plain bool   `msgpack:"pl,omitempty"`
	// Progress is the progress as EncodeRecord wrote it.
	Progress []byte `msgpack:"-"`
	// Last is the last entry of the journal, or nil: the run ends with it or not
	// at all. (Version 2)
	Last []byte `msgpack:"-"`
}

// CancelRun records that somebody asked for a run to end.
type CancelRun struct {
	Run    job.RunID `msgpack:"r"`
	Reason string    `msgpack:"w"`
	At     int64     `msgpack:"a,omitempty"`
}

// KillRun ends a run as canceled, whoever conducts it.
type KillRun struct {
	Run    job.RunID `msgpack:"r"`
	Reason string    `msgpack:"w"`
	At     int64     `msgpack:"a"`
}

// NoteRun adds a line to the history of a run.
type NoteRun struct {
	Run   job.RunID `msgpack:"r"`
	Epoch uint64    `msgpack:"e"`
	Text  string    `msgpack:"w"`
	At    int64     `msgpack:"a"`
}

// RewriteEntries replaces entries of the journal of a run that has ended, the
// one numbered Seqs[i] by Entries[i].
type RewriteEntries struct {
	Run     job.RunID `msgpack:"r"`
	Seqs    []uint64  `msgpack:"q"`
	Entries [][]byte  `msgpack:"-"`
}

// CompactedRun records that the journal of a run that has ended is as small
// as it gets.
type CompactedRun struct {
	Run job.RunID `msgpack:"r"`
}

// ForgetRun removes a run that has ended, except for its journal, which is
// left to DiscardStaged.
type ForgetRun struct {
	Run job.RunID `msgpack:"r"`
	At  int64     `msgpack:"a"`
	// Limit is how many entries of the journal are removed in the same step, as
	// of a DiscardStaged. (Version 2)
	Limit uint64 `msgpack:"l,omitempty"`
}

// FreeKey removes the key of a run that has ended once its time is over.
type FreeKey struct {
	Namespace string `msgpack:"n"`
	Job       string `msgpack:"j"`
	Key       string `msgpack:"k"` // as the state stores it
	At        int64  `msgpack:"a"`
}

// PutJob declares a job, in place of the one of that name, if any.
type PutJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
	At        int64  `msgpack:"a,omitempty"`
	Wake      int64  `msgpack:"w,omitempty"`
	Expect    uint64 `msgpack:"e,omitempty"` // the revision that it has now, if that matters
	// Overlap, Limit and Again are as in JobStatus.
	Overlap string `msgpack:"o,omitempty"`
	Limit   int    `msgpack:"ol,omitempty"`
	Again   bool   `msgpack:"g,omitempty"`
	// Listens is the topics that the job listens to.
	Listens []string `msgpack:"ls,omitempty"`
	// Keep has the revision kept when there are later ones.
	Keep bool `msgpack:"kp,omitempty"`
	// Record is the spec as EncodeRecord wrote it, Chunks its input.
	Record []byte   `msgpack:"-"`
	Chunks [][]byte `msgpack:"-"`
}

// DeleteJob removes a declaration.
type DeleteJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
}

// PauseJob records that no run of a job is to begin.
type PauseJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
	Reason    string `msgpack:"w,omitempty"`
	At        int64  `msgpack:"a"`
}

// ResumeJob takes PauseJob back.
type ResumeJob struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
	At        int64  `msgpack:"a,omitempty"`
}

func (*CreateRun) kind() byte      { return 'c' }
func (*StageEntry) kind() byte     { return 's' }
func (*DiscardStaged) kind() byte  { return 'd' }
func (*AdmitRun) kind() byte       { return 'w' }
func (*AssignRun) kind() byte      { return 'a' }
func (*AppendEntries) kind() byte  { return 'j' }
func (*FinishRun) kind() byte      { return 'f' }
func (*CancelRun) kind() byte      { return 'x' }
func (*KillRun) kind() byte        { return 'k' }
func (*NoteRun) kind() byte        { return 'n' }
func (*RewriteEntries) kind() byte { return 'r' }
func (*CompactedRun) kind() byte   { return 'C' }
func (*ForgetRun) kind() byte      { return 'g' }
func (*FreeKey) kind() byte        { return 'K' }
func (*PutJob) kind() byte         { return 'p' }
func (*DeleteJob) kind() byte      { return 'D' }
func (*PauseJob) kind() byte       { return 'P' }
func (*ResumeJob) kind() byte      { return 'R' }

func (c *CreateRun) blobs() [][]byte      { return append([][]byte{c.Record}, c.Entries...) }
func (c *StageEntry) blobs() [][]byte     { return [][]byte{c.Entry} }
func (*DiscardStaged) blobs() [][]byte    { return nil }
func (*AdmitRun) blobs() [][]byte         { return nil }
func (*AssignRun) blobs() [][]byte        { return nil }
func (c *AppendEntries) blobs() [][]byte  { return c.Entries }
func (*CancelRun) blobs() [][]byte        { return nil }
func (*KillRun) blobs() [][]byte          { return nil }
func (*NoteRun) blobs() [][]byte          { return nil }
func (c *RewriteEntries) blobs() [][]byte { return c.Entries }
func (*CompactedRun) blobs() [][]byte     { return nil }
func (*ForgetRun) blobs() [][]byte        { return nil }
func (*FreeKey) blobs() [][]byte          { return nil }
func (c *PutJob) blobs() [][]byte         { return append([][]byte{c.Record}, c.Chunks...) }
func (*DeleteJob) blobs() [][]byte        { return nil }
func (*PauseJob) blobs() [][]byte         { return nil }
func (*ResumeJob) blobs() [][]byte        { return nil }

func (c *FinishRun) blobs() [][]byte {
	if c.Last == nil {
		return [][]byte{c.Progress}
	}
	return [][]byte{c.Progress, c.Last}
}

func (c *CreateRun) take(b [][]byte) error {
	if len(b) == 0 {
		return errShort
	}
	c.Record, c.Entries = b[0], b[1:]
	return nil
}

func (c *RewriteEntries) take(b [][]byte) error {
	if len(b) != len(c.Seqs) {
		return fmt.Errorf("wire: command with %d blobs for %d entries", len(b), len(c.Seqs))
	}
	c.Entries = b
	return nil
}

func (c *FinishRun) take(b [][]byte) error {
	if len(b) < 2 {
		return only(b, &c.Progress)
	}
	return only(b, &c.Progress, &c.Last)
}

func (c *PutJob) take(b [][]byte) error {
	if len(b) == 0 {
		return errShort
	}
	c.Record = b[0]
	if len(b) > 1 {
		c.Chunks = b[1:]
	}
	return nil
}

func (c *AppendEntries) take(b [][]byte) error { c.Entries = b; return nil }
func (c *StageEntry) take(b [][]byte) error    { return only(b, &c.Entry) }
func (*DiscardStaged) take(b [][]byte) error   { return only(b) }
func (*AdmitRun) take(b [][]byte) error        { return only(b) }
func (*AssignRun) take(b [][]byte) error       { return only(b) }
func (*CancelRun) take(b [][]byte) error       { return only(b) }
func (*KillRun) take(b [][]byte) error         { return only(b) }
func (*NoteRun) take(b [][]byte) error         { return only(b) }
func (*CompactedRun) take(b [][]byte) error    { return only(b) }
func (*ForgetRun) take(b [][]byte) error       { return only(b) }
func (*FreeKey) take(b [][]byte) error         { return only(b) }
func (*DeleteJob) take(b [][]byte) error       { return only(b) }
func (*PauseJob) take(b [][]byte) error        { return only(b) }
func (*ResumeJob) take(b [][]byte) error       { return only(b) }

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
	if w, ok := c.(interface{ whole(blobs [][]byte) error }); ok {
		if err := w.whole(blobs); err != nil {
			return nil, err
		}
	}
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
	b = append(b, VersionOf(c), c.kind())
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
	if version == 0 || version > MaxCommandVersion || c == nil {
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
	case 'w':
		return &AdmitRun{}
	case 'a':
		return &AssignRun{}
	case 'j':
		return &AppendEntries{}
	case 'f':
		return &FinishRun{}
	case 'x':
		return &CancelRun{}
	case 'k':
		return &KillRun{}
	case 'n':
		return &NoteRun{}
	case 'r':
		return &RewriteEntries{}
	case 'C':
		return &CompactedRun{}
	case 'g':
		return &ForgetRun{}
	case 'K':
		return &FreeKey{}
	case 'p':
		return &PutJob{}
	case 'T':
		return &FireJob{}
	case 'D':
		return &DeleteJob{}
	case 'i':
		return &FoundCluster{}
	case 'P':
		return &PauseJob{}
	case 'e':
		return &PutEvent{}
	case 'E':
		return &ForgetEvent{}
	case 'L':
		return &DropLetters{}
	case 'V':
		return &Agree{}
	case 'N':
		return &NoteNode{}
	case 'R':
		return &ResumeJob{}
	case 'l':
		return &KeepRates{}
	case 'S':
		return &PutNamespace{}
	case 'G':
		return &PutToken{}
	case 'H':
		return &RevokeToken{}
	case 'A':
		return &RecordAudit{}
	case 'F':
		return &ForgetAudit{}
	case 'O':
		return &BeginOperation{}
	case 'o':
		return &AdvanceOperation{}
	case 'q':
		return &CancelOperation{}
	case 'Q':
		return &ForgetOperations{}
	}
	return nil
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
