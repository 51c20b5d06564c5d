package state

import (
	"bytes"
	"errors"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

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
	st.Reached, st.Pass, st.Done, st.Refused = c.Reached, c.Pass, st.Done+c.Done, st.Refused+c.Refused
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

// operation returns an operation that must be there. It is the caller's.
func (tx *change) operation(namespace, id string) (*wire.OperationStatus, result, error) {
	st, err := readOperation(tx.batch, namespace, id)
	if errors.Is(err, store.ErrNotFound) {
		r, err := refuse(ErrNoOperation, "%q", id)
		return nil, r, err
	}
	return st, result{operation: st}, err
}

// putOperation replaces what is known of an operation.
func (tx *change) putOperation(namespace, id string, st *wire.OperationStatus) error {
	tx.showOperation(namespace, id, st)
	b, err := wire.EncodeRecord(st)
	if err != nil {
		return err
	}
	return tx.batch.Put(operationKey(namespace, id), b)
}
