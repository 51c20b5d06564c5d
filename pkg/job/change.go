package job

import "time"

// Change is that something in a namespace is not as it was: a run, a job or a
// bulk operation.
type Change struct {
	// Place is where it is in the order of all changes, for the After of a
	// query. Every server has the same places.
	Place string `msgpack:"p"`
	// At is when it was recorded, by the clock of the node that led.
	At time.Time `msgpack:"t,omitempty"`
	// Of is what has changed, and What became of it.
	Of   Changed `msgpack:"o"`
	What string  `msgpack:"w"`

	Namespace string `msgpack:"ns"`
	// Job is the name of the job, or of the one that the run is of. It is empty
	// for an operation.
	Job string `msgpack:"j,omitempty"`
	// Run and Operation are the ID of what has changed, if it is one.
	Run       RunID  `msgpack:"r,omitempty"`
	Operation string `msgpack:"op,omitempty"`
	// State is the one that a run or an operation has now, and Reason why: the
	// beginning of that.
	State  string `msgpack:"s,omitempty"`
	Reason string `msgpack:"y,omitempty"`
	// Revision is that of a job that was declared.
	Revision uint64 `msgpack:"v,omitempty"`
	// Done and Refused are how many runs or jobs an operation is through with.
	Done    int `msgpack:"d,omitempty"`
	Refused int `msgpack:"f,omitempty"`
}

// Changed is a kind of what changes.
type Changed string

// What changes.
const (
	RunChanged       Changed = "run"
	JobChanged       Changed = "job"
	OperationChanged Changed = "operation"
)

// What becomes of runs: each is told of once. A run that begins as it is
// created is told of as created, with the state running.
const (
	RunCreated = "created"
	RunBegun   = "begun"
	RunEnded   = "ended"
	RunRemoved = "removed"
)

// What becomes of jobs. A job that is changed is declared anew.
const (
	JobDeclared = "declared"
	JobPaused   = "paused"
	JobResumed  = "resumed"
	JobDeleted  = "deleted"
)

// What becomes of operations.
const (
	OperationBegun    = "begun"
	OperationAdvanced = "advanced"
	OperationEnded    = "ended"
)

// ChangeQuery says which changes are wanted.
type ChangeQuery struct {
	Namespace string `msgpack:"ns"`
	// Job is the one that, with its runs, they are to be of. Empty means all, and
	// operations too.
	Job string `msgpack:"j,omitempty"`
	// After is the place behind which they are wanted. Empty means from now on.
	After string `msgpack:"a,omitempty"`
	// Limit is how many at most, up to 1000. Zero means 100.
	Limit int `msgpack:"l,omitempty"`
}

// Matches reports whether a change is one of those that are asked for, wherever
// it is.
func (q *ChangeQuery) Matches(c *Change) bool {
	return c.Namespace == q.Namespace && (q.Job == "" || c.Job == q.Job)
}

// ChangePage is changes in their order, behind the place that was asked for.
type ChangePage struct {
	Changes []Change `msgpack:"c,omitempty"`
	// Next is the After of the next page, and of what comes later.
	Next string `msgpack:"n"`
	// Reset says that what was between After and Next is not known: it is too
	// long ago, or nobody said where to begin. Who lists what there is, after this
	// was said, and goes on behind Next misses nothing.
	Reset bool `msgpack:"x,omitempty"`
}
