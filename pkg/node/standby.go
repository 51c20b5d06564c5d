package node

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// holdOver is for how long beyond their instant runs are held if nobody says that
// it has come: then another leads.
const holdOver = 30 * time.Second

// tidyAhead is how long ahead of an instant that very many runs are held for garbage is
// collected: a collection that happens to begin with them takes as much of the node as
// thousands of them.
const tidyAhead = 2 * time.Second

// standby is runs that this node is going to conduct when their instant comes. The
// leader tells of them ahead, so that it has little to say then; see storms. A node
// that forgets them is told again.
type standby struct {
	m *masters

	mu       sync.Mutex
	groups   map[heldBy]*onHold // guarded by mu
	instants map[int64]*awaited // that those wait for; guarded by mu
	came     int64              // the one that runs began at last; guarded by mu
}

// heldBy names what is held: who told of it, and its number.
type heldBy struct {
	leader string
	number uint64
}

type onHold struct {
	runs    []*job.Run
	instant int64
	timer   *time.Timer
}

// awaited is what waits for an instant.
type awaited struct {
	runs int
	tidy *time.Timer // nil if they are few
}

func newStandby(m *masters) *standby {
	return &standby{m: m, groups: map[heldBy]*onHold{}, instants: map[int64]*awaited{}}
}

// take holds runs.
func (s *standby) take(leader string, w wire.Hold) error {
	if s.m.n.isStopping() || s.m.n.isDraining() {
		return ErrStopped
	}
	of := heldBy{leader, w.Number}
	s.drop(of) // if it is told twice
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[of] = &onHold{w.Runs, w.Instant, time.AfterFunc(max(w.For, 0)+holdOver, func() { s.drop(of) })}
	at := s.instants[w.Instant]
	if at == nil {
		at = new(awaited)
		s.instants[w.Instant] = at
	}
	if at.runs += len(w.Runs); at.runs >= manyDue && at.tidy == nil && w.For > tidyAhead {
		at.tidy = time.AfterFunc(w.For-tidyAhead, runtime.GC)
	}
	return nil
}

// begin conducts what is held, except for some.
func (s *standby) begin(leader string, b wire.BeginHeld) error {
	has := s.drop(heldBy{leader, b.Number})
	if has == nil {
		return fmt.Errorf("%w: nothing is held under that number", errNoMaster)
	}
	except := map[job.RunID]bool{}
	for _, id := range b.Except {
		except[id] = true
	}
	some := make([]*job.Run, 0, len(has.runs))
	for _, run := range has.runs {
		if !except[run.ID] {
			some = append(some, run)
		}
	}
	s.mu.Lock()
	s.came = has.instant
	s.mu.Unlock()
	return s.m.conductAll(some)
}

// coming returns how many more are held for the instant that has come last: they are
// about to begin.
func (s *standby) coming() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.instants[s.came]; at != nil {
		return at.runs
	}
	return 0
}

// drop holds runs no more, and returns what was held.
func (s *standby) drop(of heldBy) *onHold {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.groups[of]
	if has == nil {
		return nil
	}
	has.timer.Stop()
	delete(s.groups, of)
	at := s.instants[has.instant]
	if at.runs -= len(has.runs); at.runs == 0 {
		at.stop()
		delete(s.instants, has.instant)
	}
	return has
}

func (at *awaited) stop() {
	if at.tidy != nil {
		at.tidy.Stop()
	}
}

// stop holds nothing any more.
func (s *standby) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, has := range s.groups {
		has.timer.Stop()
	}
	for _, at := range s.instants {
		at.stop()
	}
	clear(s.groups)
	clear(s.instants)
}
