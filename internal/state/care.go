package state

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

const (
	// careEvery is how often a server looks whether it is fit to lead.
	careEvery = time.Second
	// sweepEvery is how long what is staged for a run may stay as it is before
	// nobody is taken to be coming for it.
	sweepEvery = 15 * time.Minute
)

// care sees to it, until the state closes, that a server leads only while it
// can record something: one whose disk is full, or that can't carry out the
// log, hands leadership to one that is better off, if there is any.
func (s *State) care() {
	tick := time.NewTicker(careEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
		}
		if s.space.Room(ballastBytes, s.floor()) == nil {
			if err := s.stable.ballast.take(); err != nil {
				s.log.Debug("no room can be kept", telemetry.Err(err))
			}
		}
		if r, _ := s.throne.now(); r != nil && !s.alone() && (s.isFull() || s.fsm.failure() != nil) {
			s.begin(func() { s.yield(r) })
		}
	}
}

// yield hands leadership to a voter that has room.
func (s *State) yield(r *reign) {
	var voters []string
	for _, v := range s.Servers() {
		if v.Voter && v.ID != string(s.id) {
			voters = append(voters, v.ID)
		}
	}
	statuses := s.statuses(r.ctx, voters)
	err := s.transfer(r.ctx, func(id string) bool { return statuses[id] != nil && statuses[id].Roomy })
	if err != nil && !errors.Is(err, ErrNotLeader) {
		s.log.Debug("no other server can lead better", telemetry.Err(err))
	}
}

// sweep removes, as long as r lasts, what was staged and does not become more:
// nobody comes for it. A lone voter need not wait for that when it begins.
func (s *State) sweep(r *reign) {
	var seen map[job.RunID]uint64
	for {
		var err error
		if seen, err = s.tidy(r.ctx, func(id job.RunID, n uint64) bool { before, ok := seen[id]; return ok && before == n }); err != nil && r.ctx.Err() == nil {
			s.log.Warn("what was staged for runs that were not created can't be removed", telemetry.Err(err))
		}
		if err := s.name(r); err != nil && r.ctx.Err() == nil {
			s.log.Warn("the cluster could not be given an ID", telemetry.Err(err))
		}
		select {
		case <-time.After(sweepEvery):
		case <-r.ctx.Done():
			return
		}
	}
}

// tidy removes what was staged for runs that were not created, of those that
// are lost by how many entries they have, and returns how many the others have.
func (s *State) tidy(ctx context.Context, lost func(id job.RunID, entries uint64) bool) (map[job.RunID]uint64, error) {
	left := map[job.RunID]uint64{}
	for p, err := range s.kv.Scan([]byte("g")) {
		if err != nil {
			return left, err
		}
		id := runOf(p.Key, 0)
		st, err := readStatus(s.kv, id)
		if err != nil {
			return left, err
		}
		if st != nil {
			left[id] = st.Next
		}
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		if !lost(id, left[id]) {
			continue
		}
		if err := s.Discard(ctx, id); errors.Is(err, ErrFull) || errors.Is(err, ErrExists) {
			continue // there is no room for that now, or it came after all
		} else if err != nil {
			return left, err
		}
		delete(left, id)
		s.log.Debug("input of a run that was not created removed", telemetry.Run(id))
	}
	return left, nil
}
