package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

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
