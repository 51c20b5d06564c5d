package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/sharding"
)

// peers knows the members of the pool and what each has told of itself. Who
// there is comes by gossip; what they can do is asked of them.
type peers struct {
	n      *Node
	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	known    map[string]*peer      // by ID; guarded by mu
	watchers map[*watcher]struct{} // guarded by mu
	changed  chan struct{}         // closed at the next change; guarded by mu
	news     []func(*watcher)      // not told yet, in order; guarded by mu
	tell     bell                  // rung if there are news
	doubted  map[life]bool         // asked whether they are there at this moment; guarded by mu
	names    map[string]string     // of members, also of those that are gone, by ID; guarded by mu
}

// life is one life of a node.
type life struct {
	id          string
	incarnation uint64
}

// peer is a member that has described itself.
type peer struct {
	member membership.Member
	about  wire.Describe
	asked  time.Time
}

// watcher is told of members that come, change and go, by one goroutine and in
// order.
type watcher struct {
	joined func(peer)
	left   func(peer)
}

const (
	describeEvery   = 5 * time.Second // how old a load may be before it is asked for again
	describeTimeout = 2 * time.Second
)

func newPeers(n *Node) *peers {
	p := &peers{
		n: n, known: map[string]*peer{}, watchers: map[*watcher]struct{}{},
		changed: make(chan struct{}), tell: newBell(), doubted: map[life]bool{}, names: map[string]string{},
	}
	ctx, cancel := context.WithCancel(n.ctx)
	p.ctx, p.cancel = ctx, cancel
	events, stop := n.members.Watch()
	p.wg.Go(func() {
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-events:
				if !ok {
					return
				}
				p.take(ctx, e)
			case <-p.tell:
				p.tellAll()
			}
		}
	})
	return p
}

func (p *peers) stop() {
	p.cancel()
	p.wg.Wait()
}

// take takes in what gossip says. That a member is there is found out by
// asking it for more; that it is gone by asking it whether it is.
func (p *peers) take(ctx context.Context, e membership.Event) {
	if e.Kind == membership.Left {
		p.rumour(e.Member)
		return
	}
	p.replace(e.Member)
	p.wg.Go(func() { p.describe(ctx, e.Member) })
}

// replace forgets the life of a member before this one.
func (p *peers) replace(m membership.Member) {
	p.mu.Lock()
	k := p.known[m.ID]
	p.mu.Unlock()
	if k != nil && k.member.Incarnation != m.Incarnation {
		p.drop(k)
	}
}

// unwell is at which try it is worth a warning that a member that gossips does
// not answer: some three seconds after the first.
const unwell = 7

// describe asks a member about itself until it answers or is gone.
func (p *peers) describe(ctx context.Context, m membership.Member) {
	for try, wait := 1, 50*time.Millisecond; ; try, wait = try+1, min(2*wait, 2*time.Second) {
		about, err := p.ask(ctx, m.ID)
		if err == nil {
			p.learn(peer{member: m, about: about, asked: time.Now()})
			return
		}
		level := slog.LevelDebug
		if try == unwell {
			level = slog.LevelWarn // said once: it may be without a certificate, or behind a firewall
		}
		p.n.log.Log(ctx, level, "member does not describe itself, so it gets no work", telemetry.Member(m.Name), telemetry.Err(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if !p.listed(m) {
			return
		}
	}
}

func (p *peers) ask(ctx context.Context, id string) (wire.Describe, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	return call[wire.Describe](ctx, p.n, id, wire.MethodDescribe, wire.Nothing{})
}

func (p *peers) learn(k peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, ok := p.n.members.Member(k.member.ID)
	if !ok || now.Incarnation != k.member.Incarnation {
		return // it left meanwhile
	}
	// Of two changes that followed each other at once the later may have been
	// answered first.
	k.member = now
	known := k // refresh writes to it, while watchers are told of k
	p.known[k.member.ID] = &known
	p.rememberLocked(k.member)
	p.changedLocked(func(w *watcher) { w.joined(k) })
}

// mostNames bounds how many names are kept of members that are gone.
const mostNames = 1000

// rememberLocked remembers what a member is called, for people who read of it
// when it is gone.
func (p *peers) rememberLocked(m membership.Member) {
	p.names[m.ID] = m.Name
	if len(p.names) > len(p.known)+mostNames {
		maps.DeleteFunc(p.names, func(id, _ string) bool { return p.known[id] == nil })
	}
}

// nameOf returns the name of a member that is or was there, for people, or its
// ID if it is not known.
func (p *peers) nameOf(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cmp.Or(p.names[id], id)
}

// address returns where a member that is known answers calls.
func (p *peers) address(id string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.known[id]; k != nil {
		return k.member.RPC, k.member.RPC != ""
	}
	return "", false
}

func (p *peers) changedLocked(news func(*watcher)) {
	close(p.changed)
	p.changed = make(chan struct{})
	p.news = append(p.news, news)
	p.tell.ring()
}

// tellAll tells the watchers what is new.
func (p *peers) tellAll() {
	p.mu.Lock()
	news, watchers := p.news, slices.Collect(maps.Keys(p.watchers))
	p.news = nil
	p.mu.Unlock()
	for _, tell := range news {
		for _, w := range watchers {
			tell(w)
		}
	}
}

// watch returns the members there are and calls joined for each that comes or
// changes from now on, and left for each that goes, until stop is called and
// perhaps once more. Neither may block.
func (p *peers) watch(joined, left func(peer)) (now []peer, stop func()) {
	w := &watcher{joined, left}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[w] = struct{}{}
	return p.listLocked(), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, w)
	}
}

// knows reports whether a member is there, as far as this node knows.
func (p *peers) knows(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[id] != nil
}

// list returns the members that have described themselves, by ID.
func (p *peers) list() []peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listLocked()
}

func (p *peers) listLocked() []peer {
	out := make([]peer, 0, len(p.known))
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		out = append(out, *p.known[id])
	}
	return out
}

// refresh asks the members for their load whose last word is old. It does not
// wait for the answers.
func (p *peers) refresh() {
	for _, k := range p.list() {
		if time.Since(k.asked) < describeEvery {
			continue
		}
		p.mu.Lock()
		if now := p.known[k.member.ID]; now != nil {
			now.asked = time.Now()
		}
		p.mu.Unlock()
		p.n.wg.Go(func() {
			if about, err := p.ask(p.n.ctx, k.member.ID); err == nil {
				p.learn(peer{member: k.member, about: about, asked: time.Now()})
			}
		})
	}
}

// serveDescribe answers what this node tells of itself.
func (n *Node) serveDescribe() {
	handle(n, wire.MethodDescribe, func(context.Context, string, wire.Nothing) (wire.Describe, error) {
		if n.ctx.Err() != nil {
			return wire.Describe{}, ErrStopped // it has nothing to offer any more
		}
		s := n.worker.Stats()
		d := wire.Describe{
			CPU: runtime.NumCPU(), Memory: freeMemory(), Disk: freeDisk(n.cfg.Dir),
			Running: s.Running, Queued: s.Queued, Abandoned: s.Abandoned, Masters: n.masters.count(), Servers: n.cfg.Servers,
			Name: n.cfg.Name, Client: n.cfg.Client,
		}
		d.Ahead, d.Within = n.skew.last()
		for _, name := range slices.Sorted(maps.Keys(n.cfg.Processors)) {
			d.Processors = append(d.Processors, describe(name, n.cfg.Processors[name]))
		}
		return d, nil
	})
}

// processor returns what the member tells of a processor.
func (k *peer) processor(name string) (wire.Processor, bool) {
	i := slices.IndexFunc(k.about.Processors, func(p wire.Processor) bool { return p.Name == name })
	if i < 0 {
		return wire.Processor{}, false
	}
	return k.about.Processors[i], true
}

// candidate is the member as the master of a run with the given processor
// sees it.
func (k *peer) candidate(processor, version string) master.Member {
	m := master.Member{Member: sharding.Member{
		ID: k.member.ID, Name: cmp.Or(k.member.Name, k.member.ID), Slots: k.member.Slots, Tags: k.member.Tags,
		CPU: k.about.CPU, Memory: k.about.Memory, Disk: k.about.Disk, Load: k.about.Running + k.about.Queued,
	}}
	switch p, ok := k.processor(processor); {
	case !k.member.Has(roleWorker):
		m.Unfit = "is no worker"
	case k.member.Has(roleDraining):
		m.Unfit = "is being drained"
	case !ok:
		m.Unfit = fmt.Sprintf("lacks processor %q", processor)
	case p.Version != version:
		m.Unfit = fmt.Sprintf("has processor %q in version %q and not %q", processor, p.Version, version)
	}
	return m
}

// WaitMembers returns when this node knows what n members of the pool can do,
// itself included, or when ctx ends.
func (n *Node) WaitMembers(ctx context.Context, want int) error {
	for {
		n.peers.mu.Lock()
		changed, have := n.peers.changed, len(n.peers.known)
		n.peers.mu.Unlock()
		if have >= want {
			return nil
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
			return context.Cause(n.ctx)
		case <-ctx.Done():
			return fmt.Errorf("node: the pool has %d of %d members: %w", have, want, context.Cause(ctx))
		}
	}
}
