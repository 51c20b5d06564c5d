package wire

import (
	"github.com/musterhq/muster/pkg/job"
)

// BeginOperation records a bulk operation that is going to be carried out.
// (Version 2)
type BeginOperation struct {
	Namespace string `msgpack:"n"`
	ID        string `msgpack:"i"`
	At        int64  `msgpack:"a"`
	// Once is what the operation may be asked for again with, as the state stores
	// it.
	Once string `msgpack:"k,omitempty"`
	// Record is the operation as EncodeRecord wrote it, and Selection the names
	// that it selects, if it does.
	Record    []byte `msgpack:"-"`
	Selection []byte `msgpack:"-"`
}

// AdvanceOperation records what became of the step number Step of an operation,
// the first of which is 0, and with a State that it was the last. (Version 2)
type AdvanceOperation struct {
	Namespace string             `msgpack:"n"`
	ID        string             `msgpack:"i"`
	Step      uint64             `msgpack:"s"`
	Reached   string             `msgpack:"c,omitempty"`
	Pass      uint64             `msgpack:"p,omitempty"`
	Done      uint64             `msgpack:"d,omitempty"`
	Refused   uint64             `msgpack:"r,omitempty"`
	Refusals  []job.Refusal      `msgpack:"w,omitempty"`
	State     job.OperationState `msgpack:"e,omitempty"`
	Reason    string             `msgpack:"y,omitempty"`
	At        int64              `msgpack:"a"`
}

// CancelOperation ends an operation where it is. (Version 2)
type CancelOperation struct {
	Namespace string `msgpack:"n"`
	ID        string `msgpack:"i"`
	Reason    string `msgpack:"w,omitempty"`
	At        int64  `msgpack:"a"`
}

// ForgetOperations removes operations that are over. (Version 2)
type ForgetOperations struct {
	Namespace string   `msgpack:"n"`
	IDs       []string `msgpack:"i"`
}

func (*BeginOperation) kind() byte   { return 'O' }
func (*AdvanceOperation) kind() byte { return 'o' }
func (*CancelOperation) kind() byte  { return 'q' }
func (*ForgetOperations) kind() byte { return 'Q' }

func (c *BeginOperation) blobs() [][]byte {
	if c.Selection == nil {
		return [][]byte{c.Record}
	}
	return [][]byte{c.Record, c.Selection}
}

func (*AdvanceOperation) blobs() [][]byte { return nil }
func (*CancelOperation) blobs() [][]byte  { return nil }
func (*ForgetOperations) blobs() [][]byte { return nil }

func (c *BeginOperation) take(b [][]byte) error {
	if len(b) < 2 {
		return only(b, &c.Record)
	}
	return only(b, &c.Record, &c.Selection)
}

func (*AdvanceOperation) take(b [][]byte) error { return only(b) }
func (*CancelOperation) take(b [][]byte) error  { return only(b) }
func (*ForgetOperations) take(b [][]byte) error { return only(b) }

// OperationStatus is an operation as the state stores it: as it was begun, and
// what changes of it. Times are nanoseconds since 1970.
type OperationStatus struct {
	Record   []byte             `msgpack:"o"`
	Created  int64              `msgpack:"t"`
	Once     string             `msgpack:"k,omitempty"`
	Born     uint64             `msgpack:"b"` // its place in the order of RunStatus.Born
	State    job.OperationState `msgpack:"s"`
	Reason   string             `msgpack:"w,omitempty"`
	Step     uint64             `msgpack:"n,omitempty"`
	Reached  string             `msgpack:"c,omitempty"`
	Pass     uint64             `msgpack:"p,omitempty"`
	Done     uint64             `msgpack:"d,omitempty"`
	Refused  uint64             `msgpack:"r,omitempty"`
	Refusals []job.Refusal      `msgpack:"y,omitempty"`
	Ended    int64              `msgpack:"e,omitempty"`
	// Selects says that there are names that it selects, while it goes on.
	Selects bool `msgpack:"z,omitempty"`
}

// BeginBulk asks for a bulk to be carried out, as an operation of that ID.
type BeginBulk struct {
	ID   string   `msgpack:"i"`
	Bulk job.Bulk `msgpack:"b"`
}

// OperationRef names an operation, and says why it is to end where a method
// wants that.
type OperationRef struct {
	Namespace string `msgpack:"n"`
	ID        string `msgpack:"i"`
	Reason    string `msgpack:"w,omitempty"`
}

// AwaitOperation asks for an operation once it is beyond a step, or over.
type AwaitOperation struct {
	OperationRef
	Beyond int `msgpack:"b"`
}

// CountRuns asks how many runs a bulk operation would mean, behind one of them.
type CountRuns struct {
	Bulk  job.Bulk  `msgpack:"b"`
	After job.RunID `msgpack:"a,omitempty"`
}

// CountedRuns answers a CountRuns. Unless it is empty, there are more behind
// Next.
type CountedRuns struct {
	N    int       `msgpack:"n"`
	Next job.RunID `msgpack:"x,omitempty"`
}
