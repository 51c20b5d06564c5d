package state

import (
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Meant returns the runs that a bulk operation means by its filter, as they are
// now, in the order of their IDs: at most limit, behind after, and behind which
// it goes on, or "". Those that were created after the operation are never
// among them, whatever the clocks said. An empty operation is one that would
// begin now.
func (s *State) Meant(b *job.Bulk, operation string, after job.RunID, limit int) (ids []job.RunID, next job.RunID, err error) {
	v, err := s.view()
	if err != nil {
		return nil, "", err
	}
	defer v.Close()
	born := ^uint64(0)
	if operation != "" {
		o, err := readOperation(v, b.Namespace, operation)
		if err != nil {
			return nil, "", missing(err)
		}
		born = o.Born
	}
	q := job.RunQuery{
		Namespace: b.Namespace, Job: b.Job, States: b.States, Key: b.Key, Tags: b.Tags, From: b.From, Until: b.Until, After: string(after),
	}
	looked := 0
	for at, err := range statuses(v, &q) {
		if err != nil {
			return nil, "", err
		}
		if len(ids) == limit || looked >= maxLooked {
			return ids, after, nil // there is at least this one more
		}
		looked++
		after = at.id
		st := at.status
		if !isRun(st) || st.Born > born || !q.WantsTime(timeOf(at.created)) || !q.WantsState(st.State) || !hasAll(st.Tags, q.Tags) {
			continue
		}
		if b.Verb.Retries() {
			again, err := hasNext(v, after, st)
			if err != nil {
				return nil, "", err
			}
			if again {
				continue
			}
		}
		if b.Key != "" {
			run, err := at.read(v, st)
			if err != nil {
				return nil, "", err
			}
			looked += readsPerLook
			if run.Key != b.Key {
				continue
			}
		}
		ids = append(ids, after)
	}
	return ids, "", nil
}

// hasNext reports whether a run was tried again.
func hasNext(v *store.Snapshot, id job.RunID, st *wire.RunStatus) (bool, error) {
	first := id
	if st.Of != "" {
		first = st.Of
	}
	next, err := readStatus(v, job.Again(first, max(st.Attempt, 1)+1))
	return next != nil && !next.Staged, err
}
