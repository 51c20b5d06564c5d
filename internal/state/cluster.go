package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

// Server is one of those that hold the state.
type Server struct {
	ID     string
	Voter  bool // it counts when something is decided
	Leader bool
}

// Status is what a server tells of its share of the state.
type Status struct {
	Cluster string // "" as long as it is not known
	Leader  string // "" if none is known
	Term    uint64 // how many elections there were, at most
	Applied uint64 // the last entry of the log that was carried out
	Last    uint64 // the last entry of the log
	Empty   bool   // it has no part in any cluster yet
	Voter   bool
	Full    bool // the disk has too little room to take new work
	Stuck   bool // the disk does not answer
}

// Empty reports whether there is nothing here yet: this server neither made a
// cluster nor was added to one.
func (s *State) Empty() bool {
	if s.settled.Load() {
		return false
	}
	settled, err := s.hasPart()
	if err != nil {
		return false // it can't be told, so nobody should begin anew
	}
	if settled {
		s.settled.Store(true)
	}
	return !settled
}

// hasPart reports whether this server holds a log, a snapshot or a promise.
func (s *State) hasPart() (bool, error) {
	if s.raftLog.Last() > 0 {
		return true, nil
	}
	if voted, err := s.stable.GetUint64(voteKey); err != nil || voted > 0 {
		return voted > 0, err
	}
	metas, err := s.snaps.List()
	if err != nil {
		return false, fmt.Errorf("state: %w", err)
	}
	return len(metas) > 0, nil
}

// Bootstrap makes a new cluster whose voters are the servers with these IDs,
// of which this is one. All of them may do it, with the same servers: it is
// one cluster. ErrExists says that this server has a part in one already.
func (s *State) Bootstrap(servers ...string) error {
	if len(servers) == 0 {
		servers = []string{string(s.id)}
	}
	servers = slices.Sorted(slices.Values(servers))
	var conf raft.Configuration
	for i, id := range servers {
		if err := checkName("server", id); err != nil {
			return err
		}
		if i > 0 && servers[i-1] == id {
			return fmt.Errorf("%w: server %q is named twice", ErrInvalid, id)
		}
		conf.Servers = append(conf.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	switch {
	case !slices.Contains(servers, string(s.id)):
		return fmt.Errorf("%w: this server, %q, is not among %q: name it too", ErrInvalid, s.id, servers)
	case len(servers) > 1 && s.link.trans == nil:
		return fmt.Errorf("%w: %d servers and no transport between them: set Config.Transport", ErrInvalid, len(servers))
	case !s.Empty():
		return s.exists()
	}
	// Whom this server would vote for is settled before it has anything to lose.
	if err := s.identity.adopt(s.link.ctx, string(s.id), "", digestOf(servers)); err != nil {
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err := s.ask(s.link.ctx, func() raft.Future { return s.raft.BootstrapCluster(conf) }); errors.Is(err, raft.ErrCantBootstrap) {
		return s.exists()
	} else if err != nil {
		return err
	}
	s.settled.Store(true)
	return s.stand()
}

func (s *State) exists() error {
	return fmt.Errorf("%w: server %q is part of cluster %q", ErrExists, s.id, s.Cluster())
}

// mend undoes what is left of a Bootstrap that a crash cut short, and of the
// raft of a snapshot that was received and not followed by anything yet.
func (s *State) mend() error {
	term, err := s.stable.GetUint64(termKey)
	if err != nil {
		return err
	}
	if s.Empty() {
		// It has promised nothing, so it may begin anew.
		if term > 0 {
			err = s.raftLog.SetUint64(termKey, 0)
		}
		return errors.Join(err, s.identity.forget())
	}
	metas, err := s.snaps.List()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	// Raft cuts the log when it has restored a snapshot that it was sent. If
	// there was no time for that the log would have a gap from here on.
	if first, last := s.raftLog.First(), s.raftLog.Last(); len(metas) > 0 && last > 0 && last < metas[0].Index {
		return s.raftLog.DeleteRange(first, last)
	}
	return nil
}

// Cluster returns the ID of the cluster that this server is part of, or "" as
// long as it is not known.
func (s *State) Cluster() string {
	if id := s.fsm.cluster.Load(); id != nil {
		return *id
	}
	cluster, _ := s.identity.get()
	return cluster
}

// Origin returns the ID of the cluster that this one was restored from, or else
// its own. What depends on which cluster it is and not on which life of it, as
// the jitter of fires does, goes by that.
func (s *State) Origin() string {
	if id := s.fsm.origin.Load(); id != nil {
		return *id
	}
	return s.Cluster()
}

// Servers returns those who hold the state, as far as this server knows.
func (s *State) Servers() []Server {
	leader := s.Leader()
	all := s.configuration()
	servers := make([]Server, 0, len(all))
	for _, v := range all {
		id := string(v.ID)
		servers = append(servers, Server{ID: id, Voter: v.Suffrage == raft.Voter, Leader: id == leader})
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.ID, b.ID) })
	return servers
}

// Status returns how this server stands.
func (s *State) Status() Status {
	return Status{
		Cluster: s.Cluster(), Leader: s.Leader(), Term: s.raft.CurrentTerm(),
		Applied: s.raft.AppliedIndex(), Last: s.raft.LastIndex(),
		Empty: s.Empty(), Voter: s.votes(), Full: s.isFull(), Stuck: s.dog.stuck.Load(),
	}
}

func (s *State) serverStatus() *wire.ServerStatus {
	st := s.Status()
	_, founders := s.identity.get()
	return &wire.ServerStatus{
		Commands: wire.MaxCommandVersion,
		Cluster:  st.Cluster, Founders: founders, Leader: st.Leader, Empty: st.Empty,
		Term: st.Term, Applied: st.Applied, Last: st.Last, Full: st.Full, Roomy: s.isRoomy(), Stuck: st.Stuck,
	}
}

func (s *State) configuration() []raft.Server {
	return s.raft.GetConfiguration().Configuration().Servers
}

// alone reports whether this server is the only voter.
func (s *State) alone() bool {
	voters := 0
	for _, v := range s.configuration() {
		if v.Suffrage == raft.Voter {
			voters++
		}
	}
	return voters == 1 && s.votes()
}

func (s *State) votes() bool {
	return slices.ContainsFunc(s.configuration(), func(v raft.Server) bool { return v.ID == s.id && v.Suffrage == raft.Voter })
}

// isRoomy reports whether there is more room than it takes not to be full, so
// that whoever gets something for want of room elsewhere is not next.
func (s *State) isRoomy() bool {
	return !errors.Is(s.space.Room(0, s.reserve/5*7), store.ErrFull) && s.fsm.failure() == nil
}

// isFull reports whether new work is refused for want of room.
func (s *State) isFull() bool { return errors.Is(s.space.Room(0, s.reserve), store.ErrFull) }
