package mapreduce

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/codec"
)

// A Processor works on one task at a time. It may run more than once for the
// same task, because nodes fail, so what it does outside must bear repetition;
// Task.IdempotencyKey is there for that.
type Processor interface {
	// Process returns the task's result: any value that can be encoded, or
	// nil. An error fails the attempt; see Permanent and RetryAfter for those
	// that say what should follow.
	Process(ctx context.Context, t *Task) (any, error)
}

// ProcessorFunc makes a Processor of a function.
type ProcessorFunc func(ctx context.Context, t *Task) (any, error)

// Process calls f.
func (f ProcessorFunc) Process(ctx context.Context, t *Task) (any, error) { return f(ctx, t) }

// Func makes a Processor of a function from a task's payload to its result.
func Func[In, Out any](f func(ctx context.Context, in In) (Out, error)) Processor {
	return ProcessorFunc(func(ctx context.Context, t *Task) (any, error) {
		var in In
		if err := t.Decode(&in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	})
}

// A Reducing processor folds the results of a run's tasks into the result of
// the run. In a broadcast it is the step after all nodes are done. It runs
// once per run, on one node, after the last task.
type Reducing interface {
	// Reduce sees each result once, in the order in which they were recorded.
	// They are streamed: a run may have more of them than fit in memory. If
	// they cannot be read to the end, ctx is cancelled and the attempt fails.
	Reduce(ctx context.Context, t *Task, results iter.Seq[Result]) (any, error)
}

// A Preparing processor has a step before all tasks of a run: once, on one
// node. What it returns is there for every task; see Task.DecodeBefore.
type Preparing interface {
	Before(ctx context.Context, t *Task) (any, error)
}

// A Versioned processor is only mixed with its like: the tasks of a run go to
// nodes that have the processor in the version the run was accepted with.
type Versioned interface {
	Version() string
}

// A Result is how one task of a run ended, for a Reduce that sees all.
type Result struct {
	// Task is the number of the task in the run. For tasks made of inline
	// values it is the value's index; for shards it is the shard's.
	Task int
	// Err is why the task failed, in a run that tolerates failures. Empty
	// means that it succeeded.
	Err string

	value []byte
}

// NewResult returns the result of a task whose encoded value is b.
func NewResult(task int, b []byte, err string) Result { return Result{task, err, b} }

// Decode stores the value that the task returned in v, a pointer to its type.
// A task that returned nothing leaves v as it is. For one that failed the
// error is a *TaskError.
func (r Result) Decode(v any) error {
	if r.Err != "" {
		return &TaskError{Task: r.Task, Reason: r.Err}
	}
	if len(r.value) == 0 {
		return nil
	}
	if err := codec.Unmarshal(r.value, v); err != nil {
		return fmt.Errorf("mapreduce: result of task %d as %T: %w", r.Task, v, err)
	}
	return nil
}

// Encoded returns the value as it was recorded.
func (r Result) Encoded() []byte { return r.value }

// A Task is one piece of a run, as the processor sees it.
type Task struct {
	// Run is the run's ID, as in "reports/nightly@20260329T030000Z".
	Run string
	// ID names the task in its run, as in "m12".
	ID string
	// Name is what the parent emitted the task as. Empty for a task without
	// a parent.
	Name string
	// Parent is the ID of the task that emitted this one, or empty.
	Parent string
	// Attempt is 1 for the first try.
	Attempt int
	// Fire is when the run was due, however late it is now.
	Fire time.Time
	// Key and Extra are what the caller of the run passed along.
	Key   string
	Extra map[string]string
	// Params is the job's parameter text.
	Params string
	// Shard is the task's place among those the run began with.
	Shard Shard
	// Node is the name of the node that executes the attempt.
	Node string
	// Payload is the encoded payload; see Decode.
	Payload []byte
	// Before is the encoded result of the step before; see DecodeBefore.
	Before []byte
	// Output is the format that a keyed run writes its files in, or empty.
	Output string
	// Log goes to the log of the run, which the cluster keeps, and to that of the
	// node with the attempt's ID.
	Log *slog.Logger
	// Runtime carries out what the task asks for. It is never nil in a task
	// that the runtime made.
	Runtime Runtime

	out *outputs // nil until it has a child process
}

// Shard is a task's place: Index counts from 0 to Total-1.
type Shard struct{ Index, Total int }

// Runtime is what a task asks of whoever executes it.
type Runtime interface {
	Emit(name string, payload []byte) error
	Progress(done, total int64)
	Create(name string) (io.WriteCloser, error)
}

// Decode stores the task's payload in v, a pointer to the type of the value
// that was emitted or submitted. A task without a payload leaves v as it is.
func (t *Task) Decode(v any) error {
	if len(t.Payload) == 0 {
		return nil
	}
	if err := codec.Unmarshal(t.Payload, v); err != nil {
		return Permanent(fmt.Errorf("mapreduce: payload of %s: %w", t.ID, err))
	}
	return nil
}

// DecodeBefore stores what the step before returned in v, a pointer.
func (t *Task) DecodeBefore(v any) error {
	if len(t.Before) == 0 {
		return nil
	}
	if err := codec.Unmarshal(t.Before, v); err != nil {
		return Permanent(fmt.Errorf("mapreduce: result of the step before %s: %w", t.ID, err))
	}
	return nil
}

// Emit adds a task to the run. It runs on any node once this attempt has
// succeeded; the subtasks of an attempt that fails are forgotten, so a retry
// cannot make them twice. Name tells levels apart; payload is any value that
// can be encoded. Emit waits while the cluster takes the tasks in, and returns
// an error when the attempt should give up.
func (t *Task) Emit(name string, payload any) error {
	b, err := codec.Marshal(payload)
	if err != nil {
		return Permanent(fmt.Errorf("mapreduce: payload emitted by %s as %q: %w", t.ID, name, err))
	}
	return t.Runtime.Emit(name, b)
}

// Progress tells how far the attempt is, in units of the processor's choice.
func (t *Task) Progress(done, total int64) { t.Runtime.Progress(done, total) }

// Create opens a file of the given name for the job's output directory. It is
// there when the run has succeeded, if this attempt is the one that counts;
// otherwise nothing is left of it.
func (t *Task) Create(name string) (io.WriteCloser, error) { return t.Runtime.Create(name) }

// IdempotencyKey is the same for every attempt of the task, and for no other
// task: what a call to another system should carry so that a second attempt
// is not a second effect.
func (t *Task) IdempotencyKey() string { return t.Run + "/" + t.ID }
