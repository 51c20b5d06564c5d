package node

import (
	"cmp"

	"github.com/musterhq/muster/sharding"
)

// waitsLocked says why no worker takes the task of a run.
func (c *crowd) waitsLocked(s *small) string {
	peers := c.m.n.peers.list()
	refused := make([]sharding.Refusal, 0, len(peers))
	for _, k := range peers {
		m := k.candidate(s.run.Spec.Processor, s.run.Plan.Version)
		refused = append(refused, sharding.Refusal{Member: m.Name, Reason: cmp.Or(m.Unfit, sharding.NoFreeSlots)})
	}
	return sharding.Explain(refused)
}
