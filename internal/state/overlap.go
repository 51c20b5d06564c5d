package state

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// The record of a job names its runs that are not over, so there is a bound to
// them whatever its OverlapLimit says, and to how many of them make way for
// one: those beyond it do for the next.
const (
	maxActive      = 1000
	defaultLimit   = 100 // of a schedule without an OverlapLimit
	maxActiveBytes = 64 << 10
	maxEnds        = 64
)

// activeSize is about what those runs take in the record.
func activeSize(js *wire.JobStatus) int {
	n := 0
	for _, id := range js.Active {
		n += len(id) + 3
	}
	return n + 9*len(js.Keys)
}

// endsSize is an upper bound of what it takes to end runs for others.
func (tx *change) endsSize(js *wire.JobStatus, j jobName) int {
	if js == nil {
		return 0
	}
	heard := tx.letters(&wire.RunStatus{Namespace: j.namespace, Job: j.name})
	return min(len(js.Active), tx.ends(j)) * (indexRecords*(maxName+len(j.namespace)+len(j.name)+perRecord) + 2*maxWhat + heard)
}

// ends is how many runs of a job may make way for one: the fewer, the more
// jobs hear of that.
func (tx *change) ends(j jobName) int {
	return maxEnds / (1 + len(tx.listeners(topic{j.namespace, job.TopicUpstream(j.name)}))/16)
}

// fireRun makes a run of a fire, if the policy for overlap lets it. At most so
// many as ends says make way for it.
func (tx *change) fireRun(js *wire.JobStatus, run *wire.CreateRun, at int64, fired *Fired, ends *int) error {
	skip := func(cause string) error {
		due := timeOf(run.Due)
		js.Skip(job.Skipped{Cause: cause, From: due, To: due, Count: 1, At: timeOf(at)}, maxRecent)
		fired.Overlapped++
		return nil
	}
	if st, err := tx.status(run.Run); err != nil || st != nil && !st.Staged {
		return err // it was made before: by the part of a settlement that a leader got to
	}
	limit, rivals := min(cmp.Or(js.Limit, defaultLimit), maxActive), js.Rivals(run.Overlap)
	switch js.Overlap {
	case job.OverlapAllow:
		if len(rivals) >= limit {
			return skip(job.CauseOverlap)
		}
	case job.OverlapQueueAll:
		if waiting, err := tx.pendingOf(rivals); err != nil || len(waiting) >= limit {
			return errors.Join(err, skip(job.CauseBuffer))
		}
	case job.OverlapQueueOne:
		waiting, err := tx.pendingOf(rivals)
		if err != nil {
			return err
		}
		for _, id := range waiting[:min(len(waiting), *ends)] {
			*ends--
			if err := tx.supersede(id, run.Run, at); err != nil {
				return err
			}
			if err := skip(job.CauseOverlap); err != nil {
				return err
			}
		}
	case job.OverlapCancelOld:
		for _, id := range rivals[:min(len(rivals), *ends)] {
			*ends--
			r, err := tx.cancel(&wire.CancelRun{Run: id, Reason: fmt.Sprintf("run %s is due", run.Run), At: at})
			if err != nil {
				return err
			}
			if r.status != nil && r.status.State == job.Pending {
				if err := tx.supersede(id, run.Run, at); err != nil {
					return err
				}
				continue
			}
			fired.Canceled = append(fired.Canceled, id)
		}
	case job.OverlapKillOld:
		for _, id := range rivals[:min(len(rivals), *ends)] {
			*ends--
			if err := tx.supersede(id, run.Run, at); err != nil {
				return err
			}
			fired.Killed = append(fired.Killed, id)
		}
	default:
		if len(rivals) > 0 {
			return skip(job.CauseOverlap)
		}
	}
	if activeSize(js)+len(run.Run) > maxActiveBytes || len(js.Active) >= maxActive {
		return skip(job.CauseBuffer)
	}
	r, err := tx.create(run)
	if err != nil {
		return err
	}
	if r.err != nil || r.run != run.Run { // or another has its key
		return skip(job.CauseBuffer)
	}
	if r.status.Master != "" {
		fired.begun = append(fired.begun, begunRun{run.Run, r.status})
	}
	js.Begun(run.Run, run.Overlap)
	js.Last = run.Run
	js.Runs++
	*ends++ // what it takes to end this one was counted with it
	return nil
}

// pendingOf returns those of runs that have not begun.
func (tx *change) pendingOf(runs []job.RunID) (ids []job.RunID, err error) {
	for _, id := range runs {
		st, err := tx.status(id)
		if err != nil {
			return nil, err
		}
		if st != nil && st.State == job.Pending {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// supersede ends a run in favour of another.
func (tx *change) supersede(id, by job.RunID, at int64) error {
	_, err := tx.kill(&wire.KillRun{Run: id, Reason: fmt.Sprintf("run %s took its place", by), At: at})
	return err
}
