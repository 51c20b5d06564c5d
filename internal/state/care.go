package state

import (
	"context"
	"errors"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
)

// careEvery is how often a server looks whether it is fit to lead.
const careEvery = time.Second

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
		r, _ := s.throne.now()
		switch {
		case r == nil:
		case !s.alone() && (s.isFull() || s.fsm.failure() != nil):
			s.begin(func() { s.yield(r) })
		case r.isReady() && s.fsm.cluster.Load() == nil: // there was no room for its ID
			s.begin(func() {
				if err := s.name(r); err != nil {
					s.log.Debug("the cluster has no ID yet", telemetry.Err(err))
				}
			})
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
	err := s.transfer(r.ctx, r, func(id string) bool { return statuses[id] != nil && statuses[id].Roomy })
	if err != nil && !errors.Is(err, ErrNotLeader) {
		s.log.Debug("no other server can lead better", telemetry.Err(err))
	}
}

// tidy removes what was staged for runs that were not created.
func (s *State) tidy(ctx context.Context) error {
	for from := []byte(nil); ; {
		page, err := s.page([]byte("g"), from)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, key := range page {
			id := runOf(key, 0)
			if err := s.Discard(ctx, id); errors.Is(err, ErrFull) {
				return nil // they wait for the next time
			} else if err != nil {
				return err
			}
			s.log.Debug("input of a run that was not created removed", telemetry.Run(id))
		}
		from = append(page[len(page)-1], 0)
	}
}
