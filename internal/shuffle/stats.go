package shuffle

import (
	"fmt"
	"strings"

	"github.com/musterhq/muster/pkg/job"
)

// Stats counts what a Writer or a Reader did.
type Stats struct {
	// Records is how many pairs were added to the Writer, or merged by the
	// Reader, and Bytes the sum of their keys and values.
	Records int64
	Bytes   int64
	// Kept is how many pairs the map output holds after combining, and
	// FileBytes the size of its file. Zero for a Reader.
	Kept      int64
	FileBytes int64
	// Spills is how many times something went to disk for want of memory, and
	// SpilledBytes how much, as it was written.
	Spills       int64
	SpilledBytes int64
	// FetchedBytes is how much came from other nodes, as it was sent. Zero for
	// a Writer.
	FetchedBytes int64
}

// LostError says that map outputs could not be read: they are missing or
// damaged, or the node that held them does not answer. They have to be made
// again, and only they.
type LostError struct {
	Run job.RunID
	// Outputs are the map outputs, in the order of their tasks.
	Outputs []job.MapOutputID
	// Cause is what went wrong with one of them. It is there to be read: the
	// LostError does not wrap it, so that a connection that was closed is not
	// taken for the end of the reader's own context.
	Cause error
}

// Error names the map outputs and what went wrong.
func (e *LostError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shuffle: lost %d map outputs of %s:", len(e.Outputs), e.Run)
	for i, id := range e.Outputs {
		if i == 8 {
			b.WriteString(" ...")
			break
		}
		fmt.Fprintf(&b, " m%d#%d", id.Task, id.Attempt)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}
