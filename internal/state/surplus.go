package state

import (
	"sync"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// soon is the age below which runs are to be forgotten as soon as others of their
// job end. What is kept for longer is looked at now and then.
const soon = time.Hour

// maxSurplus bounds how many jobs are remembered that have too many runs.
const maxSurplus = 100_000

// surplus is the jobs that have more runs that have ended than they are to keep:
// of most that is known to be untrue when a run ends, so nobody has to look.
type surplus struct {
	mu   sync.Mutex
	jobs map[jobName]bool // guarded by mu
}

// mayForget reports whether runs of a job are to be forgotten now that one has
// ended as st says, which is the last of n.
func mayForget(st *wire.RunStatus, n uint64) bool {
	keep := job.Retention{Age: st.KeepFor, Runs: st.KeepRuns}.WithDefaults()
	return !st.Keeps || keep.Runs >= 0 && n > uint64(keep.Runs) || keep.Age >= 0 && keep.Age < soon
}

func (s *surplus) add(jobs []jobName) {
	if len(jobs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs == nil || len(s.jobs) >= maxSurplus {
		s.jobs = map[jobName]bool{}
	}
	for _, j := range jobs {
		s.jobs[j] = true
	}
}

// Surplus returns the jobs of which runs have ended since it was called last and
// that may have some to be forgotten because of that, by what the last to end is to
// be kept for: too many, or some to be kept for a short time, and how many have
// ended. Others have, too, because time went by, or if too many for that came
// between two calls.
func (s *State) Surplus() ([]JobCount, error) {
	s.fsm.surplus.mu.Lock()
	jobs := s.fsm.surplus.jobs
	s.fsm.surplus.jobs = nil
	s.fsm.surplus.mu.Unlock()
	all := make([]JobCount, 0, len(jobs))
	for j := range jobs {
		n, err := s.FinishedRuns(j.namespace, j.name)
		if err != nil {
			return nil, err
		}
		all = append(all, JobCount{j.namespace, j.name, n})
	}
	return all, nil
}
