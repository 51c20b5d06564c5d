package state

import (
	"context"
	"fmt"
	"log/slog"
)

const (
	// reclaimBytes is how much has to have been removed at least before it is
	// worth to rewrite what is left; see worthwhile.
	reclaimBytes = 64 << 20
	// reclaimLog is how much the log's file and the last snapshot may take
	// whatever is in them, since the log grows as large again anyway, and
	// reclaimRest how much may be in the file when it is written anew, which
	// writers wait for.
	reclaimLog  = 2 * logBytes
	reclaimRest = 32 << 20
)

// worthwhile is how much has to have been removed from a store of so many bytes
// before it is rewritten: enough for what is written anew to be a few times
// what is gained at most.
func worthwhile(size int64) int64 { return max(reclaimBytes, size/4) }

// Reclaim gives this server's disk back what was removed from the state, if
// that is much. It concerns this server alone, so each calls it, now and then;
// writes and reads go on meanwhile. Close waits for it.
func (s *State) Reclaim(ctx context.Context) error {
	if context.Cause(ctx) != nil {
		return fmt.Errorf("state: reclaim: %w", context.Cause(ctx))
	}
	freed := s.fsm.freed.Load()
	if freed < worthwhile(s.kv.Size()) {
		return nil
	}
	if err := s.reclaimStore(); err != nil {
		return full(err)
	}
	s.fsm.freed.Add(-freed)
	s.log.Debug("what was removed from the state was given back to the disk", slog.Int64("bytes", freed))
	if context.Cause(ctx) != nil {
		return fmt.Errorf("state: reclaim: %w", context.Cause(ctx))
	}
	return s.reclaimLog()
}

// reclaimStore rewrites the store while no snapshot is taken, which would hold
// on to what was removed since it began.
func (s *State) reclaimStore() error {
	s.fsm.snapping.Lock()
	defer s.fsm.snapping.Unlock()
	return s.kv.Reclaim()
}

// reclaimLog replaces a snapshot from before much was removed, and gives back
// what the log has taken since.
func (s *State) reclaimLog() error {
	size, err := s.raftLog.FileSize()
	if err != nil {
		return err
	}
	if metas, err := s.snaps.List(); err == nil && len(metas) > 0 {
		size += metas[0].Size
	}
	if size < reclaimLog || s.link.isSending() { // who gets a snapshot needs the log behind it
		return nil
	}
	if err := s.snapshot(); err != nil {
		return err
	}
	if size, err = s.raftLog.FileSize(); err != nil || size < logBytes || s.raftLog.bytes.Load() > reclaimRest {
		return err
	}
	return s.raftLog.Shrink()
}
