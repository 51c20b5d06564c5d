package state

import (
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/wire"
)

// firstVersion is the version of commands that every server understands.
const firstVersion = 1

// understood refuses a command of a version that some server may not know: one
// that can't carry out what the log holds stops. So servers are upgraded one
// after another in any order, and what is new is proposed once the last of
// them is. A new leader takes them for old until it has asked; see Tend.
func (s *State) understood(r *reign, version byte) error {
	if version <= firstVersion {
		return nil
	}
	if least := int(r.version.Load()); int(version) > least && len(s.configuration()) > 1 {
		return fmt.Errorf("%w: it takes a command of version %d and some server knows only %d: upgrade all servers", ErrUnavailable, version, max(least, firstVersion))
	}
	return nil
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
