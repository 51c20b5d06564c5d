package state

import (
	"cmp"
	"iter"
	"slices"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxLooked bounds how many runs one page looks at, so that no question takes
// long, however few runs are those that are asked for.
const (
	maxLooked      = 20_000
	looksPerStatus = 2 // what the status of a run costs that is listed elsewhere, in looks
	readsPerLook   = 9 // what a run's record costs, in looks
)

// Find returns the runs that q asks for, a page of them. What a run is created
// with is read only of those; the others cost a look at their status, or only at
// where they are listed.
func (s *State) Find(q job.RunQuery) (page job.RunPage, err error) {
	limit := min(cmp.Or(max(q.Limit, 0), 100), job.MaxRunPage)
	v, err := s.view()
	if err != nil {
		return page, err
	}
	defer v.Close()
	runs, place, err := inOrder(v, &q)
	if err != nil {
		return page, err
	}
	looked, last := 0, listedRun{}
	for at, err := range runs {
		if err != nil {
			return page, err
		}
		if len(page.Runs) == limit || looked >= maxLooked {
			page.Next = place(&last) // there is at least this one more
			return page, nil
		}
		looked++
		last = at
		if !q.WantsTime(timeOf(at.created)) || q.Job != "" && q.Job != at.id.Job() {
			continue
		}
		st := at.status
		if st == nil {
			looked += looksPerStatus
			if st, err = listedStatus(v, at.id); err != nil {
				return page, err
			}
		}
		if !isRun(st) || !q.WantsState(st.State) || !hasAll(st.Tags, q.Tags) {
			continue
		}
		run, err := at.read(v, st)
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

// inOrder yields the runs that q may mean, in its order, and tells how the
// place of one of them is written.
func inOrder(v *store.Snapshot, q *job.RunQuery) (runs iter.Seq2[listedRun, error], place func(*listedRun) string, err error) {
	if q.Order == job.RunsByCreation && (q.Job == "" || len(q.Tags) > 0) {
		runs, err = listed(v, q)
		return runs, (*listedRun).place, err
	}
	return statuses(v, q), func(s *listedRun) string { return string(s.id) }, nil
}

// statuses yields the runs that q may mean in the order of their IDs, and what
// is staged too, with their statuses.
func statuses(v *store.Snapshot, q *job.RunQuery) iter.Seq2[listedRun, error] {
	return func(yield func(listedRun, error) bool) {
		within, err := lotBefore(v, job.RunID(q.After))
		if err != nil {
			yield(listedRun{}, err)
			return
		}
		for p, err := range statusRecords(v, q, within) {
			at := listedRun{status: new(wire.RunStatus)}
			if err == nil {
				at.id = runOf(p.Key, 0)
				err = wire.DecodeRecord(p.Value, at.status)
				at.created = at.status.Created
			}
			if err == nil {
				at.status, err = asSeen(v, at.status)
			}
			switch {
			case err == nil && at.status.InLot:
				continue // it is listed with its lot
			case err == nil && isLot(at.status):
				o := &openLot{g: v, id: at.id, status: at.status}
				for at, err := range o.runs(q.Backward) {
					if err == nil && within != nil && within.id == o.id && (at.id == job.RunID(q.After) || at.id < job.RunID(q.After) != q.Backward) {
						continue
					}
					if !yield(at, err) || err != nil {
						return
					}
				}
				continue
			}
			if !yield(at, err) || err != nil {
				return
			}
		}
	}
}

// statusRecords yields the records of statuses behind q.After, from the lot on
// that the run of that ID is listed with, if it is.
func statusRecords(v *store.Snapshot, q *job.RunQuery, within *openLot) iter.Seq2[store.Pair, error] {
	prefix := []byte{'h'}
	if q.Namespace != "" {
		prefix = append(prefix, q.Namespace+"/"...)
	}
	if q.Job != "" {
		prefix = append(prefix, q.Job+"@"...)
	}
	after := job.RunID(q.After)
	switch {
	case within != nil && q.Backward:
		return v.ScanBack(prefix, append(statusKey(within.id), 0))
	case within != nil:
		return v.ScanFrom(prefix, statusKey(within.id))
	case q.Backward && after != "":
		return v.ScanBack(prefix, statusKey(after))
	case q.Backward:
		return v.ScanBack(prefix, nil)
	case after != "":
		return v.ScanFrom(prefix, append(statusKey(after), 0))
	}
	return v.Scan(prefix)
}

// hasAll reports whether a run with these tags has all that are wanted.
func hasAll(tags, wanted []string) bool {
	for _, tag := range wanted {
		if !slices.Contains(tags, tag) {
			return false
		}
	}
	return true
}
