package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
)

// firstVersion is the version of commands that every server understands.
const firstVersion = 1

// understood refuses a command of a version that some server may not know: one
// that can't carry out what the log holds stops. So servers are upgraded one
// after another in any order, and what is new is proposed once the last of
// them is. That is recorded, so that no later leader has to ask again; until it
// is, a new leader takes them for old until it has asked; see Tend.
func (s *State) understood(r *reign, version byte) error {
	if version <= firstVersion {
		return nil
	}
	if least := s.least(r); int(version) > least && len(s.configuration()) > 1 {
		return fmt.Errorf("%w: it takes a command of version %d and some server knows only %d: upgrade all servers", ErrUnavailable, version, least)
	}
	return nil
}

// untilUnderstood is understood that waits a while for servers that have not
// said yet what they understand: those of a cluster that has just been founded
// are asked within a second or two.
func (s *State) untilUnderstood(ctx context.Context, r *reign, version byte) error {
	err := s.understood(r, version)
	if err == nil {
		return nil
	}
	patience := time.NewTimer(saidWithin)
	defer patience.Stop()
	select {
	case <-r.said:
	case <-patience.C:
	case <-r.ctx.Done():
	case <-ctx.Done():
	}
	return s.understood(r, version)
}

// saidWithin is how long it takes servers to say what they understand.
const saidWithin = 5 * time.Second

// allKnow reports whether commands of a version may be proposed, for what can
// also be said without them.
func (s *State) allKnow(version byte) bool {
	r, err := s.leading()
	return err == nil && s.understood(r, version) == nil
}

// least is the version of commands that every server is known to understand.
func (s *State) least(r *reign) int {
	return max(int(r.version.Load()), int(s.fsm.agreed.Load()), firstVersion)
}

// agreeOn records what every server understands, if that is new. If it fails
// the next who tends the servers does it.
func (s *State) agreeOn(ctx context.Context, r *reign) {
	least := int(r.version.Load())
	if least <= max(int(s.fsm.agreed.Load()), firstVersion) || !r.isReady() {
		return
	}
	if _, err := s.propose(ctx, &wire.Agree{Version: least}); err != nil && r.ctx.Err() == nil {
		s.log.Debug("what all servers understand is not recorded yet", telemetry.Err(err))
	}
}

func (tx *change) agree(c *wire.Agree) (result, error) {
	if int32(c.Version) <= tx.f.agreed.Load() {
		return result{}, nil
	}
	if err := tx.batch.Put(agreedKey, []byte{byte(c.Version)}); err != nil {
		return result{}, err
	}
	tx.f.agreed.Store(int32(c.Version)) // too early at worst: it is in the log
	return result{}, nil
}

func (f *fsm) loadAgreed(g getter) error {
	b, err := g.Get(agreedKey)
	if errors.Is(err, store.ErrNotFound) {
		f.agreed.Store(0)
		return nil
	}
	if err == nil && len(b) != 1 {
		err = fmt.Errorf("state: the version that all understand has %d bytes: %w", len(b), store.ErrCorrupt)
	}
	if err == nil {
		f.agreed.Store(int32(b[0]))
	}
	return err
}

// haveSaid reports whether all servers have said what they understand.
func haveSaid(servers []raft.Server, self raft.ServerID, said map[string]int) bool {
	return !slices.ContainsFunc(servers, func(v raft.Server) bool {
		_, known := said[string(v.ID)]
		return v.ID != self && !known
	})
}

// leastVersion returns the version of commands that all servers understand,
// by what they said of themselves. One that said nothing, now or earlier, is
// taken for old.
func leastVersion(servers []raft.Server, self raft.ServerID, said map[string]int) int {
	least := wire.MaxCommandVersion
	for _, v := range servers {
		if v.ID != self {
			least = min(least, max(said[string(v.ID)], firstVersion))
		}
	}
	return least
}
