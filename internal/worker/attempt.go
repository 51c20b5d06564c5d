package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// attempt is one attempt from when its turn comes. It is never used again for
// another: the user's code may hold on to its task.
type attempt struct {
	w     *Worker
	run   *run
	batch *batch
	what  *job.Task
	began time.Time

	at        int         // guarded by w.mu: its place in run.active, -1 once it has ended
	cause     error       // guarded by w.mu: why it was stopped
	grace     *time.Timer // guarded by w.mu: set once it was stopped
	abandoned bool        // guarded by w.mu

	// life is cancelled when the worker stops the attempt; ctx, which follows
	// from it, also when its time is over.
	life    lifetime
	ctx     context.Context
	stopped atomic.Bool // whether life was cancelled before the attempt had ended
	free    func()      // lets go of what guards the deadline
	span    trace.Span

	task   mapreduce.Task
	log    attemptLog
	lines  atomic.Pointer[lines]
	logger slog.Logger // of log
	emits  emitter
	files  files
	done   atomic.Int64 // progress
	of     atomic.Int64
	read   atomic.Int64 // bytes of input

	// How it ended. They belong to the runner until it hands them over.
	outcome  job.Outcome
	ending   telemetry.Outcome
	panicked bool
}

// newAttempt returns an attempt that has nothing to do yet, but can already be
// cancelled.
func newAttempt(w *Worker) *attempt { return &attempt{w: w, at: -1} }

func (a *attempt) id() job.AttemptID {
	return job.AttemptID{Run: a.run.id, Task: a.what.ID, Epoch: a.run.epoch, N: a.what.Attempt}
}

// execute makes the attempt, so that it has an outcome whatever the user's
// code does. If that code calls runtime.Goexit, execute does not return but
// has an outcome all the same.
func (a *attempt) execute() {
	a.outcome = job.Outcome{Task: a.what.ID, Attempt: a.what.Attempt}
	finished := false
	defer func() {
		if !finished {
			a.broke(recover())
		}
		a.close()
	}()
	a.begin()
	result, err := a.work()
	a.finish(result, err)
	finished = true
}

// begin makes the task and the context that the user's code gets.
func (a *attempt) begin() {
	r, t := a.batch.Run, a.what
	a.log = attemptLog{a: a}
	a.logger = *slog.New(&a.log)
	a.task = mapreduce.Task{
		Run:     string(r.ID),
		ID:      t.ID.String(),
		Name:    t.Name,
		Attempt: t.Attempt,
		Fire:    r.Fire,
		Key:     r.Key,
		Extra:   r.Extra,
		Params:  r.Spec.Params,
		Shard:   mapreduce.Shard(t.Shard),
		Node:    a.w.cfg.Node,
		Payload: t.Payload,
		Output:  r.Spec.Output.Format,
		Log:     &a.logger,
		Runtime: a,
	}
	if t.Parent != (job.TaskID{}) {
		a.task.Parent = t.Parent.String()
	}
	if !r.Plan.Keyed { // else it is the worker's
		a.task.Before = a.batch.Before
	}

	ctx := context.Context(&a.life)
	if d := r.Spec.AttemptTimeout; d > 0 {
		cause := timeoutError(d)
		timed, cancel := context.WithTimeoutCause(ctx, d, cause)
		stop := context.AfterFunc(timed, func() { a.w.expired(a, cause) })
		a.free = func() { stop(); cancel() }
		ctx = timed
	}
	ctx = a.trace(ctx)
	a.ctx = mapreduce.WithTask(ctx, &a.task)
}

// maxTraced bounds of how many attempts of a run a worker makes spans: the
// first, and as many of those that are tried again.
const maxTraced = 128

// trace starts the attempt's span. What has none is part of the span that its
// task came with.
func (a *attempt) trace(ctx context.Context) context.Context {
	s, from := a.w.cfg.Spans, a.batch.Run.Trace
	if s == nil || !telemetry.Heed(&a.w.untraced) {
		return ctx
	}
	traced := &a.run.traced[min(a.what.Attempt-1, 1)]
	if traced.Load() >= maxTraced {
		return telemetry.Link(ctx, from)
	}
	ctx, a.span = s.Attempt(ctx, a.id(), a.batch.processor.name, a.w.cfg.Node, from)
	telemetry.Heeded(&a.w.untraced, a.span)
	if a.span.SpanContext().IsSampled() {
		traced.Add(1)
	}
	return ctx
}

// finish completes what a processor that has returned began: what it emitted
// is handed on and its files are made durable. Only then has it succeeded.
func (a *attempt) finish(result []byte, err error) {
	var files []string
	if err == nil {
		err = a.emits.close(a)
	}
	if err == nil && a.ctx.Err() == nil {
		files, err = a.files.commit()
	}
	var cause error
	if a.ctx.Err() != nil {
		cause = context.Cause(a.ctx)
		a.ending, err = ended(cause), cause
	} else if err != nil {
		a.ending = telemetry.Failed
	}
	if err != nil {
		f := failure(err)
		excuse(f, cause)
		a.fail(f)
		return
	}
	a.outcome.Result, a.outcome.Files = result, files
}

// broke gives an attempt that did not get to its end its outcome: v is what
// its code panicked with, or nil if it called runtime.Goexit.
func (a *attempt) broke(v any) {
	reason := broken(v)
	a.ending, a.panicked = telemetry.Failed, true
	a.fail(&job.Failure{Reason: reason})
	if to := a.keeper(); to != nil {
		to.Add(slog.LevelError, reason, nil)
	}
	a.w.log.Error("attempt broke", telemetry.Attempt(a.id()), telemetry.Processor(a.batch.processor.name), slog.String("reason", reason))
}

func (a *attempt) fail(f *job.Failure) {
	a.outcome.Failure = f
	a.emits.giveUp()
	a.files.discard()
}

// close lets go of all that the attempt holds. What its code left running sees
// the context end.
func (a *attempt) close() {
	a.task.Flush()
	a.outcome.Bytes = max(a.read.Load(), int64(len(a.what.Payload)))
	if a.free != nil {
		a.free()
	}
	a.life.cancel(nil)
	a.files.release()
	if a.span != nil {
		var err error
		if f := a.outcome.Failure; f != nil {
			err = fmt.Errorf("%s", f.Reason)
		}
		telemetry.End(a.span, err)
	}
}

// Progress notes how far the attempt is.
func (a *attempt) Progress(done, total int64) {
	a.done.Store(done)
	a.of.Store(total)
}

// Read notes that n bytes more of input were read.
func (a *attempt) Read(n int64) { a.read.Add(n) }

// timeoutError says that an attempt has overrun its time.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("worker: the attempt took longer than its timeout of %v: raise AttemptTimeout, or make the tasks smaller", time.Duration(e))
}

func (timeoutError) Unwrap() []error {
	return []error{mapreduce.ErrTimeout, context.DeadlineExceeded}
}
