package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What the leader is asked about bulk operations.

// operations is what those who wait for operations go by.
type operations struct {
	poke bell // rung if an operation was begun

	mu    *sync.Mutex
	moved chan struct{} // closed when an operation is further than it was; guarded by mu
}

func newOperations() operations {
	return operations{poke: newBell(), mu: new(sync.Mutex), moved: make(chan struct{})}
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
	n, again := 0, false
	for i := range open {
		if b := &open[i].Bulk; b.Namespace == r.Bulk.Namespace {
			n++
			again = again || open[i].ID == r.ID || b.Once != "" && b.Once == r.Bulk.Once
		}
	}
	if n >= maxOpen && !again {
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
	l.operations.poke.ring()
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
