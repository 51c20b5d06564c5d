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
	// Tags are those that a run has, each of them.
	Tags []string `msgpack:"tg,omitempty"`
	// From and Until bound when the run was created, the second exclusive. Zero
	// means that they do not.
	From  time.Time `msgpack:"f,omitempty"`
	Until time.Time `msgpack:"u,omitempty"`

	// Order is what the runs are sorted by. Backward is from the last to the first:
	// in the order of creation, the latest runs first.
	Order    RunOrder `msgpack:"so,omitempty"`
	Backward bool     `msgpack:"b,omitempty"`
	// After is behind which run the page begins: the Next of the page before in
	// the same order or, in that of their IDs, any ID. The run need not exist any
	// more. Empty means at the beginning.
	After string `msgpack:"a,omitempty"`
	// Limit is how many runs at most, up to 1000. Zero means 100.
	Limit int `msgpack:"l,omitempty"`
}

// RunOrder is an order in which there are runs.
type RunOrder int

const (
	// RunsByID is by namespace, by job and, of a job, by when they were due, with
	// the attempts at a run behind it.
	RunsByID RunOrder = iota
	// RunsByCreation is the order in which the cluster took them, whatever clocks
	// said. Runs that come while it is read are at its end, and none moves. Of one
	// job, unless tags are asked for, it is that of their IDs.
	RunsByCreation
)

// RunPage is runs that were found.
type RunPage struct {
	Runs []Run `msgpack:"r"`
	// Next is the After of the next page. It is empty on the last one. A page
	// may have fewer runs than its limit, and even none, and not be the last:
	// each looks at a bounded number of runs.
	Next string `msgpack:"n,omitempty"`
}

// MaxRunPage bounds how many runs there are in a page.
const MaxRunPage = 1000

// Validate returns an error that names the field which makes no sense.
func (q *RunQuery) Validate() error {
	switch {
	case q.Limit < 0 || q.Limit > MaxRunPage:
		return fmt.Errorf("job: Limit %d: want a number of runs up to %d, or 0 for 100", q.Limit, MaxRunPage)
	case q.Order < RunsByID || q.Order > RunsByCreation:
		return fmt.Errorf("job: Order %d: want RunsByID or RunsByCreation", q.Order)
	case q.Job != "" && q.Namespace == "":
		return fmt.Errorf("job: Namespace is empty and Job is %q: name the namespace of the job", q.Job)
	case !q.From.IsZero() && !q.Until.IsZero() && !q.Until.After(q.From):
		return fmt.Errorf("job: Until %s: want it after From %s", q.Until.Format(time.RFC3339), q.From.Format(time.RFC3339))
	}
	return CheckTags(q.Tags)
}

// WantsState reports whether runs in a state are among those asked for.
func (q *RunQuery) WantsState(s State) bool {
	return len(q.States) == 0 || slices.Contains(q.States, s)
}

// WantsTime reports whether runs that were created at an instant are.
func (q *RunQuery) WantsTime(created time.Time) bool {
	return (q.From.IsZero() || !created.Before(q.From)) && (q.Until.IsZero() || created.Before(q.Until))
}

// ParseState returns the state of the given name.
func ParseState(name string) (State, error) {
	if i := slices.Index(stateNames[:], name); i >= 0 {
		return State(i), nil
	}
	return 0, fmt.Errorf("job: state %.40q: want one of %v", name, stateNames)
}
