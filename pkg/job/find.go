package job

import (
	"fmt"
	"slices"
	"time"
)

// RunQuery says which runs are wanted. The zero value is all of them, those of
// the first page.
type RunQuery struct {
	// Namespace and Job are whose runs. An empty job means those of all jobs of
	// the namespace, an empty namespace all there are.
	Namespace string `msgpack:"ns,omitempty"`
	Job       string `msgpack:"j,omitempty"`
	// States are those that a run may be in. None means any.
	States []State `msgpack:"s,omitempty"`
	// Key is the one that the caller named the run by. Empty means any or none.
	Key string `msgpack:"k,omitempty"`
	// From and Until bound when the run was created, the second exclusive. Zero
	// means that they do not.
	From  time.Time `msgpack:"f,omitempty"`
	Until time.Time `msgpack:"u,omitempty"`

	// After is the run behind which the page begins, in the order that is asked
	// for; it need not exist any more. Empty means at the beginning.
	After RunID `msgpack:"a,omitempty"`
	// Backward is from the last ID to the first: of a job, the latest runs first.
	Backward bool `msgpack:"b,omitempty"`
	// Limit is how many runs at most, up to 1000. Zero means 100.
	Limit int `msgpack:"l,omitempty"`
}

// RunPage is runs that were found.
type RunPage struct {
	Runs []Run `msgpack:"r"`
	// Next is the After of the next page. It is empty on the last one. A page
	// may have fewer runs than its limit, and even none, and not be the last:
	// each looks at a bounded number of runs.
	Next RunID `msgpack:"n,omitempty"`
}

// MaxRunPage bounds how many runs there are in a page.
const MaxRunPage = 1000

// Validate returns an error that names the field which makes no sense.
func (q *RunQuery) Validate() error {
	switch {
	case q.Limit < 0 || q.Limit > MaxRunPage:
		return fmt.Errorf("job: Limit %d: want a number of runs up to %d, or 0 for 100", q.Limit, MaxRunPage)
	case q.Job != "" && q.Namespace == "":
		return fmt.Errorf("job: Namespace is empty and Job is %q: name the namespace of the job", q.Job)
	case !q.From.IsZero() && !q.Until.IsZero() && !q.Until.After(q.From):
		return fmt.Errorf("job: Until %s: want it after From %s", q.Until.Format(time.RFC3339), q.From.Format(time.RFC3339))
	}
	return nil
}

// Wants reports whether a run in a state and created at an instant is one of
// those that are asked for, if it has the job and the key.
func (q *RunQuery) Wants(s State, created time.Time) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, s)) &&
		(q.From.IsZero() || !created.Before(q.From)) &&
		(q.Until.IsZero() || created.Before(q.Until))
}

// ParseState returns the state of the given name.
func ParseState(name string) (State, error) {
	if i := slices.Index(stateNames[:], name); i >= 0 {
		return State(i), nil
	}
	return 0, fmt.Errorf("job: state %.40q: want one of %v", name, stateNames)
}
