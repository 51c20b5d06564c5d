package node

import (
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// The leader records which nodes come and go, for the jobs that are due then.
// The state knows what it was told before: a new leader says all that it sees,
// and only what is new is told on.

// happening is something that happened to a node, as the leader saw it.
type happening struct {
	what, node, called string
	life               uint64
}

// absence is how long a node that the leader before knew has to show itself to
// the next.
const absence = 10 * time.Second

// watchNodes records what happens to nodes while this one leads.
func (l *leader) watchNodes() {
	news := make(chan happening, 1024)
	tell := func(what string) func(peer) {
		return func(p peer) {
			if !isNode(&p) {
				return
			}
			select {
			case news <- happening{what, p.member.ID, p.member.Name, p.member.Incarnation}:
			case <-l.ctx.Done():
			default: // so many that the list is looked at again
			}
		}
	}
	now, stop := l.n.peers.watch(tell(job.NodeJoins), tell(job.NodeLeaves))
	defer stop()
	l.happens(happening{job.NodeLeads, l.n.id, l.n.cfg.Name, l.state.Status().Term})
	for _, p := range now {
		if !isNode(&p) {
			continue
		}
		l.happens(happening{job.NodeJoins, p.member.ID, p.member.Name, p.member.Incarnation})
	}
	missing := time.NewTicker(absence)
	defer missing.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case h := <-news:
			l.happens(h)
		case <-missing.C:
			l.reconcile()
		}
	}
}

// isNode reports whether a member is a node that works or holds the state, and
// not one that only came to ask.
func isNode(p *peer) bool { return p.member.Has(roleWorker) || p.member.Has(roleServer) }

// happens records something, for as long as this node leads. The state may have
// to wait until all servers know how.
func (l *leader) happens(h happening) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := l.state.NoteNode(l.ctx, h.what, h.node, h.called, h.life)
		if err == nil || l.ctx.Err() != nil {
			return
		}
		l.n.log.Debug("what happened to a node is not recorded yet", telemetry.Member(h.called), telemetry.Err(err))
		if !pause(l.ctx, wait) {
			return
		}
	}
}

// reconcile records what was missed: nodes that left while nobody led, and what
// came too fast.
func (l *leader) reconcile() {
	present, err := l.state.Present()
	if err != nil {
		return
	}
	for _, p := range l.n.peers.list() {
		if !isNode(&p) {
			continue
		}
		if life, ok := present[p.member.ID]; !ok || life < p.member.Incarnation {
			l.happens(happening{job.NodeJoins, p.member.ID, p.member.Name, p.member.Incarnation})
		}
		delete(present, p.member.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(present)) {
		l.happens(happening{job.NodeLeaves, id, l.n.nameOf(id), present[id]})
	}
}
