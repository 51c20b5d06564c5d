package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// holdOver is for how long beyond their instant runs are held if nobody says that
// it has come: then another leads.
const holdOver = 30 * time.Second

// standby is runs that this node is going to conduct when their instant comes. The
// leader tells of them ahead, so that it has little to say then; see storms. A node
// that forgets them is told again.
type standby struct {
	m *masters

	mu   sync.Mutex
	runs map[heldBy]*onHold // guarded by mu
}

// heldBy names what is held: who told of it, and its number.
type heldBy struct {
	leader string
	number uint64
}

type onHold struct {
	runs  []*job.Run
	timer *time.Timer
}

func newStandby(m *masters) *standby { return &standby{m: m, runs: map[heldBy]*onHold{}} }

// take holds runs.
func (s *standby) take(leader string, w wire.Hold) error {
	if s.m.n.isStopping() || s.m.n.isDraining() {
		return ErrStopped
	}
	of := heldBy{leader, w.Number}
	s.drop(of) // if it is told twice
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[of] = &onHold{w.Runs, time.AfterFunc(max(w.For, 0)+holdOver, func() { s.drop(of) })}
	return nil
}

// begin conducts what is held, except for some.
func (s *standby) begin(leader string, b wire.BeginHeld) error {
	runs := s.drop(heldBy{leader, b.Number})
	if runs == nil {
		return fmt.Errorf("%w: nothing is held under that number", errNoMaster)
	}
	except := map[job.RunID]bool{}
	for _, id := range b.Except {
		except[id] = true
	}
	some := make([]*job.Run, 0, len(runs))
	for _, run := range runs {
		if !except[run.ID] {
			some = append(some, run)
		}
	}
	return s.m.conductAll(some)
}

// drop holds runs no more, and returns them.
func (s *standby) drop(of heldBy) []*job.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.runs[of]
	if has == nil {
		return nil
	}
	has.timer.Stop()
	delete(s.runs, of)
	return has.runs
}

// stop holds nothing any more.
func (s *standby) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, has := range s.runs {
		has.timer.Stop()
	}
	clear(s.runs)
}
