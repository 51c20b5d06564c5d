package node

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// The leader carries out bulk operations itself, beside all that executes: one
// that is to end runs must not wait for a place among them. Those that go on take
// turns, a step each, and a step that was done is recorded before the next; so
// another leader does at most one step again, which changes nothing where it was
// done.

const (
	// endsStep is how many runs one step ends, and retriesStep how many it tries
	// again, which takes several commands each.
	endsStep    = 1000
	retriesStep = 128
	// retriesAtOnce is how many next attempts of runs are written at the same time.
	retriesAtOnce = 32
	// maxOpen bounds how many operations of a namespace go on.
	maxOpen = 100
	// operationsKept is how many operations of a namespace are remembered, and
	// operationsFor how long, once they are over.
	operationsKept = 1000
	operationsFor  = 30 * 24 * time.Hour
)

// operations is what those who wait for operations go by.
type operations struct {
	poke chan struct{} // holds one if an operation was begun

	mu    *sync.Mutex
	moved chan struct{} // closed when an operation is further than it was; guarded by mu
}

func newOperations() operations {
	return operations{poke: make(chan struct{}, 1), mu: new(sync.Mutex), moved: make(chan struct{})}
}

// next returns a channel that is closed when an operation is further.
func (o *operations) next() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.moved
}

// move wakes those who wait for an operation to be further.
func (o *operations) move() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.moved)
	o.moved = make(chan struct{})
}

// beginBulk records an operation and has it carried out.
func (l *leader) beginBulk(ctx context.Context, r wire.BeginBulk) (job.Operation, error) {
	open, err := l.state.Opened()
	if err != nil {
		return job.Operation{}, err
	}
	n := 0
	for i := range open {
		if open[i].Bulk.Namespace == r.Bulk.Namespace && open[i].ID != r.ID {
			n++
		}
	}
	if n >= maxOpen {
		return job.Operation{}, fmt.Errorf("%w: %d bulk operations of namespace %s go on, and no more than that may: wait for one, or cancel it", state.ErrOverloaded, n, r.Bulk.Namespace)
	}
	o, err := l.state.BeginOperation(ctx, job.Operation{ID: r.ID, Bulk: r.Bulk, Created: l.n.wall().UTC()}, selection(&r.Bulk))
	if err != nil {
		return o, err
	}
	if o.ID == r.ID {
		l.n.log.Info("bulk operation began", telemetry.Operation(o.Bulk.Namespace, o.ID), slog.String("verb", string(o.Bulk.Verb)),
			slog.String("by", o.Bulk.By), slog.String("reason", o.Bulk.Reason), slog.Int("selected", o.Selected))
	}
	select {
	case l.operations.poke <- struct{}{}:
	default:
	}
	return o, nil
}

// selection returns the names that a bulk selects.
func selection(b *job.Bulk) []string {
	names := make([]string, len(b.Runs))
	for i, id := range b.Runs {
		names[i] = string(id)
	}
	return names
}

// operate carries out what was begun, for as long as the node leads.
func (l *leader) operate() {
	for wait := 20 * time.Millisecond; ; {
		open, err := l.state.Opened()
		for i := range open {
			if err == nil {
				err = l.step(&open[i])
			}
		}
		switch {
		case l.ctx.Err() != nil:
			return
		case err != nil:
			l.n.log.Warn("bulk operations wait until the leader can record what they do", telemetry.Err(err))
			if !pause(l.ctx, wait) {
				return
			}
			wait = min(2*wait, 5*time.Second)
			continue
		}
		wait = 20 * time.Millisecond
		if len(open) > 0 {
			continue
		}
		select {
		case <-l.operations.poke:
		case <-l.ctx.Done():
			return
		}
	}
}

// step does the next part of an operation and records what became of it. An
// error says that this leader can't now, and that the step is to be done again.
func (l *leader) step(o *job.Operation) error {
	p := state.OperationStep{Step: o.Steps}
	ids, err := l.reach(o, &p)
	switch {
	case is(err, state.ErrNoOperation): // somebody has canceled it
		return nil
	case err != nil:
		return err
	}
	for i, err := range l.doAll(&o.Bulk, ids) {
		switch {
		case err == nil:
			p.Done++
		case l.ctx.Err() != nil || hinders(err):
			return err
		default:
			if p.Refused++; len(p.Refusals) < job.MaxRefusals {
				p.Refusals = append(p.Refusals, job.Refusal{Name: string(ids[i]), Why: bare(plain(err)).Error()})
			}
		}
	}
	now, err := l.state.AdvanceOperation(l.ctx, o.Bulk.Namespace, o.ID, p)
	if is(err, state.ErrFinal) || is(err, state.ErrNoOperation) { // it was canceled meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	l.n.metrics.Bulk(l.ctx, string(o.Bulk.Verb), p.Done, p.Refused)
	l.moved(&now)
	return nil
}

// reach returns the runs that the next step of an operation is about, and says
// in it where it ends.
func (l *leader) reach(o *job.Operation, p *state.OperationStep) (ids []job.RunID, err error) {
	limit := endsStep
	if o.Bulk.Verb.Retries() {
		limit = retriesStep
	}
	if o.Selected == 0 {
		var next job.RunID
		if ids, next, err = l.state.Meant(&o.Bulk, o.ID, job.RunID(o.Reached), limit); err != nil {
			return nil, err
		}
		if p.Reached = string(next); next == "" {
			p.Reached, p.State = o.Reached, job.OperationDone
			if n := len(ids); n > 0 {
				p.Reached = string(ids[n-1])
			}
		}
		return ids, nil
	}
	names, err := l.state.Selection(o.Bulk.Namespace, o.ID)
	if err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(o.Reached)
	to := min(from+limit, len(names))
	for _, name := range names[min(from, to):to] {
		ids = append(ids, job.RunID(name))
	}
	if p.Reached = strconv.Itoa(to); to == len(names) {
		p.State = job.OperationDone
	}
	return ids, nil
}

// hinders reports whether err says that this leader can't record anything now,
// rather than something of a run.
func hinders(err error) bool {
	return isUnsettled(err) || is(err, state.ErrUnavailable) || is(err, state.ErrBroken)
}

// moved tells who waits for it that an operation is further, and who reads the
// log that it is over.
func (l *leader) moved(o *job.Operation) {
	l.operations.move()
	if o.State.Over() {
		l.n.log.Info("bulk operation ended", telemetry.Operation(o.Bulk.Namespace, o.ID), slog.String("verb", string(o.Bulk.Verb)),
			slog.String("state", string(o.State)), slog.Int("done", o.Done), slog.Int("refused", o.Refused), telemetry.Took(o.Ended.Sub(o.Created)))
	}
}

// doAll does to runs what a bulk says, and returns an error for each.
func (l *leader) doAll(b *job.Bulk, ids []job.RunID) []error {
	switch b.Verb {
	case job.BulkCancel, job.BulkStop:
		return l.cancelAll(ids, b.Reason, b.Verb == job.BulkStop)
	case job.BulkRetry, job.BulkRetryAll:
		return l.retryAll(ids, b.Verb == job.BulkRetryAll)
	}
	errs := make([]error, len(ids))
	for i := range errs {
		errs[i] = fmt.Errorf("node: this leader does not know the verb %q: upgrade it", b.Verb)
	}
	return errs
}

// cancelAll is cancelRun for many runs.
func (l *leader) cancelAll(ids []job.RunID, reason string, now bool) []error {
	errs, over := make([]error, len(ids)), make([]job.RunID, 0, len(ids))
	for i, c := range l.state.CancelAll(l.ctx, ids, reason, now) {
		run := c.Run
		switch {
		case c.Err != nil:
			errs[i] = c.Err
		case c.Over:
		case run.State.Done():
			l.came(&run) // if it was the first in its line, another is
			l.n.ended(&run, run.State)
			over = append(over, run.ID)
			if run.Master != "" {
				l.wg.Go(func() { l.dismiss(&run) })
			}
		default:
			l.wg.Go(func() { l.enforce(run, cancelGrace) })
		}
	}
	if len(over) > 0 {
		l.ended(over...)
	}
	return errs
}

// retryAll is retry for many runs.
func (l *leader) retryAll(ids []job.RunID, all bool) []error {
	errs := make([]error, len(ids))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(retriesAtOnce, len(ids)) {
		wg.Go(func() {
			for i := range next {
				_, errs[i] = l.retry(l.ctx, wire.Retry{Run: ids[i], All: all})
			}
		})
	}
	for i := range ids {
		next <- i
	}
	close(next)
	wg.Wait()
	return errs
}

// cancelOperation ends an operation where it is.
func (l *leader) cancelOperation(ctx context.Context, r wire.OperationRef) (job.Operation, error) {
	before, err := l.state.Operation(r.Namespace, r.ID)
	if err != nil || before.State.Over() {
		return before, err
	}
	o, err := l.state.CancelOperation(ctx, r.Namespace, r.ID, r.Reason)
	if err == nil {
		l.moved(&o)
	}
	return o, err
}

// awaitOperation returns an operation once it is beyond a step, or over.
func (l *leader) awaitOperation(ctx context.Context, r wire.AwaitOperation) (o job.Operation, err error) {
	for {
		moved := l.operations.next()
		if o, err = l.state.Operation(r.Namespace, r.ID); err != nil || o.State.Over() || o.Steps > r.Beyond {
			return o, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return o, context.Cause(ctx)
		case <-l.ctx.Done():
			return o, state.ErrNotLeader
		}
	}
}

// countRuns returns how many of the next runs a bulk would mean.
func (l *leader) countRuns(r wire.CountRuns) (out wire.CountedRuns, err error) {
	const page = 20_000 // as many as one look is at
	ids, next, err := l.state.Meant(&r.Bulk, "", r.After, page)
	return wire.CountedRuns{N: len(ids), Next: next}, err
}

// forgetOperations removes those that have been over for long, or are too many.
func (l *leader) forgetOperations() error {
	return l.state.ForgetOperations(l.ctx, operationsKept, l.n.wall().Add(-operationsFor))
}

// serveBulk answers for bulk operations.
func (s *server) serveBulk() {
	answer(s, wire.MethodBulk, (*leader).beginBulk)
	answer(s, wire.MethodCancelOperation, (*leader).cancelOperation)
	answer(s, wire.MethodAwaitOperation, (*leader).awaitOperation)
	confirmed(s, wire.MethodCountRuns, (*leader).countRuns)
	confirmed(s, wire.MethodOperation, func(_ *leader, r wire.OperationRef) (job.Operation, error) {
		return s.state.Operation(r.Namespace, r.ID)
	})
	confirmed(s, wire.MethodOperations, func(_ *leader, q job.OperationQuery) (job.OperationPage, error) {
		return s.state.Operations(q)
	})
}
