package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/musterhq/muster/internal/codec"
)

// localName is the run ID and node name of local tasks.
const localName = "local"

// A localRun is one LocalRun under way.
type localRun struct {
	LocalOptions
	processor Processor
	powers    Powers
	staging   staging
	before    []byte // result of the step before, encoded
	failed    int    // tasks that failed for good
	output    []Item
}

// A localTask is a task that waits for its turn.
type localTask struct {
	id, name, parent string
	node             string
	payload          []byte
	shard            Shard
}

// try makes attempts at a task until one succeeds, and returns that one. What
// the others did is forgotten.
func (r *localRun) try(ctx context.Context, task localTask, do func(ctx context.Context, t *Task) error) (*localAttempt, error) {
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		a := &localAttempt{ctx: ctx, keyed: r.powers.Keyed != nil, files: stagedFiles{staging: &r.staging}}
		t := r.task(task, n, a)
		err := do(ctx, t)
		t.Flush()
		if err = errors.Join(err, a.files.close()); err == nil {
			r.staging.add(a.files)
			return a, nil
		}
		if ctx.Err() == nil && (n >= r.Attempts || IsPermanent(err)) {
			return nil, &localError{task.id, err}
		}
	}
}

// tryResult is try for a task that returns a value, which it encodes.
func (r *localRun) tryResult(ctx context.Context, task localTask, do func(ctx context.Context, t *Task) (any, error)) (result []byte, a *localAttempt, err error) {
	a, err = r.try(ctx, task, func(ctx context.Context, t *Task) error {
		result = nil
		v, err := do(WithTask(ctx, t), t)
		if err != nil || v == nil {
			return err
		}
		if result, err = codec.Marshal(v); err != nil {
			return Permanent(fmt.Errorf("result of type %T: %w", v, err))
		}
		return nil
	})
	return result, a, err
}

// task returns t as the processor gets it.
func (r *localRun) task(t localTask, attempt int, runtime Runtime) *Task {
	if t.node == "" {
		t.node = localName
	}
	return &Task{
		Run: localName, ID: t.id, Name: t.name, Parent: t.parent, Attempt: attempt,
		Fire: r.Fire, Key: r.Key, Extra: r.Extra, Params: r.Params,
		Shard: t.shard, Node: t.node, Payload: slices.Clone(t.payload), Before: r.before,
		Output: r.Format, Log: r.Log.With(slog.Any("task", t.id), slog.Int("attempt", attempt)), Runtime: runtime,
	}
}

// tolerate returns why a task failed if the run can bear it, and err if not.
func (r *localRun) tolerate(err error) (reason string, _ error) {
	var failed *localError
	if !errors.As(err, &failed) {
		return "", err // not a task's, but the end of the run
	}
	if r.failed++; r.failed > r.Tolerate {
		return "", err
	}
	return failed.error.Error(), nil
}

// A localError is why a task failed for good.
type localError struct {
	task  string
	error // of its last attempt
}

func (e *localError) Error() string { return fmt.Sprintf("mapreduce: task %s: %v", e.task, e.error) }

func (e *localError) Unwrap() error { return e.error }

// A localAttempt is one try of a task. It is the task's Runtime, and what was
// asked of it counts only if it succeeds.
type localAttempt struct {
	ctx      context.Context // of the attempt
	keyed    bool
	subtasks []localTask
	files    stagedFiles
}

func (a *localAttempt) Emit(name string, payload []byte) error {
	switch {
	case a.keyed:
		return Permanent(errors.New("mapreduce: a keyed processor can't emit subtasks: emit pairs"))
	case a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	}
	a.subtasks = append(a.subtasks, localTask{name: name, payload: slices.Clone(payload)})
	return nil
}

func (a *localAttempt) Progress(int64, int64) {}

func (a *localAttempt) Create(name string) (io.WriteCloser, error) { return a.files.create(name) }
