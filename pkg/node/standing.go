package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
)

// Cluster is the cluster as a whole.
type Cluster struct {
	// Name is Config.Cluster, and ID what tells it from all others of the name.
	Name, ID string
	// Leader is the ID of the node that leads, and Term how many elections there
	// were at most.
	Leader string
	Term   uint64
	// Voters are the servers that elect the leader.
	Voters []Voter
	// Servers is how many nodes are to hold the state.
	Servers int
	// Health is "healthy", or "degraded" if a voter is not in the pool or there
	// are fewer voters than there are to be. Why says so in words.
	Health string
	Why    []string
}

// Voter is a server that elects the leader.
type Voter struct {
	ID, Name string
	// InPool says that gossip has it among the members.
	InPool bool
}

// Cluster returns the cluster as its leader knows it. While there is none it
// gives up with ErrNoLeader, or when ctx ends.
func (n *Node) Cluster(ctx context.Context) (c Cluster, err error) {
	var s wire.Standing
	err = n.leaders.try(ctx, func(ctx context.Context, leader string) error {
		s, err = call[wire.Standing](ctx, n, leader, wire.MethodStanding, wire.Nothing{})
		if err == nil && s.Leader != leader {
			return state.ErrNotLeader
		}
		return err
	})
	if err != nil {
		return c, plain(err)
	}
	c = Cluster{Name: n.cfg.Cluster, ID: s.Cluster, Leader: s.Leader, Term: s.Term, Servers: max(s.Servers, 1), Health: "healthy"}
	for _, id := range slices.Sorted(maps.Keys(s.Voters)) {
		_, there := n.members.Member(id)
		name := cmp.Or(s.Voters[id], id)
		c.Voters = append(c.Voters, Voter{ID: id, Name: name, InPool: there})
		if !there {
			c.Why = append(c.Why, "server "+name+" is not in the pool")
		}
	}
	if len(c.Voters) < c.Servers {
		c.Why = append(c.Why, "fewer servers vote than there are to be: see Servers")
	}
	if len(c.Why) > 0 {
		c.Health = "degraded"
	}
	return c, nil
}

// Known is a processor that members of the pool have.
type Known struct {
	Name, Version string
	// Keyed says that it maps to pairs, Prepares that it has a first step of its
	// own, Reduces that it sees the results of all tasks.
	Keyed, Prepares, Reduces bool
	// Nodes are the IDs of the members that have it, in this version.
	Nodes []string
}

// Processors returns what the members of the pool can run, as they have told, by
// name and version.
func (n *Node) Processors() []Known {
	type code struct{ name, version string }
	known := map[code]*Known{}
	for _, p := range n.peers.list() {
		for _, x := range p.about.Processors {
			k := known[code{x.Name, x.Version}]
			if k == nil {
				k = &Known{Name: x.Name, Version: x.Version, Keyed: x.Keyed, Prepares: x.Prepares, Reduces: x.Reduces}
				known[code{x.Name, x.Version}] = k
			}
			k.Nodes = append(k.Nodes, p.member.ID)
		}
	}
	all := make([]Known, 0, len(known))
	for _, k := range known {
		slices.Sort(k.Nodes)
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b Known) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return all
}
