package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Attempted is an attempt at a task that has ended, as the run's journal has it.
type Attempted struct {
	Task    TaskID
	Epoch   uint64
	Attempt int
	// Node is the ID of the node that executed it.
	Node string
	// Final says that there is no other attempt at the task: it has succeeded, or
	// failed for good.
	Final bool
	// Failure is why it did not succeed, or nil.
	Failure *Failure
	// Result is what it returned, encoded, and Files are the names of the files
	// that it created.
	Result []byte
	Files  []string
	// Took is how long it executed, Bytes how much input it read.
	Took  time.Duration
	Bytes int64
	// Cursor is its place, for a query that goes on from there.
	Cursor string
}

// AttemptQuery says which attempts at the tasks of a run are wanted, in the
// order in which they were recorded or the other way round. The zero value is those of the first page.
type AttemptQuery struct {
	// Task is the ID of a task, as in "m12", or the kind of tasks, as in "m".
	// Empty means all.
	Task string
	// Node is the ID of the node that executed them. Empty means any.
	Node string
	// Final leaves out those that another followed, so that each task is there
	// once. Failed leaves out those that succeeded, Succeeded those that did not.
	Final, Failed, Succeeded bool

	// Cursor is that of an attempt, of which those after it are wanted, or those
	// before it with Backward; or the Next of a page. Empty is the beginning, or
	// the end.
	Cursor string
	// Backward is from the latest to the earliest.
	Backward bool
	// Limit is how many at most, up to 1000. Zero means 100.
	Limit int
}

// AttemptPage is attempts that were found.
type AttemptPage struct {
	Attempts []Attempted
	// Next is the Cursor of the next page. It is empty if there is none, or none
	// yet. A page may have fewer than its limit and not be the last: each looks
	// at a bounded part of the journal.
	Next string
	// Compacted says that there were others that may have been asked for: of a
	// large run that has succeeded those that succeeded before its reduce step
	// are counted in its progress, and not kept.
	Compacted bool
}

// MaxAttemptPage bounds how many attempts there are in a page.
const MaxAttemptPage = 1000

// Wants reports whether an attempt is one of those that are asked for.
func (q *AttemptQuery) Wants(a *Attempted) bool {
	switch id := a.Task.String(); {
	case q.Task != "" && q.Task != id && q.Task != id[:1],
		q.Node != "" && q.Node != a.Node,
		q.Final && !a.Final,
		q.Failed && a.Failure == nil,
		q.Succeeded && a.Failure != nil:
		return false
	}
	return true
}

// Place returns where in the journal q begins: at which entry, and at which of
// its outcomes.
func (q *AttemptQuery) Place() (entry uint64, outcome int, err error) {
	if q.Limit < 0 || q.Limit > MaxAttemptPage {
		return 0, 0, fmt.Errorf("job: Limit %d: want a number of attempts up to %d, or 0 for 100", q.Limit, MaxAttemptPage)
	}
	if q.Cursor == "" {
		return 0, 0, nil
	}
	seq, at, _ := strings.Cut(q.Cursor, ".")
	entry, err = strconv.ParseUint(seq, 10, 63)
	outcome, err2 := strconv.Atoi(at)
	if err != nil || err2 != nil || outcome < 0 {
		return 0, 0, fmt.Errorf("job: Cursor %.40q: want what a page returned, or nothing", q.Cursor)
	}
	return entry, outcome, nil
}

// AttemptPlace is Place the other way round.
func AttemptPlace(entry uint64, outcome int) string { return fmt.Sprintf("%d.%d", entry, outcome) }
