package wire

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

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
	// Tags are those of the run, in their order and each once. (Version 2)
	Tags []string `msgpack:"tg,omitempty"`
	// Ahead is the instant that the run of a fire begins at, if it is recorded
	// before that; see BeginAhead. (Version 2)
	Ahead int64 `msgpack:"ah,omitempty"`
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
