package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/wire"
)

// TestAClusterIsFoundedOnceWhateverTheOrder starts four servers of a cluster
// that is to begin with three, in an order drawn by chance or all at once, each
// with the same list of all of them to join.
func TestAClusterIsFoundedOnceWhateverTheOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 2 {
		log, world, nodes := newLines(), simnet.New(1), make([]*Node, 4)
		var seeds []string
		for i := range nodes {
			seeds = append(seeds, world.Host(fmt.Sprintf("n%d", i)).IP()+":7946")
		}
		up := func(i int) {
			name := fmt.Sprintf("n%d", i)
			n, err := Start(t.Context(), Config{
				Name: name, Dir: filepath.Join(t.TempDir(), name), Servers: 3, Join: seeds, JoinTimeout: -1,
				Network: world.Host(name), Gossip: "0.0.0.0:7946", RPC: "0.0.0.0:7947", Logger: slog.New(log),
			})
			if err != nil {
				t.Error(err)
				return
			}
			nodes[i] = n
		}
		if round == 0 {
			var wg sync.WaitGroup
			for i := range nodes {
				wg.Go(func() { up(i) })
			}
			wg.Wait()
		} else {
			for _, i := range rng.Perm(len(nodes)) {
				up(i)
			}
		}
		if t.Failed() {
			return
		}
		log.wait("this node is part of the cluster", len(nodes))
		if got := log.count("this node founds a cluster"); got != 1 {
			t.Errorf("round %d: the cluster was founded %d times", round, got)
		}
		leader, _ := leads(t, nodes)
		voters := 0
		for _, s := range leader.state.Servers() {
			if s.Voter {
				voters++
			}
		}
		if voters != 3 {
			t.Errorf("round %d: got %d voters, want 3 and a server without a vote", round, voters)
		}
		for _, n := range nodes {
			if got := n.state.Cluster(); got != leader.state.Cluster() {
				t.Errorf("round %d: server %s is of cluster %q, want %q", round, n.Name(), got, leader.state.Cluster())
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			_ = n.Stop(over)
		}
	}
}

// TestAServerFollowsOneFounderAtATime asks one for its promise for several, of
// which some are there.
func TestAServerFollowsOneFounderAtATime(t *testing.T) {
	nodes := servers(t, 2, func(_ int, cfg *Config) { cfg.Servers = 3 })
	if err := nodes[0].WaitMembers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	s := nodes[0].server
	life := func(n *Node) wire.Promise {
		return wire.Promise{Node: n.id, Life: n.members.Self().Incarnation}
	}
	a, b, gone := life(nodes[0]), life(nodes[1]), wire.Promise{Node: "gone", Life: 1}
	before := b
	before.Life--
	back := func(p wire.Promise) wire.Promise { p.Back = true; return p }
	for i, c := range []struct {
		asked wire.Promise
		want  bool
	}{
		{gone, true},
		{a, true}, // who is gone founds nothing
		{a, true},
		{b, false}, // one at a time, who may ask again
		{back(b), true},
		{b, false}, // it had none
		{back(a), true},
		{b, true},
		{a, false},
		{back(b), true},
		{before, true},
		{a, true}, // nor does one of an earlier life
	} {
		if _, err := s.promise(t.Context(), "", c.asked); (err == nil) != c.want {
			t.Errorf("step %d: asked by %+v: got %v, want it promised: %v", i, c.asked, err, c.want)
		}
	}
}
