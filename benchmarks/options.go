package benchmarks

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"runtime"

	"github.com/musterhq/muster/pkg/job"
)

// Options says what is measured, and on what. The zero value is one node and
// the workload's own sizes.
type Options struct {
	// Nodes is how many nodes the pool has. Zero means as many as Replicas.
	Nodes int
	// Replicas is how many of them hold the state: 1, 3 or 5. Zero means 1.
	Replicas int
	// Slots is how many attempts each node executes at a time. Zero means an
	// equal share of the cores, and at least 1.
	Slots int
	// Memory bounds the bytes of pairs that each node holds in memory between
	// Map and Reduce. Zero means the default of node.Config.
	Memory int64

	// Tasks is how many things there are to do: tasks or runs for a workload
	// that counts them, map tasks for one that reads files. Zero leaves it to
	// the workload.
	Tasks int
	// Bytes is how large the input is, about. Zero leaves it to the workload.
	Bytes int64
	// Keys is how many different keys the input has, words for one that is a
	// text, if there are records enough. Zero leaves it to the workload.
	Keys int
	// Skew is how much some of them are more frequent than others: the nth is
	// n to the power of Skew times as rare as the first (Zipf's law). Zero
	// leaves it to the workload.
	Skew float64
	// Seed is what the input is made from: the same seed, the same input. Zero
	// means 1.
	Seed uint64
	// Repeat is how often the workload is measured. Zero means once.
	Repeat int

	// Dir is where the input and the nodes' data are kept meanwhile, in a
	// directory of their own that is removed at the end. The disk under it is
	// part of what is measured. Empty means the system's temporary directory.
	Dir string
	// Logger receives the nodes' logs. Nil discards them.
	Logger *slog.Logger
	// Progress receives a line for each step that is done. Nil means that
	// nobody waits for one.
	Progress io.Writer
	// Profile receives a CPU profile of the measured part of the first
	// repetition. Nil means that none is taken.
	Profile io.Writer
}

const (
	maxNodes  = 64
	maxTasks  = job.MaxTasks - 2 // the root and the Reduce are tasks too
	maxRepeat = 1000
	maxKeys   = 1 << 30
	maxSkew   = 10
)

func (o Options) withDefaults() Options {
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.Nodes = cmp.Or(o.Nodes, max(o.Replicas, 1))
	o.Repeat = cmp.Or(o.Repeat, 1)
	o.Seed = cmp.Or(o.Seed, 1)
	if o.Slots == 0 && o.Nodes > 0 {
		o.Slots = max(1, runtime.GOMAXPROCS(0)/o.Nodes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o *Options) validate() error {
	switch {
	case o.Nodes < 1 || o.Nodes > maxNodes:
		return fmt.Errorf("benchmarks: Nodes %d: want 1 to %d", o.Nodes, maxNodes)
	case o.Replicas != 1 && o.Replicas != 3 && o.Replicas != 5:
		return fmt.Errorf("benchmarks: Replicas %d: want 1, 3 or 5", o.Replicas)
	case o.Replicas > o.Nodes:
		return fmt.Errorf("benchmarks: Replicas %d: want at most as many as there are nodes, which are %d", o.Replicas, o.Nodes)
	case o.Slots < 1:
		return fmt.Errorf("benchmarks: Slots %d: want at least 1, or 0 for a share of the cores", o.Slots)
	case o.Memory < 0:
		return fmt.Errorf("benchmarks: Memory %d: want a number of bytes, or 0 for the default of a node", o.Memory)
	case o.Tasks < 0 || o.Tasks > maxTasks:
		return fmt.Errorf("benchmarks: Tasks %d: want 1 to %d, or 0 for the workload's own number", o.Tasks, maxTasks)
	case o.Bytes < 0:
		return fmt.Errorf("benchmarks: Bytes %d: want a number of bytes, or 0 for the workload's own size", o.Bytes)
	case o.Keys < 0 || o.Keys > maxKeys:
		return fmt.Errorf("benchmarks: Keys %d: want 1 to %d, or 0 for the workload's own number", o.Keys, maxKeys)
	case !(o.Skew >= 0 && o.Skew <= maxSkew):
		return fmt.Errorf("benchmarks: Skew %v: want more than 0 and at most %d, or 0 for the workload's own", o.Skew, maxSkew)
	case o.Repeat < 1 || o.Repeat > maxRepeat:
		return fmt.Errorf("benchmarks: Repeat %d: want 1 to %d", o.Repeat, maxRepeat)
	}
	return nil
}

func (o *Options) progress(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}
