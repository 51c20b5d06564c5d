package state

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
)

const (
	// heartbeat is how long a voter waits for its leader before it stands for
	// election itself. A leader without a quorum steps down after half of it.
	heartbeat = 500 * time.Millisecond
	// entriesAtOnce bounds how many entries are stored, sent or carried out
	// together.
	entriesAtOnce = 16
)

func (s *State) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = s.id
	c.Logger = newRaftLogger(s.log)
	c.HeartbeatTimeout, c.ElectionTimeout = heartbeat, heartbeat
	c.LeaderLeaseTimeout = heartbeat / 2
	c.CommitTimeout = 50 * time.Millisecond
	c.MaxAppendEntries = entriesAtOnce
	c.BatchApplyCh = true
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	// The store has the cursor in it, so a restart does not rewrite it, and
	// snapshots are taken by the bytes of the log; see compact.
	c.NoSnapshotRestoreOnStart = true
	c.SnapshotInterval, c.SnapshotThreshold = snapshotNever, math.MaxUint64
	c.TrailingLogs = 0
	return c
}

// startRaft starts the state's raft. What it says from the first moment on is
// heard, and others are answered once it runs.
func (s *State) startRaft() error {
	conf := s.raftConfig()
	elected := make(chan bool)
	conf.NotifyCh = elected
	var err error
	if s.raft, err = raft.NewRaft(conf, s.fsm, s.raftLog, s.stable, s.snaps, s.link); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	s.wg.Go(func() { s.watchRaft(elected, s.over) })
	s.raft.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch change := o.Data.(type) {
		case raft.LeaderObservation:
			s.refreshLeader()
		case raft.RaftState:
			if change == raft.Leader {
				s.elected.Store(s.raft.CurrentTerm())
			}
		}
		return false
	}))
	s.refreshLeader()
	if s.link.trans != nil {
		s.link.serve()
	}
	return s.stand()
}

// stand makes a lone voter stand for election at once. There is no leader it
// might disturb, so there is no reason to wait for one's heartbeat first.
func (s *State) stand() error {
	if !s.alone() {
		return nil
	}
	req := &raft.TimeoutNowRequest{RPCHeader: header(string(s.id), int(raft.ProtocolVersionMax))}
	if err := s.link.inject(s.link.ctx, req); err != nil {
		return fmt.Errorf("state: stand for election: %w", err)
	}
	return nil
}

// recover brings the store to where raft takes it to be. Raft carries out what
// follows its last snapshot; a store that is not that far, because it lost
// what was not on disk or was restoring when the process died, begins with the
// snapshot.
func (s *State) recover() error {
	metas, err := s.snaps.List()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	var index uint64
	if len(metas) > 0 {
		index = metas[0].Index
		s.raftLog.counted.Store(index)
		s.raftLog.limit.Store(max(logBytes, metas[0].Size))
	}
	if last := max(index, s.raftLog.Last()); s.fsm.at.Index > last {
		return fmt.Errorf("state: the store has carried out entry %d of a log that ends with %d: the log is damaged or another node's: %w",
			s.fsm.at.Index, last, store.ErrCorrupt)
	}
	if s.fsm.at.Index >= index {
		return nil
	}
	// The snapshot may be ahead by no more than entries that are no commands.
	has, err := s.snapshotCursor(metas[0].ID)
	if err != nil || !s.fsm.at.before(has) {
		return err
	}
	s.log.Warn("the store is behind the last snapshot and is restored from it")
	_, src, err := s.snaps.Open(metas[0].ID)
	if err != nil {
		return fmt.Errorf("state: open snapshot %s: %w", metas[0].ID, err)
	}
	return errors.Join(s.fsm.Restore(src), src.Close())
}

func (s *State) snapshotCursor(id string) (cursor, error) {
	_, src, err := s.snaps.Open(id)
	if err != nil {
		return cursor{}, fmt.Errorf("state: open snapshot %s: %w", id, err)
	}
	r := newImageReader(src)
	at := r.header()
	return at, errors.Join(r.err, src.Close())
}
