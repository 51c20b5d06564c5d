package node

import (
	"cmp"

	"github.com/musterhq/muster/sharding"
)

// waitsLocked says why no worker takes the task of a run.
func (c *crowd) waitsLocked(s *small) string {
	var refused []sharding.Refusal
	for _, k := range c.m.n.peers.list() {
		m := k.candidate(s.run.Spec.Processor, s.run.Plan.Version)
		refused = append(refused, sharding.Refusal{Member: m.Name, Reason: cmp.Or(m.Unfit, sharding.NoFreeSlots)})
	}
	return sharding.Explain(refused)
}
