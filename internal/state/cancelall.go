package state

import (
	"cmp"
	"context"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Canceled is what became of a run that was to end early.
type Canceled struct {
	// Run is the run as it is then, and Asked says that it goes on until its
	// master ends it. Over says that it had ended by itself before.
	Run   job.Run
	Asked bool
	Over  bool
	Err   error
}

// CancelAll has runs end early, each a matter of its own. Those that wait end at
// once, before the others, and so do all if they are to end now: that is Kill. Of
// the others it is recorded that somebody asked for it: that is Cancel. It may be
// repeated.
func (s *State) CancelAll(ctx context.Context, ids []job.RunID, reason string, now bool) []Canceled {
	all, reason := make([]Canceled, len(ids)), cut(cmp.Or(reason, "canceled"), maxReason)
	var ends, begun []int // those that are not over
	for i, st := range s.standing(ids, all) {
		switch {
		case all[i].Err != nil:
		case st.State.Done():
			all[i].Over = true
		case st.State == job.Pending:
			ends = append(ends, i)
		default:
			begun, all[i].Asked = append(begun, i), !now
		}
	}
	ends = append(ends, begun...) // whose places are free then
	at := s.now().UnixNano()
	s.groups(ctx, len(ends), func(i int) ([]wire.Command, error) {
		i = ends[i]
		if all[i].Asked {
			return []wire.Command{&wire.CancelRun{Run: ids[i], Reason: reason, At: at}}, nil
		}
		return []wire.Command{&wire.KillRun{Run: ids[i], Reason: reason, At: at}}, nil
	}, func(i int, results []result, err error) {
		i = ends[i]
		if all[i].Err = err; err != nil {
			return
		}
		st := results[0].status
		all[i].Run, all[i].Err = s.present(ids[i], st)
		if st.State.Done() && (all[i].Asked || !st.Killed || st.Finished != at) { // since it was looked at
			all[i].Asked, all[i].Over = false, true
		}
	})
	return all
}

// standing returns the statuses of runs, and says of those that are not there
// that they are not.
func (s *State) standing(ids []job.RunID, all []Canceled) []*wire.RunStatus {
	sts := make([]*wire.RunStatus, len(ids))
	v, err := s.view()
	if err == nil {
		defer v.Close()
	}
	for i, id := range ids {
		switch {
		case err != nil:
			all[i].Err = err
		case checkName("run", string(id)) != nil:
			all[i].Err = fmt.Errorf("%w: %.200q", ErrNoRun, id)
		default:
			sts[i], all[i].Err = createdStatus(v, id)
		}
	}
	return sts
}
