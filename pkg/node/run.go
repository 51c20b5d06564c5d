package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// ErrNoRun says that there is no run of the ID that was asked for.
var ErrNoRun error = &coded{"no-run", "node: no such run"}

// Run is a handle on one run, which may be conducted anywhere in the cluster.
type Run struct {
	n  *Node
	id job.RunID
}

// Run returns a handle on the run of the given ID, which need not exist.
func (n *Node) Run(id job.RunID) *Run { return &Run{n: n, id: id} }

// Runs returns at most limit runs in the order of their IDs, after the one
// named. A limit of 0 means 100; it is never above 1000.
func (n *Node) Runs(ctx context.Context, after job.RunID, limit int) ([]job.Run, error) {
	runs, err := lead[[]job.Run](ctx, n, wire.MethodRuns, wire.Page{After: after, Limit: limit})
	if err != nil && n.ctx.Err() != nil {
		return nil, ErrStopped
	}
	return runs, err
}

// Find returns the runs that q asks for, a page of them.
func (n *Node) Find(ctx context.Context, q job.RunQuery) (job.RunPage, error) {
	if err := q.Validate(); err != nil {
		return job.RunPage{}, err
	}
	page, err := lead[job.RunPage](ctx, n, wire.MethodFind, q)
	if err != nil {
		return page, fmt.Errorf("node: runs: %w", plain(err))
	}
	return page, nil
}

// ID returns the run's ID.
func (r *Run) ID() job.RunID { return r.id }

// Get returns the run as the state has it, or ErrNoRun.
func (r *Run) Get(ctx context.Context) (job.Run, error) {
	run, err := lead[job.Run](ctx, r.n, wire.MethodRun, wire.RunRef{Run: r.id})
	return run, r.explain(err)
}

// explain says which run err is about.
func (r *Run) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case is(err, state.ErrNoRun):
		return fmt.Errorf("%w: %.200q: see Runs for those there are", ErrNoRun, r.id)
	case r.n.ctx.Err() != nil: // whatever it was that the stop broke
		return fmt.Errorf("%w: run %.200q: ask another node, or this one when it is started again", ErrStopped, r.id)
	}
	return fmt.Errorf("node: run %.200q: %w", r.id, plain(err))
}

// plain leaves out of an error the way that it came.
func plain(err error) error {
	var remote *transport.RemoteError
	if errors.As(err, &remote) {
		return answered{remote}
	}
	return err
}

// answered is what another node answered, in its words.
type answered struct{ *transport.RemoteError }

func (a answered) Error() string { return a.Message }
func (a answered) Unwrap() error { return a.RemoteError }

// Wait blocks until the run is over and returns what it returned; see
// mapreduce.Collect and its like. The error is a *RunError if the run did not
// succeed. When ctx ends, the run goes on.
func (r *Run) Wait(ctx context.Context) (mapreduce.Output, error) {
	end, err := r.n.ends.await(ctx, r.id)
	return r.outcome(end, err)
}

// outcome returns what the run returned, given how it ended.
func (r *Run) outcome(end wire.End, err error) (mapreduce.Output, error) {
	if err != nil {
		return mapreduce.Output{}, r.explain(err)
	}
	if run := &end.Run; run.State != job.Succeeded {
		return mapreduce.Output{}, &RunError{ID: run.ID, State: run.State, Reason: run.Reason}
	}
	return r.output(end), nil
}

// Progress returns where the run stands: from its master while it has one,
// then as it ended. Between two masters nobody counts, and it says that the run
// waits for one.
func (r *Run) Progress(ctx context.Context) (job.Progress, error) {
	run, err := r.Get(ctx)
	if err != nil || run.State.Done() {
		return run.Progress, err
	}
	if run.State == job.Pending {
		run.Progress.Waiting = run.Reason
		return run.Progress, nil
	}
	p, err := call[job.Progress](ctx, r.n, run.Master, wire.MethodProgress, wire.RunRef{Run: r.id})
	if err != nil { // it is between two masters, or has just ended
		if run, err = r.Get(ctx); err == nil && !run.State.Done() {
			run.Progress.Waiting = "it has no master that answers"
		}
		return run.Progress, err
	}
	return p, nil
}

// unheard is how long Watch waits for the state before it says so.
const unheard = 2 * time.Second

// Watch yields the run's progress about once in every, and a last time when it
// is over. While neither the master nor the state can be asked, it yields
// what it last knew and says in Waiting what is missing. It ends early with
// ctx. If every is not positive it is a second.
func (r *Run) Watch(ctx context.Context, every time.Duration) iter.Seq[job.Progress] {
	if every <= 0 {
		every = time.Second
	}
	return func(yield func(job.Progress) bool) {
		ctx, cancel := context.WithCancel(ctx)
		over := make(chan job.Progress, 1)
		r.n.wg.Go(func() {
			if end, err := r.n.ends.await(ctx, r.id); err == nil {
				p := end.Run.Progress
				p.Members = maps.Clone(p.Members) // others are told the same
				over <- p
			}
		})
		defer cancel()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := (job.Progress{}); ; {
			select {
			case last := <-over:
				yield(last)
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			p, err := r.latest(ctx, last)
			if err != nil {
				continue
			}
			if last = p; !yield(p) {
				return
			}
		}
	}
}

// latest is Progress, or the last one there was with the reason why there is
// none now.
func (r *Run) latest(ctx context.Context, last job.Progress) (job.Progress, error) {
	asked, cancel := context.WithTimeout(ctx, unheard)
	defer cancel()
	p, err := r.Progress(asked)
	switch {
	case ctx.Err() == nil && (asked.Err() != nil || broken(err) || errors.Is(err, ErrNoLeader)):
		p, err = last, nil
		p.Waiting = "neither its master nor the node with the state answers"
	case err == nil && p.Tasks == 0 && p.Waiting != "":
		last.Waiting = p.Waiting
		p = last
	}
	return p, err
}

// Cancel asks for the run to end early and returns when that is recorded: a
// run that has not ended by then ends as cancelled, whatever becomes of its
// master. Attempts that execute are cancelled through their context, and may
// take the time of grace to come to their end. Cancelling a run that is over
// does nothing.
func (r *Run) Cancel(ctx context.Context, reason string) error {
	return r.end(ctx, wire.RunRef{Run: r.id, Reason: cmp.Or(reason, "no reason was given")})
}

// Stop is Cancel for those who can't wait: when it returns the run is over.
// Attempts that execute are cancelled too, and count for nothing.
func (r *Run) Stop(ctx context.Context, reason string) error {
	return r.end(ctx, wire.RunRef{Run: r.id, Reason: cmp.Or(reason, "no reason was given"), Now: true})
}

func (r *Run) end(ctx context.Context, ref wire.RunRef) error {
	_, err := lead[job.Run](ctx, r.n, wire.MethodEnd, ref)
	return r.explain(err)
}

// Retry makes the next attempt of a run that failed or was cancelled: a run of
// its own, with the same key, whose tasks are those that did not succeed. What
// has succeeded is not run again, unless it went with the run: the pairs of a
// keyed run, and files that were to appear at its end. A broadcast goes to the
// members there are now. The runs before stay as they are.
//
// A run has one next attempt: whoever asks again gets that one. If it fails
// too, it is the one to retry.
func (r *Run) Retry(ctx context.Context) (*Run, error) { return r.retry(ctx, false) }

// RetryAll is Retry with all tasks.
func (r *Run) RetryAll(ctx context.Context) (*Run, error) { return r.retry(ctx, true) }

func (r *Run) retry(ctx context.Context, all bool) (*Run, error) {
	made, err := lead[job.Run](ctx, r.n, wire.MethodRetry, wire.Retry{Run: r.id, All: all})
	if err != nil {
		return nil, r.explain(err)
	}
	return &Run{n: r.n, id: made.ID}, nil
}
