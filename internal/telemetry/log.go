package telemetry

import (
	"fmt"
	"log/slog"
	"time"
)

// Job is the name of a job, with its namespace where there may be several.
func Job[S ~string](name S) slog.Attr { return slog.String("job", string(name)) }

// Run is the ID of a run in its full form.
func Run[S ~string](id S) slog.Attr { return slog.String("run", string(id)) }

// Operation is the ID of a bulk operation, with its namespace.
func Operation(namespace, id string) slog.Attr { return slog.String("operation", namespace+"/"+id) }

// Epoch is the epoch of a run's master.
func Epoch(n uint64) slog.Attr { return slog.Uint64("epoch", n) }

// Cluster is the ID of a cluster.
func Cluster[S ~string](id S) slog.Attr { return slog.String("cluster", string(id)) }

// Term is a time that one node leads.
func Term(n uint64) slog.Attr { return slog.Uint64("term", n) }

// Task is the ID of a task in its run, as in "m12".
func Task(id fmt.Stringer) slog.Attr { return slog.Any("task", text{id}) }

// Attempt is the ID of an attempt in its full form.
func Attempt(id fmt.Stringer) slog.Attr { return slog.Any("attempt", text{id}) }

// State is where a run stands.
func State(s fmt.Stringer) slog.Attr { return slog.Any("state", text{s}) }

// Processor is the name that a processor is registered under.
func Processor(name string) slog.Attr { return slog.String("processor", name) }

// Node is the ID of the node that writes the log.
func Node[S ~string](id S) slog.Attr { return slog.String("node", string(id)) }

// Member is the ID of another node, of which the log tells.
func Member[S ~string](id S) slog.Attr { return slog.String("member", string(id)) }

// Addr is an address to listen on or to dial.
func Addr[S ~string](addr S) slog.Attr { return slog.String("addr", string(addr)) }

// Took is how long something lasted.
func Took(d time.Duration) slog.Attr { return slog.Duration("took", d) }

// Err is what went wrong. Without an error there is no attribute.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String("err", err.Error())
}

// text puts off the work of String until a handler writes the record: a debug
// line that nobody reads should not format IDs.
type text struct{ fmt.Stringer }

// LogValue returns the string.
func (t text) LogValue() slog.Value { return slog.StringValue(t.String()) }
