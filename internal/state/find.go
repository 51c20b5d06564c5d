package state

import (
	"cmp"
	"iter"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxLooked bounds how many runs one page looks at, so that no question takes
// long, however few runs are those that are asked for.
const (
	maxLooked    = 20_000
	readsPerLook = 9 // what a run's record costs, in looks
)

// Find returns the runs that q asks for, a page of them. What a run is created
// with is read only of those; the others cost a look at their status.
func (s *State) Find(q job.RunQuery) (page job.RunPage, err error) {
	limit := min(cmp.Or(max(q.Limit, 0), 100), job.MaxRunPage)
	v, err := s.view()
	if err != nil {
		return page, err
	}
	defer v.Close()
	looked, last := 0, job.RunID("")
	for p, err := range statuses(v, &q) {
		if err != nil {
			return page, err
		}
		if len(page.Runs) == limit || looked >= maxLooked {
			page.Next = last // there is at least this one more
			return page, nil
		}
		looked++
		last = runOf(p.Key, 0)
		st := new(wire.RunStatus)
		if err := wire.DecodeRecord(p.Value, st); err != nil {
			return page, err
		}
		if st.Staged || !q.Wants(st.State, time.Unix(0, st.Created)) {
			continue
		}
		run, err := readRun(v, last, st)
		if err != nil {
			return page, err
		}
		if q.Key != "" && q.Key != run.Key { // of a run that has ended the status has it no more
			looked += readsPerLook
			continue
		}
		page.Runs = append(page.Runs, run)
	}
	return page, nil
}

// statuses yields the records of the runs that q may mean, in its order.
func statuses(v *store.Snapshot, q *job.RunQuery) iter.Seq2[store.Pair, error] {
	prefix := []byte{'h'}
	if q.Namespace != "" {
		prefix = append(prefix, q.Namespace+"/"...)
	}
	if q.Job != "" {
		prefix = append(prefix, q.Job+"@"...)
	}
	switch {
	case q.Backward && q.After != "":
		return v.ScanBack(prefix, statusKey(q.After))
	case q.Backward:
		return v.ScanBack(prefix, nil)
	case q.After != "":
		return v.ScanFrom(prefix, append(statusKey(q.After), 0))
	}
	return v.Scan(prefix)
}
