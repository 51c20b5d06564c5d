package state

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Bulk operations are records of what is to be done to many runs, and of how far
// that is. Whoever leads does it, in steps, and records each; what they act on
// are the commands that one run at a time would take.

// The bounds of an operation, in bytes.
const (
	maxOperation = 6 << 10 // as it was begun
	maxWhy       = 1 << 10 // of one refusal
	// maxOperationStatus is above what the state keeps of one.
	maxOperationStatus = maxOperation + job.MaxRefusals*(maxName+maxWhy+16) + 2*maxReason + 2*maxName
)

func operationKey(namespace, id string) []byte { return named('O', namespace, id) }
func openedKey(namespace, id string) []byte    { return named('J', namespace, id) }
func selectionKey(namespace, id string) []byte { return append(named('Y', namespace, id), 0) }
func onceKey(namespace, once string) []byte    { return named('z', namespace, once) }

// BeginOperation records an operation that is to be carried out, with the names
// that it selects, and returns it. It may be repeated: then the operation is
// returned as it is now. If another was begun with the same Once, and is
// remembered, that one is returned and nothing is recorded.
func (s *State) BeginOperation(ctx context.Context, o job.Operation, selection []string) (job.Operation, error) {
	if err := errors.Join(checkName("namespace", o.Bulk.Namespace), checkName("operation", o.ID)); err != nil {
		return o, err
	}
	at := cmp.Or(utc(o.Created), s.now().UTC())
	o.Created, o.Selected, o.Bulk.Runs, o.Bulk.Jobs = time.Time{}, len(selection), nil, nil
	c := &wire.BeginOperation{Namespace: o.Bulk.Namespace, ID: o.ID, At: at.UnixNano(), Once: hashed(o.Bulk.Once)}
	var err error
	if c.Record, err = encode(o); err != nil {
		return o, err
	}
	if len(selection) > 0 {
		if c.Selection, err = encode(selection); err != nil {
			return o, err
		}
	}
	return s.operated(s.propose(ctx, c))
}

// OperationStep is what became of a step of an operation.
type OperationStep struct {
	// Step is its number: how many there were before.
	Step int
	// Reached is the last of the runs that it was about, in which pass, and Done and
	// Refused how many of them are what.
	Reached       string
	Pass          int
	Done, Refused int
	Refusals      []job.Refusal
	// State says that the operation is over, and Reason why it failed.
	State  job.OperationState
	Reason string
}

// AdvanceOperation records what became of a step, and returns the operation. It
// may be repeated: of a step that was recorded before nothing changes. ErrFinal
// says that the operation is over, ErrConflict that a step before is missing.
func (s *State) AdvanceOperation(ctx context.Context, namespace, id string, p OperationStep) (job.Operation, error) {
	c := &wire.AdvanceOperation{
		Namespace: namespace, ID: id, Step: uint64(p.Step), Reached: p.Reached, Pass: uint64(p.Pass), Done: uint64(p.Done), Refused: uint64(p.Refused),
		State: p.State, Reason: cut(p.Reason, maxReason), At: s.now().UnixNano(),
	}
	for _, r := range p.Refusals[:min(len(p.Refusals), job.MaxRefusals)] {
		c.Refusals = append(c.Refusals, job.Refusal{Name: cut(r.Name, maxName), Why: cut(r.Why, maxWhy)})
	}
	return s.operated(s.propose(ctx, c))
}

// CancelOperation ends an operation where it is, and returns it: what it has
// done stays done. One that is over is returned as it is, so it may be repeated.
func (s *State) CancelOperation(ctx context.Context, namespace, id, reason string) (job.Operation, error) {
	return s.operated(s.propose(ctx, &wire.CancelOperation{
		Namespace: namespace, ID: id, Reason: cut(cmp.Or(reason, "canceled"), maxReason), At: s.now().UnixNano(),
	}))
}

// operated returns the operation that a command was about.
func (s *State) operated(r result, err error) (job.Operation, error) {
	if err != nil {
		return job.Operation{}, err
	}
	return composeOperation(r.operation)
}

// operationSize is above what a command about an operation writes.
func operationSize(namespace, id string, selection int) int {
	names := len(namespace) + len(id) + perRecord
	return maxOperationStatus + 4*names + selection + (maxRecord/partSize+2)*names
}
