package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
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
	// endsStep is how many runs one step ends, whose commands go together, and
	// severalStep for how many it does what is a matter of its own for each, of
	// which so many are on their way severalAtOnce.
	endsStep      = 1000
	severalStep   = 128
	severalAtOnce = 32
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
	names := slices.Clone(b.Jobs)
	for _, id := range b.Runs {
		names = append(names, string(id))
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
	names, err := l.reach(o, &p)
	switch {
	case is(err, state.ErrNoOperation): // somebody has canceled it
		return nil
	case err != nil:
		return err
	}
	for i, err := range l.doAll(&o.Bulk, names) {
		switch {
		case err == nil:
			p.Done++
		case l.ctx.Err() != nil || hinders(err):
			return err
		default:
			if p.Refused++; len(p.Refusals) < job.MaxRefusals {
				p.Refusals = append(p.Refusals, job.Refusal{Name: names[i], Why: bare(plain(err)).Error()})
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

// reach returns what the next step of an operation is about, and says in it where
// it ends.
func (l *leader) reach(o *job.Operation, p *state.OperationStep) (names []string, err error) {
	limit := severalStep
	if o.Bulk.Verb == job.BulkCancel || o.Bulk.Verb == job.BulkStop {
		limit = endsStep
	}
	if o.Selected == 0 {
		ids, next, err := l.state.Meant(&o.Bulk, o.ID, job.RunID(o.Reached), limit)
		for _, id := range ids {
			names = append(names, string(id))
		}
		if p.Reached = string(next); next == "" {
			p.Reached, p.State = o.Reached, job.OperationDone
			if n := len(names); n > 0 {
				p.Reached = names[n-1]
			}
		}
		return names, err
	}
	if names, err = l.state.Selection(o.Bulk.Namespace, o.ID); err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(o.Reached)
	to := min(from+limit, len(names))
	if p.Reached = strconv.Itoa(to); to == len(names) {
		p.State = job.OperationDone
	}
	return names[min(from, to):to], nil
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

// doAll does to runs or jobs what a bulk says, and returns an error for each.
func (l *leader) doAll(b *job.Bulk, names []string) []error {
	switch b.Verb {
	case job.BulkCancel, job.BulkStop:
		return l.cancelAll(names, b.Reason, b.Verb == job.BulkStop)
	case job.BulkRetry, job.BulkRetryAll:
		return several(names, func(name string) error {
			_, err := l.retry(l.ctx, wire.Retry{Run: job.RunID(name), All: b.Verb == job.BulkRetryAll})
			return err
		})
	}
	verb := map[job.Verb]func(context.Context, wire.JobRef) (wire.Nothing, error){
		job.BulkPause: l.pauseJob, job.BulkResume: l.resumeJob, job.BulkDelete: l.deleteJob,
	}[b.Verb]
	return several(names, func(name string) error {
		if verb == nil {
			return fmt.Errorf("node: this leader does not know the verb %q: upgrade it", b.Verb)
		}
		_, err := verb(l.ctx, wire.JobRef{Namespace: b.Namespace, Name: name, Reason: cmp.Or(b.Reason, "no reason was given")})
		return err
	})
}

// cancelAll is cancelRun for many runs.
func (l *leader) cancelAll(names []string, reason string, now bool) []error {
	errs, ids, over := make([]error, len(names)), make([]job.RunID, len(names)), make([]job.RunID, 0, len(names))
	for i, name := range names {
		ids[i] = job.RunID(name)
	}
	for i, c := range l.state.CancelAll(l.ctx, ids, cmp.Or(reason, "no reason was given"), now) {
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

// several does something for each name, for some at a time, and returns an error
// for each.
func several(names []string, do func(name string) error) []error {
	errs, next := make([]error, len(names)), make(chan int)
	var wg sync.WaitGroup
	for range min(severalAtOnce, len(names)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(names[i])
			}
		})
	}
	for i := range names {
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
