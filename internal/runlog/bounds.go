package runlog

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// What is written is bounded for a run and in all: what was first goes first.

// popLocked gives up the oldest batch of a run.
func (s *Store) popLocked(id job.RunID, r *runLines) {
	first := r.refs[0]
	r.refs = r.refs[1:]
	r.gone++
	r.bytes -= int64(first.size)
	r.lost = lost{id, r.lost.lines + uint64(first.lines), max(r.lost.until, first.last)}
	s.refs--
	if g := s.segmentLocked(first.seg); g != nil {
		g.live -= int64(first.size)
	}
}

// maxBare bounds the runs of which only that they have lost all of their lines is
// known.
const maxBare = 10_000

// makeRoom gives up the oldest lines while there are too many. It is called by
// whoever has the turn.
func (s *Store) makeRoom() error {
	for {
		s.mu.Lock()
		if (s.total <= s.cfg.Total && s.refs <= maxRefs) || len(s.segs) < 2 {
			s.mu.Unlock()
			return s.clear()
		}
		oldest := s.segs[0]
		var notes [][]byte
		bare := 0
		for id, r := range s.runs {
			had := r.noted == oldest.n && r.lost.lines > 0
			for len(r.refs) > 0 && r.refs[0].seg == oldest.n {
				s.popLocked(id, r)
				had = true
			}
			if len(r.refs) == 0 {
				bare++
			}
			switch {
			case len(r.refs) == 0 && bare > maxBare:
				delete(s.runs, id)
			case had:
				notes = append(notes, appendLost(nil, r.lost))
			}
		}
		oldest.live = 0
		s.mu.Unlock()
		if err := s.write(notes); err != nil {
			return err
		}
		if err := s.clear(); err != nil {
			return err
		}
	}
}

// clear removes the segments in which nothing is left. It is called by whoever
// has the turn.
func (s *Store) clear() error {
	s.mu.Lock()
	noted := map[uint32]bool{}
	empty := slices.ContainsFunc(s.segs, func(g *segment) bool { return g.live == 0 })
	if empty {
		for _, r := range s.runs {
			if r.lost.lines > 0 {
				noted[r.noted] = true
			}
		}
	}
	var gone []*segment
	for i, g := range s.segs {
		if g.live == 0 && !noted[g.n] && (!g.writes() || i < len(s.segs)-1) {
			gone = append(gone, g)
			s.total -= g.size
		}
	}
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return slices.Contains(gone, g) })
	s.mu.Unlock()
	var err error
	for _, g := range gone {
		err = errors.Join(err, g.file.Close(), os.Remove(g.path))
	}
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	return nil
}

// Runs returns the runs that there are lines of, but for those that a line came
// of within the last while.
func (s *Store) Runs(quiet time.Duration) []job.RunID {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(-quiet).UnixNano()
	var ids []job.RunID
	for id, r := range s.runs {
		if r.heard <= until {
			ids = append(ids, id)
		}
	}
	return ids
}

// Forget gives up the lines of runs.
func (s *Store) Forget(ids ...job.RunID) error {
	if len(ids) == 0 {
		return nil
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	for _, id := range ids {
		if r := s.runs[id]; r != nil {
			for len(r.refs) > 0 {
				s.popLocked(id, r)
			}
			delete(s.runs, id)
		}
	}
	s.mu.Unlock()
	return s.clear()
}
