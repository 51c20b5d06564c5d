package state

import (
	"errors"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/telemetry"
)

// A snapshot copies the whole state, so one is taken when the log behind the
// last has grown as large as that was, and by no less than logBytes. So the
// disk holds a log of about the size of the state, what is written twice is at
// most half of all that is written, and a restart reads no more than that.
const (
	logBytes = 64 << 20
	// After a snapshot the log keeps so much of what went before, for voters
	// who lag behind a little, but not more entries than that.
	trailingBytes   = 16 << 20
	trailingEntries = 4096
)

// compact takes a snapshot whenever the log has grown enough.
func (s *State) compact() {
	for {
		select {
		case <-s.closing:
			return
		case <-s.raftLog.grown:
		}
		if s.link.isSending() && s.raftLog.postpone() {
			continue // who gets the last snapshot needs the log behind it
		}
		if err := s.snapshot(); err != nil && !errors.Is(err, raft.ErrRaftShutdown) {
			s.log.Warn("no snapshot could be taken; the log goes on growing", telemetry.Err(err))
		}
	}
}

// snapshot writes the state down and cuts the log behind it.
func (s *State) snapshot() error {
	s.fsm.snapping.Lock()
	defer s.fsm.snapping.Unlock()
	l := s.raftLog
	grown := l.bytes.Load()
	// When this fails the next try comes after the log has grown as much again.
	l.limit.Store(grown + logBytes)

	var size int64
	if metas, err := s.snaps.List(); err == nil && len(metas) > 0 {
		size = metas[0].Size
	}
	if err := s.space.Room(size+grown, s.floor()); err != nil {
		return full(err)
	}
	var keep uint64
	if !s.alone() {
		keep = trailing(grown, l.Last()-l.First()+1)
	}
	if err := s.raft.ReloadConfig(raft.ReloadableConfig{
		TrailingLogs:      keep,
		SnapshotInterval:  snapshotNever,
		SnapshotThreshold: math.MaxUint64,
		HeartbeatTimeout:  heartbeat,
		ElectionTimeout:   heartbeat,
	}); err != nil {
		return err
	}
	if err := s.raft.Snapshot().Error(); err != nil {
		return err
	}
	l.bytes.Add(-grown)
	if metas, err := s.snaps.List(); err == nil && len(metas) > 0 {
		size = metas[0].Size
	}
	l.limit.Store(max(logBytes, size))
	return nil
}

// trailing returns how many entries of a log of so many bytes in so many
// entries are worth trailingBytes.
func trailing(bytes int64, entries uint64) uint64 {
	if bytes <= 0 || entries == 0 {
		return 0
	}
	each := max(bytes/int64(entries), 1)
	return min(uint64(trailingBytes/each), trailingEntries)
}

// snapshotNever keeps raft from taking snapshots by its own count of entries.
const snapshotNever = 1000 * time.Hour
