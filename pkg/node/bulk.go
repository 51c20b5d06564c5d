package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// ErrNoOperation says that there is no bulk operation of the ID that was asked
// for: there never was, or it has been forgotten.
var ErrNoOperation error = &coded{"no-operation", "node: no such operation"}

// Bulk begins to do to many runs or jobs what b says, and returns the operation that
// does it. When it returns the operation is durable: it goes on in the
// background, whatever becomes of this node or of the leader, and takes neither
// slots nor a place among the runs that may go on. Runs that are created from
// then on are not meant. What cannot be done to one is counted, and keeps
// nothing else from being done.
func (n *Node) Bulk(ctx context.Context, b job.Bulk) (job.Operation, error) {
	b = b.WithDefaults()
	if err := b.Validate(); err != nil {
		return job.Operation{}, err
	}
	b.By = cmp.Or(b.By, "node "+n.cfg.Name)
	o, err := lead[job.Operation](ctx, n, wire.MethodBulk, wire.BeginBulk{ID: operationID(b.Verb, n.wall()), Bulk: b})
	if err != nil {
		return o, fmt.Errorf("node: %s of many: %w", b.Verb, bare(plain(err)))
	}
	return o, nil
}

// operationID names an operation by when it is asked for, what it does, and
// chance.
func operationID(v job.Verb, now time.Time) string {
	return fmt.Sprintf("%s-%s-%s", now.UTC().Format("20060102T150405Z"), v, strings.ToLower(rand.Text()[:8]))
}

// CountBulk returns how many runs b means at present, without doing anything to
// them. Those that a selection names it takes as they are.
func (n *Node) CountBulk(ctx context.Context, b job.Bulk) (count int, err error) {
	b = b.WithDefaults()
	if err := b.Validate(); err != nil || b.Selected() > 0 {
		return b.Selected(), err
	}
	for ask := (wire.CountRuns{Bulk: b}); ; {
		found, err := lead[wire.CountedRuns](ctx, n, wire.MethodCountRuns, ask)
		if err != nil {
			return count, fmt.Errorf("node: count runs: %w", bare(plain(err)))
		}
		count += found.N
		if ask.After = found.Next; ask.After == "" {
			return count, nil
		}
	}
}

// Operations returns the bulk operations of a namespace that q asks for, a page
// of them. Those that are over are forgotten after 30 days, and of each
// namespace all but the latest 1000.
func (n *Node) Operations(ctx context.Context, q job.OperationQuery) (job.OperationPage, error) {
	q.Namespace = cmp.Or(q.Namespace, "default")
	page, err := lead[job.OperationPage](ctx, n, wire.MethodOperations, q)
	if err != nil {
		return page, fmt.Errorf("node: operations: %w", bare(plain(err)))
	}
	return page, nil
}

// Operation returns a bulk operation and how far it is, or ErrNoOperation.
func (n *Node) Operation(ctx context.Context, namespace, id string) (job.Operation, error) {
	ref := wire.OperationRef{Namespace: cmp.Or(namespace, "default"), ID: id}
	o, err := lead[job.Operation](ctx, n, wire.MethodOperation, ref)
	return o, unknownOperation(ref, err)
}

// WaitOperation returns a bulk operation when it is over, however it ended. When
// ctx ends, the operation goes on.
func (n *Node) WaitOperation(ctx context.Context, namespace, id string) (job.Operation, error) {
	for beyond := 0; ; {
		o, err := n.AwaitOperation(ctx, namespace, id, beyond)
		if err != nil || o.State.Over() {
			return o, err
		}
		beyond = o.Steps
	}
}

// AwaitOperation returns a bulk operation when it has gone beyond so many steps,
// or is over: who asks with the Steps that it had is told as soon as it is
// further. When ctx ends, the operation goes on.
func (n *Node) AwaitOperation(ctx context.Context, namespace, id string, beyond int) (job.Operation, error) {
	ref := wire.OperationRef{Namespace: cmp.Or(namespace, "default"), ID: id}
	o, err := lead[job.Operation](ctx, n, wire.MethodAwaitOperation, wire.AwaitOperation{OperationRef: ref, Beyond: beyond})
	return o, unknownOperation(ref, err)
}

// CancelOperation ends a bulk operation where it is, and returns it: what it has
// done stays done. One that is over stays as it is.
func (n *Node) CancelOperation(ctx context.Context, namespace, id, reason string) (job.Operation, error) {
	ref := wire.OperationRef{Namespace: cmp.Or(namespace, "default"), ID: id, Reason: cmp.Or(reason, "no reason was given")}
	o, err := lead[job.Operation](ctx, n, wire.MethodCancelOperation, ref)
	return o, unknownOperation(ref, err)
}

// unknownOperation says which operation err is about.
func unknownOperation(ref wire.OperationRef, err error) error {
	switch {
	case err == nil:
		return nil
	case is(err, state.ErrNoOperation):
		return fmt.Errorf("%w: %s/%.200s: see Operations for those there are", ErrNoOperation, ref.Namespace, ref.ID)
	}
	return fmt.Errorf("node: operation %s/%.200s: %w", ref.Namespace, ref.ID, bare(plain(err)))
}
