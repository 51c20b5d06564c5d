package state

import (
	"cmp"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

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
	o.Reached, o.Pass, o.Steps = st.Reached, int(st.Pass), int(st.Step)
	return o, nil
}
