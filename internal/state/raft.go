package state

import (
	"context"
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
	c.CommitTimeout = 20 * time.Millisecond
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

// startRaft makes the state's raft, which is a raft of one if the directory is
// new.
func (s *State) startRaft() error {
	conf := s.raftConfig()
	addr, trans := raft.NewInmemTransport(raft.ServerAddress(s.id))
	trans.Connect(addr, trans) // to itself; see stand
	stable := stable{s.raftLog.Log}

	existing, err := raft.HasExistingState(s.raftLog, stable, s.snaps)
	if err == nil && !existing {
		err = raft.BootstrapCluster(conf, s.raftLog, stable, s.snaps, trans, raft.Configuration{
			Servers: []raft.Server{{Suffrage: raft.Voter, ID: conf.LocalID, Address: addr}},
		})
	}
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if s.raft, err = raft.NewRaft(conf, s.fsm, s.raftLog, stable, s.snaps, trans); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return s.stand(addr, trans)
}

// stand makes a lone voter stand for election at once. There is no leader it
// might disturb, so there is no reason to wait for one's heartbeat first.
func (s *State) stand(addr raft.ServerAddress, trans raft.Transport) error {
	if alone, err := s.alone(); err != nil || !alone {
		return err
	}
	req := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}
	if err := trans.TimeoutNow(s.id, addr, req, &raft.TimeoutNowResponse{}); err != nil {
		return fmt.Errorf("state: stand for election: %w", err)
	}
	return nil
}

// alone reports whether this node is the only voter.
func (s *State) alone() (bool, error) {
	conf := s.raft.GetConfiguration()
	if err := conf.Error(); err != nil {
		return false, fmt.Errorf("state: %w", err)
	}
	servers := conf.Configuration().Servers
	return len(servers) == 1 && servers[0].ID == s.id, nil
}

// lead returns when this node leads and has carried out the whole log.
func (s *State) lead(ctx context.Context) error {
	for s.raft.State() != raft.Leader {
		select {
		case <-s.raft.LeaderCh():
		case <-ctx.Done():
			return fmt.Errorf("state: wait for leadership: %w", context.Cause(ctx))
		}
	}
	var err error
	barrier, caught := s.raft.Barrier(0), make(chan struct{})
	s.wg.Go(func() {
		err = barrier.Error()
		close(caught)
	})
	select {
	case <-caught:
		if err == nil {
			err = s.fsm.failure()
		}
	case <-ctx.Done():
		// Raft answers a barrier only while it runs, so it is waited for; it
		// comes soon when nothing is carried out any more.
		s.fsm.abandoned.Store(true)
		<-caught
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("state: catch up with the log: %w", err)
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
