package wire

import (
	"github.com/musterhq/muster/pkg/job"
)

// A Letter is something that has happened, as it waits in the inbox of a job
// that listens to it. Times are nanoseconds since 1970.
type Letter struct {
	Kind LetterKind `msgpack:"k"`
	At   int64      `msgpack:"t"`

	// Of an event.
	Name string `msgpack:"n,omitempty"`
	ID   string `msgpack:"i,omitempty"`
	Data []byte `msgpack:"d,omitempty"`

	// Of the end of a run.
	Job       string    `msgpack:"j,omitempty"`
	Run       job.RunID `msgpack:"r,omitempty"`
	Nominal   int64     `msgpack:"f,omitempty"`
	Partition string    `msgpack:"p,omitempty"`
	Outcome   string    `msgpack:"o,omitempty"`

	// Of a node.
	What   string `msgpack:"w,omitempty"`
	Node   string `msgpack:"m,omitempty"` // its ID
	Called string `msgpack:"mn,omitempty"`
	Life   uint64 `msgpack:"l,omitempty"`
}

// LetterKind is what a letter is about.
type LetterKind byte

// The kinds of letters.
const (
	LetterEvent LetterKind = 'e'
	LetterEnded LetterKind = 'r'
	LetterNode  LetterKind = 'n'
)

// PutEvent tells those who listen of an event.
type PutEvent struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"e"`
	ID        string `msgpack:"i"`
	At        int64  `msgpack:"t"`
	Data      []byte `msgpack:"-"`
}

// ForgetEvent forgets that there was an event of that ID, if it was before
// Before.
type ForgetEvent struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"e"`
	ID        string `msgpack:"i"`
	Before    int64  `msgpack:"t"`
}

// DropLetters removes letters of a job that was deleted.
type DropLetters struct {
	Namespace string   `msgpack:"n"`
	Name      string   `msgpack:"j"`
	Seqs      []uint64 `msgpack:"-"`
}

// NoteNode records what became of a node, and tells those who listen what is
// new about that.
type NoteNode struct {
	What   string `msgpack:"w"`
	Node   string `msgpack:"m"`
	Called string `msgpack:"mn,omitempty"`
	// Life is which of its lives the node is in or, if it leads, the term.
	Life uint64 `msgpack:"l"`
	At   int64  `msgpack:"t"`
}

func (*PutEvent) kind() byte    { return 'e' }
func (*ForgetEvent) kind() byte { return 'E' }
func (*DropLetters) kind() byte { return 'L' }
func (*NoteNode) kind() byte    { return 'N' }

func (c *PutEvent) blobs() [][]byte    { return [][]byte{c.Data} }
func (*ForgetEvent) blobs() [][]byte   { return nil }
func (c *DropLetters) blobs() [][]byte { return [][]byte{appendSeqs(nil, c.Seqs)} }
func (*NoteNode) blobs() [][]byte      { return nil }

func (c *PutEvent) take(b [][]byte) error  { return only(b, &c.Data) }
func (*ForgetEvent) take(b [][]byte) error { return only(b) }
func (*NoteNode) take(b [][]byte) error    { return only(b) }

func (c *DropLetters) take(b [][]byte) (err error) {
	var packed []byte
	if err := only(b, &packed); err != nil {
		return err
	}
	c.Seqs, err = seqs(packed)
	return err
}
