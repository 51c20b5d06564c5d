package state

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/musterhq/muster/internal/store"
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
	// Reached is the last of the runs that it was about, and Done and Refused how
	// many of them are what.
	Reached       string
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
		Namespace: namespace, ID: id, Step: uint64(p.Step), Reached: p.Reached, Done: uint64(p.Done), Refused: uint64(p.Refused),
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

func (tx *change) beginOperation(c *wire.BeginOperation) (result, error) {
	if len(c.Record) > maxOperation || len(c.Selection) > maxRecord {
		return refuse(ErrInvalid, "operation %q takes %d bytes and what it selects %d, want at most %d and %d",
			c.ID, len(c.Record), len(c.Selection), maxOperation, maxRecord)
	}
	if c.Once != "" {
		id, err := tx.batch.Get(onceKey(c.Namespace, c.Once))
		if err == nil {
			st, err := readOperation(tx.batch, c.Namespace, string(id))
			return result{operation: st}, missing(err)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return result{}, err
		}
	}
	switch st, err := readOperation(tx.batch, c.Namespace, c.ID); {
	case err == nil && (st.Created != c.At || !bytes.Equal(st.Record, c.Record)):
		return refuse(ErrExists, "operation %q, and it is another", c.ID)
	case err == nil:
		return result{operation: st}, nil // an answer that was lost, and a second try
	case !errors.Is(err, store.ErrNotFound):
		return result{}, err
	}
	born, err := tx.count(bornKey, 1)
	if err != nil {
		return result{}, err
	}
	st := &wire.OperationStatus{
		Record: bytes.Clone(c.Record), Created: c.At, Once: c.Once, Born: born, State: job.OperationRunning, Selects: c.Selection != nil,
	}
	if st.Selects {
		err = putParts(tx.batch, selectionKey(c.Namespace, c.ID), nil, c.Selection)
	}
	if c.Once != "" {
		err = errors.Join(err, tx.batch.Put(onceKey(c.Namespace, c.Once), []byte(c.ID)))
	}
	err = errors.Join(err, tx.batch.Put(openedKey(c.Namespace, c.ID), nil), tx.putOperation(c.Namespace, c.ID, st))
	return result{operation: st}, err
}

func (tx *change) advanceOperation(c *wire.AdvanceOperation) (result, error) {
	if len(c.Refusals) > job.MaxRefusals || !fits(c) {
		return refuse(ErrInvalid, "operation %q: a step with %d refusals is too long", c.ID, len(c.Refusals))
	}
	st, r, err := tx.operation(c.Namespace, c.ID)
	if err != nil || r.err != nil {
		return r, err
	}
	switch {
	case c.Step < st.Step:
		return result{operation: st}, nil // an answer that was lost, and a second try
	case st.State.Over():
		return refuse(ErrFinal, "operation %q is %s", c.ID, st.State)
	case c.Step > st.Step:
		return refuse(ErrConflict, "operation %q has had %d steps, number %d would leave a gap", c.ID, st.Step, c.Step)
	}
	st.Step++
	st.Reached, st.Done, st.Refused = c.Reached, st.Done+c.Done, st.Refused+c.Refused
	st.Refusals = append(st.Refusals, c.Refusals[:min(len(c.Refusals), job.MaxRefusals-len(st.Refusals))]...)
	if c.State != "" && c.State.Over() {
		err = tx.endOperation(c.Namespace, c.ID, st, c.State, c.Reason, c.At)
	}
	return result{operation: st}, errors.Join(err, tx.putOperation(c.Namespace, c.ID, st))
}

// fits reports whether the texts of a step are as long as they may be.
func fits(c *wire.AdvanceOperation) bool {
	ok := len(c.Reached) <= maxName && len(c.State) <= maxName && len(c.Reason) <= maxReason
	for _, r := range c.Refusals {
		ok = ok && len(r.Name) <= maxName && len(r.Why) <= maxWhy
	}
	return ok
}

func (tx *change) cancelOperation(c *wire.CancelOperation) (result, error) {
	st, r, err := tx.operation(c.Namespace, c.ID)
	if err != nil || r.err != nil || st.State.Over() {
		return r, err
	}
	return result{operation: st}, errors.Join(
		tx.endOperation(c.Namespace, c.ID, st, job.OperationCanceled, cut(c.Reason, maxReason), c.At),
		tx.putOperation(c.Namespace, c.ID, st))
}

// endOperation makes of st, which is going to be put, one that is over.
func (tx *change) endOperation(namespace, id string, st *wire.OperationStatus, how job.OperationState, reason string, at int64) error {
	err := tx.batch.Delete(openedKey(namespace, id))
	if st.Selects {
		key := selectionKey(namespace, id)
		first, got := tx.batch.Get(key)
		if got != nil {
			return missing(got)
		}
		tx.freed += int(first[0]) * len(first)
		err = errors.Join(err, deleteParts(tx.batch, key, first))
	}
	st.State, st.Reason, st.Ended, st.Selects = how, reason, at, false
	return err
}

func (tx *change) forgetOperations(c *wire.ForgetOperations) (result, error) {
	for _, id := range c.IDs {
		st, err := readOperation(tx.batch, c.Namespace, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !st.State.Over() {
			continue
		}
		if err == nil && st.Once != "" {
			err = tx.batch.Delete(onceKey(c.Namespace, st.Once))
		}
		if err := errors.Join(err, tx.batch.Delete(operationKey(c.Namespace, id))); err != nil {
			return result{}, err
		}
	}
	return result{}, nil
}

// operation returns an operation that must be there. It is the caller's.
func (tx *change) operation(namespace, id string) (*wire.OperationStatus, result, error) {
	st, err := readOperation(tx.batch, namespace, id)
	if errors.Is(err, store.ErrNotFound) {
		r, err := refuse(ErrNoOperation, "%q", id)
		return nil, r, err
	}
	return st, result{operation: st}, err
}

func (tx *change) putOperation(namespace, id string, st *wire.OperationStatus) error {
	b, err := wire.EncodeRecord(st)
	if err != nil {
		return err
	}
	return tx.batch.Put(operationKey(namespace, id), b)
}

// readOperation returns what is kept of an operation, or store.ErrNotFound.
func readOperation(g getter, namespace, id string) (*wire.OperationStatus, error) {
	b, err := g.Get(operationKey(namespace, id))
	if err != nil {
		return nil, err
	}
	st := new(wire.OperationStatus)
	return st, wire.DecodeRecord(b, st)
}

func composeOperation(st *wire.OperationStatus) (o job.Operation, err error) {
	if err := wire.DecodeRecord(st.Record, &o); err != nil {
		return o, err
	}
	o.Bulk.From, o.Bulk.Until = utc(o.Bulk.From), utc(o.Bulk.Until)
	o.Created, o.Ended, o.State, o.Reason = timeOf(st.Created), timeOf(st.Ended), st.State, st.Reason
	o.Done, o.Refused, o.Refusals = int(st.Done), int(st.Refused), st.Refusals
	o.Reached, o.Steps = st.Reached, int(st.Step)
	return o, nil
}

// Operation returns an operation, or ErrNoOperation.
func (s *State) Operation(namespace, id string) (job.Operation, error) {
	v, err := s.view()
	if err != nil {
		return job.Operation{}, err
	}
	defer v.Close()
	st, err := readOperation(v, namespace, id)
	if errors.Is(err, store.ErrNotFound) {
		return job.Operation{}, fmt.Errorf("%w: %q", ErrNoOperation, id)
	}
	if err != nil {
		return job.Operation{}, err
	}
	return composeOperation(st)
}

// Operations returns the operations that q asks for, a page of them, without
// their refusals.
func (s *State) Operations(q job.OperationQuery) (page job.OperationPage, err error) {
	limit := min(cmp.Or(max(q.Limit, 0), 100), 1000)
	v, err := s.view()
	if err != nil {
		return page, err
	}
	defer v.Close()
	page.Operations = []job.Operation{}
	for p, err := range operations(v, &q) {
		if err != nil {
			return page, err
		}
		st := new(wire.OperationStatus)
		if err := wire.DecodeRecord(p.Value, st); err != nil {
			return page, err
		}
		if q.State != "" && q.State != st.State {
			continue
		}
		if n := len(page.Operations); n == limit {
			page.Next = page.Operations[n-1].ID // there is at least this one more
			break
		}
		o, err := composeOperation(st)
		if err != nil {
			return page, err
		}
		o.Refusals = nil
		page.Operations = append(page.Operations, o)
	}
	return page, nil
}

// operations yields the operations of a namespace, in the order of q.
func operations(v *store.Snapshot, q *job.OperationQuery) iter.Seq2[store.Pair, error] {
	prefix := named('O', q.Namespace)
	switch {
	case q.Backward && q.After != "":
		return v.ScanBack(prefix, operationKey(q.Namespace, q.After))
	case q.Backward:
		return v.ScanBack(prefix, nil)
	case q.After != "":
		return v.ScanFrom(prefix, append(operationKey(q.Namespace, q.After), 0))
	}
	return v.Scan(prefix)
}

// Opened returns the operations that are not over, in the order of namespace and
// ID.
func (s *State) Opened() (all []job.Operation, err error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for p, err := range v.Scan([]byte("J")) {
		if err != nil {
			return nil, err
		}
		names := splitNames(p.Key[1:])
		if len(names) != 2 {
			return nil, fmt.Errorf("state: record %q of an operation: %w", p.Key, store.ErrCorrupt)
		}
		st, err := readOperation(v, names[0], names[1])
		if err != nil {
			return nil, missing(err)
		}
		o, err := composeOperation(st)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// Selection returns the names that an operation selects which is not over.
func (s *State) Selection(namespace, id string) (names []string, err error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	b, err := getParts(v, selectionKey(namespace, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %q selects nothing any more", ErrNoOperation, id)
	}
	if err != nil {
		return nil, err
	}
	return names, wire.DecodeRecord(b, &names)
}

// ForgetOperations removes those operations that are over and were begun before
// a time, and of each namespace all but the latest keep. It may be repeated.
func (s *State) ForgetOperations(ctx context.Context, keep int, before time.Time) error {
	old, err := s.oldOperations(keep, before)
	if err != nil {
		return err
	}
	return s.steps(ctx, len(old), func(i int) wire.Command { return old[i] })
}

// oldOperations returns commands that remove those of which there are too many.
func (s *State) oldOperations(keep int, before time.Time) (all []wire.Command, err error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	n, c := 0, &wire.ForgetOperations{}
	for p, err := range v.ScanBack([]byte("O"), nil) { // the latest of a namespace first
		if err != nil {
			return nil, err
		}
		names, st := splitNames(p.Key[1:]), new(wire.OperationStatus)
		if err := wire.DecodeRecord(p.Value, st); err != nil {
			return nil, err
		}
		if names[0] != c.Namespace {
			n, c = 0, &wire.ForgetOperations{Namespace: names[0]}
		}
		if n++; !st.State.Over() || n <= keep && !timeOf(st.Created).Before(before) {
			continue
		}
		if len(c.IDs) == forgetTogether {
			c = &wire.ForgetOperations{Namespace: names[0]}
		}
		if c.IDs = append(c.IDs, names[1]); len(c.IDs) == 1 {
			all = append(all, c)
		}
	}
	return all, nil
}

func checkOperations(c *wire.ForgetOperations) error {
	if len(c.IDs) > forgetTogether {
		return fmt.Errorf("%w: %d operations to forget at once, the limit is %d", ErrInvalid, len(c.IDs), forgetTogether)
	}
	errs := checkName("namespace", c.Namespace)
	for _, id := range c.IDs {
		errs = errors.Join(errs, checkName("operation", id))
	}
	return errs
}

// operationSize is above what a command about an operation writes.
func operationSize(namespace, id string, selection int) int {
	names := len(namespace) + len(id) + perRecord
	return maxOperationStatus + 4*names + selection + (maxRecord/partSize+2)*names
}
