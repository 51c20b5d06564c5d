package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
)

// Candidate is a server that is alive, as far as the pool knows, and may hold
// the state.
type Candidate struct {
	ID string
}

const (
	// statusWait is how long a server may take to say how it stands.
	statusWait = 2 * time.Second
	// answersWithin is how long ago a server answered that counts as there.
	answersWithin = 4 * heartbeat
	// nearly is by how many entries a log may be shorter than the leader's and
	// count as the same: that is what comes while the leader looks.
	nearly = 256
)

// tender is what a leader remembers of servers from one look to the next.
type tender struct {
	turn chan struct{} // holds a value while somebody changes the servers

	// The others are whose that is.
	reign     *reign
	seen      map[string]sighting
	versions  map[string]int  // of commands, by what each said last
	strangers map[string]bool // what was said of servers of other clusters
}

// sighting is since when a server has been alive, or missing.
type sighting struct {
	alive bool
	since time.Time
}

func newTender() *tender {
	return &tender{turn: make(chan struct{}, 1), strangers: map[string]bool{}}
}

// hold waits for the turn to change the servers; release ends it.
func (t *tender) hold(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("state: another change of the servers is under way: %w", context.Cause(ctx))
	}
}

func (t *tender) release() { <-t.turn }

// see notes that a server is alive or not and returns for how long. A new
// leader has seen nobody before.
func (t *tender) see(r *reign, id string, alive bool, now time.Time) time.Duration {
	if t.reign != r {
		t.reign, t.seen, t.versions = r, map[string]sighting{}, map[string]int{}
	}
	was, known := t.seen[id]
	if !known || was.alive != alive {
		was = sighting{alive, now}
		t.seen[id] = was
	}
	return now.Sub(was.since)
}

// Tend brings the servers of the cluster one safe change nearer to so many
// voters, and says what it changed. Alive are all servers that are: those that
// have no part yet get the state, then, when they are stable, a vote; a voter
// that is missing keeps its own until it has been for long, see Config. It is
// for the leader, every few seconds. A server of another cluster is never
// added; that it is one is an error, once. Neither is one that is older than all
// that are there, since it might not understand what they have decided.
func (s *State) Tend(ctx context.Context, alive []Candidate, voters int) (changed string, err error) {
	r, err := s.ruling()
	if err != nil {
		return "", err
	}
	if err := s.tender.hold(ctx); err != nil {
		return "", err
	}
	defer s.tender.release()
	seats, others, refusal := s.look(ctx, r, alive)
	rules := s.rules
	rules.voters = voters
	next := rules.next(seats, others)
	if next.move == moveNothing || r.ctx.Err() != nil {
		return "", refusal
	}
	if err := s.carryOut(ctx, next); err != nil {
		return "", errors.Join(fmt.Errorf("state: server %q: %w", next.id, err), refusal)
	}
	return fmt.Sprintf("server %q %s: %s", next.id, done[next.move], next.why), refusal
}

var done = map[move]string{
	moveAdd: "was added", movePromote: "has got a vote", moveDemote: "has lost its vote", moveRemove: "was removed",
}

// ruling returns the reign there is if it is ready.
func (s *State) ruling() (*reign, error) {
	r, err := s.leading()
	if err == nil && !r.isReady() {
		err = fmt.Errorf("%w: it has been elected and catches up with the log", ErrUnavailable)
	}
	return r, err
}

// look returns how the servers stand, and who else could be one.
func (s *State) look(ctx context.Context, r *reign, alive []Candidate) (seats []seat, others []string, err error) {
	servers := s.configuration()
	last := s.raft.LastIndex()
	var ask []string
	for _, c := range alive {
		if c.ID != string(s.id) {
			ask = append(ask, c.ID)
		}
	}
	for _, v := range servers {
		if v.ID != s.id {
			ask = append(ask, string(v.ID))
		}
	}
	slices.Sort(ask)
	statuses := s.statuses(ctx, slices.Compact(ask))
	now := s.now()
	inList := func(id string) bool { return slices.ContainsFunc(alive, func(c Candidate) bool { return c.ID == id }) }
	for _, v := range servers {
		id := string(v.ID)
		p := seat{id: id, voter: v.Suffrage == raft.Voter, self: v.ID == s.id}
		st := statuses[id]
		heard, _ := s.link.lastHeard(id)
		p.answers = p.self || !heard.IsZero() && now.Sub(heard) <= answersWithin
		p.alive = p.answers || inList(id)
		p.since = s.tender.see(r, id, p.alive, now)
		p.current = p.self || st != nil && !st.Stuck && st.Applied+nearly >= last
		p.full = st != nil && st.Full
		seats = append(seats, p)
		if st != nil {
			s.tender.versions[id] = st.Commands
		}
	}
	r.version.Store(int32(leastVersion(servers, s.id, s.tender.versions)))
	if haveSaid(servers, s.id, s.tender.versions) {
		r.haveSaid()
	}
	s.agreeOn(ctx, r)
	var errs []error
	for _, c := range alive {
		st := statuses[c.ID]
		if st == nil || slices.ContainsFunc(servers, func(v raft.Server) bool { return string(v.ID) == c.ID }) {
			continue
		}
		if err := s.identity.check(c.ID, st.Cluster, st.Founders); err != nil {
			if said := c.ID + " " + st.Cluster; !s.tender.strangers[said] {
				s.tender.strangers[said] = true
				errs = append(errs, err)
			}
			continue
		}
		if old := max(st.Commands, firstVersion) < s.least(r); !st.Full && !old {
			others = append(others, c.ID)
		}
	}
	return seats, others, errors.Join(errs...)
}

// statuses asks servers how they stand. Those that do not say are left out.
func (s *State) statuses(ctx context.Context, ids []string) map[string]*wire.ServerStatus {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]*wire.ServerStatus{}
	for _, id := range ids {
		wg.Go(func() {
			st, err := s.link.status(ctx, id)
			if err != nil {
				s.log.Debug("a server does not say how it stands", telemetry.Member(id), telemetry.Err(err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all[id] = st
		})
	}
	wg.Wait()
	return all
}

func (l *link) status(ctx context.Context, id string) (*wire.ServerStatus, error) {
	if l.trans == nil {
		return nil, errAlone
	}
	b, err := l.trans.Call(transport.Ahead(ctx), id, wire.MethodServer, nil)
	if err != nil {
		return nil, err
	}
	st := new(wire.ServerStatus)
	return st, wire.DecodeRecord(b, st)
}

// carryOut makes one change of the servers. It is there when the voters have
// decided it.
func (s *State) carryOut(ctx context.Context, next step) error {
	id, addr := raft.ServerID(next.id), raft.ServerAddress(next.id)
	err := s.ask(ctx, func() raft.Future {
		switch next.move {
		case moveAdd:
			return s.raft.AddNonvoter(id, addr, 0, statusWait)
		case movePromote:
			return s.raft.AddVoter(id, addr, 0, statusWait)
		case moveDemote:
			return s.raft.DemoteVoter(id, 0, statusWait)
		}
		return s.raft.RemoveServer(id, 0, statusWait)
	})
	if err == nil {
		s.log.Info("the servers of the state changed", telemetry.Member(next.id), slog.String("change", done[next.move]), slog.String("why", next.why))
	}
	return err
}

// Remove takes a server out of the cluster for good. ErrNoQuorum says that the
// others would not be a majority that answers. The leader does not remove
// itself: it hands over leadership and returns ErrNotLeader, and the next
// leader can.
func (s *State) Remove(ctx context.Context, id string) error {
	if _, err := s.ruling(); err != nil {
		return err
	}
	if err := s.tender.hold(ctx); err != nil {
		return err
	}
	defer s.tender.release()
	var voter, known bool
	voters, answering := 0, 0 // without id
	now := s.now()
	for _, v := range s.configuration() {
		votes := v.Suffrage == raft.Voter
		if string(v.ID) == id {
			known, voter = true, votes
			continue
		}
		if !votes {
			continue
		}
		voters++
		if heard, _ := s.link.lastHeard(string(v.ID)); v.ID == s.id || !heard.IsZero() && now.Sub(heard) <= answersWithin {
			answering++
		}
	}
	switch {
	case !known:
		return nil
	case voter && 2*answering <= voters:
		return fmt.Errorf("%w: without server %q %d of %d voters would answer: bring others back first, or let them join", ErrNoQuorum, id, answering, voters)
	case id == string(s.id):
		if err := s.Transfer(ctx); err != nil {
			return err
		}
		return s.notLeader()
	}
	return s.carryOut(ctx, step{moveRemove, id, "it leaves"})
}

// Transfer hands leadership to the voter that answers and whose log is the
// longest. It returns when this server leads no more. ErrNoQuorum says that
// there is none.
func (s *State) Transfer(ctx context.Context) error {
	r, err := s.leading()
	if err != nil {
		return err
	}
	return s.transfer(ctx, r, func(string) bool { return true })
}

// transfer hands leadership to one of those that may have it.
func (s *State) transfer(ctx context.Context, r *reign, may func(id string) bool) error {
	var to string
	var most uint64
	now := s.now()
	for _, v := range s.configuration() {
		heard, matched := s.link.lastHeard(string(v.ID))
		if v.Suffrage != raft.Voter || v.ID == s.id || heard.IsZero() || now.Sub(heard) > answersWithin || !may(string(v.ID)) {
			continue
		}
		if to == "" || matched > most {
			to, most = string(v.ID), matched
		}
	}
	if to == "" {
		return fmt.Errorf("%w: there is no other voter that answers and could lead", ErrNoQuorum)
	}
	s.log.Info("leadership is handed over", telemetry.Member(to))
	if err := s.ask(ctx, func() raft.Future {
		return s.raft.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(to))
	}); err != nil {
		return err
	}
	select {
	case <-r.ctx.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("state: hand over leadership: %w", context.Cause(ctx))
	}
}
