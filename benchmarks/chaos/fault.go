//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
)

// nemesis breaks the cluster, one thing after the other.
type nemesis struct {
	c   *cluster
	l   *load
	rng *rand.Rand
	// patience is for what has to be undone, and longer than the nemesis may
	// go on.
	patience context.Context
}

// A fault is a way to break the cluster. It returns when all is whole again,
// early if ctx ends.
type fault struct {
	kind    string
	calm    bool // every other time it comes after a calm, so that it is known what had been recorded
	isolate bool // it needs hosts that are apart
	many    bool // it needs more than one server
	do      func(ctx context.Context, n *nemesis, kind string) error
}

// faults is all of them.
var faults = []fault{
	{kind: "kill-leader", calm: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.kill(ctx, kind, n.c.leader()) }},
	{kind: "kill-master", calm: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.kill(ctx, kind, n.master()) }},
	{kind: "kill-worker", do: func(ctx context.Context, n *nemesis, kind string) error { return n.kill(ctx, kind, n.worker()) }},
	{kind: "kill-random", do: func(ctx context.Context, n *nemesis, kind string) error { return n.kill(ctx, kind, n.any()) }},
	{kind: "kill-pair", do: func(ctx context.Context, n *nemesis, kind string) error {
		return n.kill(ctx, kind, n.master(), n.worker())
	}},
	{kind: "kill-all", calm: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.kill(ctx, kind, n.c.nodes...) }},
	{kind: "pause-leader", do: func(ctx context.Context, n *nemesis, kind string) error { return n.pause(ctx, kind, n.c.leader()) }},
	{kind: "pause-master", calm: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.pause(ctx, kind, n.master()) }},
	{kind: "pause-worker", do: func(ctx context.Context, n *nemesis, kind string) error { return n.pause(ctx, kind, n.worker()) }},
	{kind: "cut-leader", calm: true, isolate: true, many: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.cut(ctx, kind, n.c.leader()) }},
	{kind: "cut-worker", isolate: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.cut(ctx, kind, n.worker()) }},
	{kind: "cut-minority", isolate: true, many: true, do: func(ctx context.Context, n *nemesis, kind string) error {
		return n.cut(ctx, kind, append(n.minority(), n.worker())...)
	}},
	{kind: "cut-one-way", isolate: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.cutOneWay(ctx, kind, n.any()) }},
	{kind: "fill-disk", isolate: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.fill(ctx, kind) }},
	{kind: "fill-leader", isolate: true, many: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.fillLeader(ctx, kind) }},
	{kind: "drain-node", do: func(ctx context.Context, n *nemesis, kind string) error { return n.drain(ctx, kind, n.any()) }},
	{kind: "drain-leader", many: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.drain(ctx, kind, n.c.leader()) }},
	{kind: "restart-all", calm: true, do: func(ctx context.Context, n *nemesis, kind string) error { return n.roll(ctx, kind) }},
}

func kinds() (all []string) {
	for _, f := range faults {
		all = append(all, f.kind)
	}
	return all
}

// possible returns the faults that can be done here, of those asked for.
func possible(o options) []fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
		return f.isolate && !host.Isolated() || f.many && o.servers == 1 || len(o.faults) > 0 && !slices.Contains(o.faults, f.kind)
	})
}

// run breaks one thing after the other until ctx ends: all there are in an
// order drawn by chance, then all in another.
func (n *nemesis) run(ctx context.Context) {
	for {
		deck := possible(n.c.o)
		if len(deck) == 0 {
			<-ctx.Done() // nothing of what was asked for can be done here
			return
		}
		n.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, f := range deck {
			gap := n.between(2500, 6000)
			if n.rng.IntN(2) == 0 && f.calm {
				gap += calm
			}
			if !rest(ctx, gap) {
				return
			}
			if err := f.do(ctx, n, f.kind); err != nil && n.patience.Err() == nil {
				n.c.mishap("%s: %v", f.kind, err)
			}
		}
	}
}

// calm is long enough for what was broken to have no more consequences, and
// for much to be recorded after that.
const calm = verdict.Aftermath + verdict.Settled + 2*time.Second

// between draws a number of milliseconds.
func (n *nemesis) between(least, most int) time.Duration {
	return time.Duration(least+n.rng.IntN(most-least)) * time.Millisecond
}

func (n *nemesis) any() *process { return n.c.nodes[n.rng.IntN(len(n.c.nodes))] }

// worker draws one that only works, or any that does not lead if all hold the
// state.
func (n *nemesis) worker() *process {
	if w := n.c.nodes[n.c.o.servers:]; len(w) > 0 {
		return w[n.rng.IntN(len(w))]
	}
	return n.c.follower()
}

// follower returns a node that does not lead.
func (c *cluster) follower() *process {
	leader := c.leader()
	return c.nodes[slices.IndexFunc(c.nodes, func(p *process) bool { return p != leader })]
}

// master returns the node that conducts the most runs, preferring one that
// does not lead: what becomes of a leader is another question.
func (n *nemesis) master() *process {
	all, leader := n.c.conducts(), n.c.leader()
	best, most := n.any(), 0
	for _, p := range n.c.nodes {
		if runs := len(all[p]); runs > most && p != leader {
			best, most = p, runs
		}
	}
	return best
}

// minority draws as many servers as the cluster can do without.
func (n *nemesis) minority() []*process {
	servers := slices.Clone(n.c.nodes[:n.c.o.servers])
	n.rng.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return servers[:(len(servers)-1)/2]
}

// kill kills nodes with no chance to say goodbye, and starts them again after
// a while that may be shorter than it takes others to notice.
func (n *nemesis) kill(ctx context.Context, kind string, nodes ...*process) error {
	slices.SortFunc(nodes, func(a, b *process) int { return slices.Index(n.c.nodes, a) - slices.Index(n.c.nodes, b) })
	nodes = slices.Compact(nodes)
	down := n.between(200, 9000)
	everything := len(nodes) == len(n.c.nodes)
	if everything {
		down = n.between(100, 1000)
	}
	say("%-12s %s for %v", kind, names(nodes), down)
	f := n.c.breaks(verdict.Fault{Kind: kind, Gone: !everything}, nodes...)
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, p := range nodes {
		wg.Go(func() { errs[i] = p.kill() })
	}
	wg.Wait()
	rest(ctx, down)
	return n.back(f, errs...)
}

// back starts all nodes that are down, and the fault is over when they are
// there.
func (n *nemesis) back(f int, errs ...error) error {
	errs = append(errs, n.c.startAll(n.patience), n.c.complete(n.patience))
	n.c.mends(f)
	return errors.Join(errs...)
}

// pause stops the clock of a node for longer than others wait for it.
func (n *nemesis) pause(ctx context.Context, kind string, p *process) error {
	d := n.between(5000, 15000)
	say("%-12s %s for %v", kind, p.name, d)
	f := n.c.breaks(verdict.Fault{Kind: kind, Gone: true}, p)
	p.pause()
	rest(ctx, d)
	p.resume()
	return n.back(f)
}

// cut cuts nodes off from the others, and a client with them whose writes must
// be refused.
func (n *nemesis) cut(ctx context.Context, kind string, nodes ...*process) error {
	d := n.between(5000, 15000)
	say("%-12s %s for %v", kind, names(nodes), d)
	f := n.c.breaks(verdict.Fault{Kind: kind, Gone: true}, nodes...)
	err := n.c.split(nodes)
	during, healed := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { n.l.probeCut(during, n.patience) })
	rest(ctx, d)
	healed()
	wg.Wait()
	return n.back(f, err, n.c.world.Heal())
}

// split cuts nodes off, and the outcast with them.
func (c *cluster) split(nodes []*process) error {
	hosts := make([]*host.Host, 0, 1+len(nodes))
	hosts = append(hosts, c.outcastHost)
	for _, p := range nodes {
		hosts = append(hosts, p.host)
	}
	return c.world.Split(hosts)
}

// cutOneWay lets a node hear others and not be heard, or the other way round.
func (n *nemesis) cutOneWay(ctx context.Context, kind string, p *process) error {
	d, mute := n.between(5000, 12000), n.rng.IntN(2) == 0
	say("%-12s %s for %v, mute: %v", kind, p.name, d, mute)
	one, others := []*host.Host{p.host}, []*host.Host{n.c.clientHost}
	for _, o := range n.c.nodes {
		if o != p {
			others = append(others, o.host)
		}
	}
	if !mute {
		one, others = others, one
	}
	f := n.c.breaks(verdict.Fault{Kind: kind, Gone: true}, p)
	err := n.c.world.Cut(one, others)
	rest(ctx, d)
	return n.back(f, err, n.c.world.Heal())
}

// fill takes the space on the disk of a node in three steps, as somebody would
// who writes to the same disk: to less than a node wants to be free, to very
// little, to almost nothing.
func (n *nemesis) fill(ctx context.Context, kind string) error {
	var disks []*process
	for _, p := range n.c.nodes {
		if p.disk != nil {
			disks = append(disks, p)
		}
	}
	return n.squeeze(ctx, kind, disks[n.rng.IntN(len(disks))])
}

// fillLeader does that to a leader, if it can be had: leaders are drained until
// one leads whose disk can be filled.
func (n *nemesis) fillLeader(ctx context.Context, kind string) error {
	i := slices.IndexFunc(n.c.nodes, func(p *process) bool { return p.server && p.disk != nil })
	p := n.c.nodes[i]
	drained, cancel := context.WithTimeout(n.patience, stopTimeout)
	defer cancel()
	var errs []error
	const tries = 6 // who comes next is the servers' choice
	for range tries {
		leader := n.c.leader()
		if leader == p {
			break
		}
		errs = append(errs, n.c.client.Drain(drained, leader.name), n.c.client.Undrain(n.patience, leader.name))
	}
	if n.c.leader() != p {
		kind = "fill-disk"
	}
	return errors.Join(append(errs, n.squeeze(ctx, kind, p))...)
}

func (n *nemesis) squeeze(ctx context.Context, kind string, p *process) error {
	each := n.between(2000, 4000)
	say("%-12s %s for %v", kind, p.name, 3*each)
	f := n.c.breaks(verdict.Fault{Kind: kind}, p)
	var errs []error
	for _, free := range []int64{700 << 20, 60 << 20, 1 << 20} {
		errs = append(errs, p.disk.Squeeze(free))
		rest(ctx, each)
	}
	return n.back(f, append(errs, p.disk.Release())...)
}

// drain takes all work from a node, demands that it has none then, and lets it
// work again after a while.
func (n *nemesis) drain(ctx context.Context, kind string, p *process) error {
	d := n.between(1000, 4000)
	say("%-12s %s, and not used for %v after that", kind, p.name, d)
	f := n.c.breaks(verdict.Fault{Kind: kind, Peace: true}, p)
	drained, cancel := context.WithTimeout(n.patience, stopTimeout)
	defer cancel()
	err := n.c.client.Drain(drained, p.name)
	if m, e := n.c.client.Leader(drained); err == nil && e == nil && m.Name == p.name {
		err = fmt.Errorf("%s leads although it was drained", p.name)
	}
	rest(ctx, d)
	return n.back(f, err, n.c.client.Undrain(n.patience, p.name))
}

// roll restarts all nodes in peace, one after the other.
func (n *nemesis) roll(ctx context.Context, kind string) error {
	say("%-12s one after the other", kind)
	var errs []error
	for _, p := range n.c.nodes {
		if ctx.Err() != nil {
			break
		}
		f := n.c.breaks(verdict.Fault{Kind: kind, Peace: true}, p)
		errs = append(errs, n.back(f, p.stop()))
		rest(ctx, time.Second)
	}
	return errors.Join(errs...)
}

func names(nodes []*process) (all []string) {
	for _, p := range nodes {
		all = append(all, p.name)
	}
	return all
}
