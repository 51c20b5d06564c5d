package job

import "time"

// Operation is a bulk that is carried out in the background, run by run, and
// goes on whatever becomes of a node.
type Operation struct {
	// ID names it in its namespace, by when it was asked for, what it does, and
	// chance.
	ID string `msgpack:"i"`
	// Bulk is what was asked for. What it names is left out: Selected is how many
	// that were, or 0 if a filter says which are meant.
	Bulk     Bulk      `msgpack:"b"`
	Selected int       `msgpack:"n,omitempty"`
	Created  time.Time `msgpack:"c,omitempty"`

	State OperationState `msgpack:"s,omitempty"`
	// Reason is why it was canceled or has failed.
	Reason string `msgpack:"w,omitempty"`
	// Done is how many runs the verb was carried out on so far, those included
	// that were as it would have them, and Refused how many it could not be carried
	// out on; Refusals has the first of these, and is left out where operations are listed. A part of the work that a leader
	// has done and not recorded before it was gone is done again by the next, and
	// counted as that finds it.
	Done     int       `msgpack:"d,omitempty"`
	Refused  int       `msgpack:"r,omitempty"`
	Refusals []Refusal `msgpack:"rs,omitempty"`
	// Reached is the last run, or how many of those selected, that it is through
	// with, and Steps in how many parts that was. Pass is how often it has gone
	// through all before: those that wait are ended first, so that none of them
	// begins in place of one that was ended.
	Reached string    `msgpack:"at,omitempty"`
	Pass    int       `msgpack:"ps,omitempty"`
	Steps   int       `msgpack:"st,omitempty"`
	Ended   time.Time `msgpack:"e,omitempty"`
}

// Refusal is why a verb could not be carried out on a run or job.
type Refusal struct {
	Name string `msgpack:"n" json:"name"`
	Why  string `msgpack:"w" json:"why"`
}

// MaxRefusals is how many refusals an operation keeps: the first ones.
const MaxRefusals = 20

// OperationState is where an operation stands.
type OperationState string

// The states of an operation. All but the first are final.
const (
	OperationRunning  OperationState = "running"
	OperationDone     OperationState = "done"
	OperationCanceled OperationState = "canceled"
	OperationFailed   OperationState = "failed"
)

// Over reports whether s is final.
func (s OperationState) Over() bool { return s != OperationRunning }

// OperationQuery says which operations are wanted, the oldest first.
type OperationQuery struct {
	Namespace string `msgpack:"ns"`
	// State is that of the operations. Empty means any.
	State OperationState `msgpack:"s,omitempty"`
	// Backward is the latest first.
	Backward bool `msgpack:"b,omitempty"`
	// After is the operation behind which the page begins, in that order. Empty
	// means at the beginning.
	After string `msgpack:"a,omitempty"`
	// Limit is how many. Zero means 100; it is never above 1000.
	Limit int `msgpack:"l,omitempty"`
}

// OperationPage is some of the operations that were asked for.
type OperationPage struct {
	Operations []Operation `msgpack:"o"`
	// Next is the After of the next page. Empty means that this was the last.
	Next string `msgpack:"n,omitempty"`
}
