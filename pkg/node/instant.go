package node

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// beginAll has runs begin when their instant comes, while the node leads.
func (s *storms) beginAll() {
	s.c.l.whenDue(s.begin, "to begin what was recorded ahead", s.due, nil)
}

// begin has those runs begin whose instant has come, and returns how long none
// does.
func (s *storms) begin() (next time.Duration, err error) {
	l := s.c.l
	for {
		at, ok := l.state.NextAhead()
		if !ok {
			return time.Hour, nil
		}
		if wait := at.Sub(l.n.wall()); wait > 0 {
			return wait, nil
		}
		if err := s.beginAt(at); err != nil {
			return 0, err
		}
	}
}

// beginAt has those runs begin that were recorded ahead of an instant.
func (s *storms) beginAt(at time.Time) error {
	l := s.c.l
	begun, err := l.state.BeginAhead(l.ctx, at)
	for wait := 20 * time.Millisecond; is(err, state.ErrUncertain) && pause(l.ctx, wait); wait = min(2*wait, time.Second) {
		begun, err = l.state.BeginAhead(l.ctx, at)
	}
	if err != nil {
		return err
	}
	groups, others := s.take(at, begun)
	s.tellAll(groups)
	s.tellOthers(others)
	s.count(at, len(begun))
	return nil
}

// take returns what masters hold of an instant that has come, with the runs that
// begin, and the runs that begin and that none does.
func (s *storms) take(at time.Time, begun []job.RunID) (groups []*held, others []job.RunID) {
	var due []*storm // of instants before it there are some if all of their runs were withdrawn
	s.mu.Lock()
	s.came = at
	for instant, storm := range s.instants {
		if instant <= at.UnixNano() {
			delete(s.instants, instant)
			s.runs -= len(storm.of)
			due, groups = append(due, storm), append(groups, storm.groups...)
		}
	}
	s.mu.Unlock()
	for _, id := range begun {
		var h *held
		for i := 0; h == nil && i < len(due); i++ {
			h = due[i].of[id]
		}
		if h == nil {
			others = append(others, id)
			continue
		}
		h.begin = append(h.begin, id)
	}
	return groups, others
}

// withdrawn returns those of the runs that do not begin.
func (h *held) withdrawn() (all []job.RunID) {
	if len(h.begin) == len(h.runs) {
		return nil
	}
	begin := map[job.RunID]bool{}
	for _, id := range h.begin {
		begin[id] = true
	}
	return slices.DeleteFunc(slices.Clone(h.runs), func(id job.RunID) bool { return begin[id] })
}

// tellAll has masters begin what they hold, in the order in which they were told of
// it.
func (s *storms) tellAll(groups []*held) {
	of := map[string][]*held{}
	for _, h := range groups {
		of[h.master] = append(of[h.master], h)
	}
	for _, groups := range of {
		s.c.l.wg.Go(func() {
			for _, h := range groups {
				gone := h.withdrawn()
				s.note(h, gone)
				if !s.tell(h, gone) {
					s.tellOthers(h.begin)
				}
			}
		})
	}
}

// note remembers who conducts the runs that begin. Of those that were withdrawn
// another may have been made meanwhile, which was taken for one that has begun.
func (s *storms) note(h *held, gone []job.RunID) {
	l := s.c.l
	waits := map[job.RunID]bool{}
	for _, id := range gone {
		waits[id] = true
	}
	s.c.release(waits)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range h.begin {
		if _, ok := l.runs.Get(id); ok { // and has not ended meanwhile
			l.masterLocked(id, h.master)
		}
	}
}

// tell has a master begin what it holds, or forget what was withdrawn. It reports
// false if the master does not hold what begins, or not any more.
func (s *storms) tell(h *held, gone []job.RunID) bool {
	l := s.c.l
	s.mu.Lock()
	told := h.told
	s.mu.Unlock()
	if !told {
		return len(h.begin) == 0
	}
	ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
	defer cancel()
	_, err := call[wire.Nothing](ctx, l.n, h.master, wire.MethodBegin, wire.BeginHeld{Number: h.number, Except: gone})
	if err != nil {
		l.n.log.Warn("a master did not begin what it holds, and is told again", slog.Int("runs", len(h.begin)), telemetry.Member(l.n.nameOf(h.master)), telemetry.Err(err))
		return false
	}
	l.dismissEnded(h.begin)
	return true
}

// tellOthers has masters begin runs that they do not hold.
func (s *storms) tellOthers(ids []job.RunID) {
	l := s.c.l
	runs := make([]*job.Run, 0, len(ids))
	for _, id := range ids {
		run, err := l.state.Run(id)
		switch {
		case err == nil && run.State == job.Running:
			l.begun(&run)
			runs = append(runs, &run)
		case err == nil, is(err, state.ErrNoRun): // it has ended meanwhile
		default:
			l.n.log.Error("a run that has begun can't be read", telemetry.Run(id), telemetry.Err(err))
		}
	}
	l.teller.pass(runs)
}

// count counts fires that have become runs.
func (s *storms) count(at time.Time, runs int) {
	m, late := s.c.l.n.metrics, s.c.l.n.wall().Sub(at)
	for range runs {
		m.Late(s.c.l.ctx, late)
	}
	m.Settled(s.c.l.ctx, runs, "run")
}
