package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
)

const (
	// renewEvery is how often a node lets its leader hear of it.
	renewEvery = time.Second
	// renewTimeout bounds how long it waits for the answer before it looks
	// for another leader.
	renewTimeout = time.Second
	// leaseTime is how long the leader takes a node to be there that it hears
	// nothing of, by the leader's own clock.
	leaseTime = 5 * time.Second
)

// renew keeps in touch with the leader for as long as the node lives. A node
// that hears of no leader for Config.FenceAfter calls off what it executes:
// others have taken over by then, or can't record what it does either. So does
// one that the leader had given up meanwhile.
func (n *Node) renew() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	heard, fenced := time.Now(), false
	for {
		ctx, cancel := context.WithTimeout(n.ctx, renewTimeout)
		asked, told := time.Now(), n.wall()
		r, err := n.renewOnce(ctx)
		cancel()
		// What this call itself has found out is no news.
		_, _, changed := n.leaders.now()
		switch {
		case n.ctx.Err() != nil:
			return
		case err == nil && r.Fenced:
			heard, fenced = time.Now(), false
			n.fence("the leader had given this node up")
		case err == nil:
			if fenced {
				n.log.Info("the leader answers again", slog.Duration("after", time.Since(heard)))
			}
			heard, fenced = time.Now(), false
			n.heed(told, time.Since(asked), r.Now)
		case time.Since(heard) > n.cfg.FenceAfter && !fenced:
			fenced = true
			n.fence("no leader has answered for " + n.cfg.FenceAfter.String())
		}
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		case <-changed:
		}
	}
}

func (n *Node) renewOnce(ctx context.Context) (wire.Renewed, error) {
	leader, reign, err := n.leaders.find(ctx)
	if err != nil {
		return wire.Renewed{}, err
	}
	var r wire.Renewed
	err = under(ctx, reign, func(ctx context.Context) (err error) {
		r, err = call[wire.Renewed](ctx, n, leader, wire.MethodRenew, wire.Renew{Node: n.id, Life: n.members.Self().Incarnation})
		return err
	})
	if err != nil && n.ctx.Err() == nil {
		n.leaders.doubt(leader)
	}
	return r, err
}

// fence calls off all attempts that the node executes.
func (n *Node) fence(why string) {
	n.log.Warn("attempts are called off", slog.String("reason", why))
	n.worker.Fence(&fenced{why})
}

// fenced is the cause that attempts are called off with.
type fenced struct{ why string }

func (f *fenced) Error() string { return "node: fenced: " + f.why }
func (f *fenced) Unwrap() error { return mapreduce.ErrFenced }

// leases is when the leader last heard of each node, on its own clock, and
// which of their lives it has given up.
type leases struct {
	mu    sync.Mutex
	began time.Time         // those not heard of since have until a lease after it; guarded by mu
	heard map[string]lease  // guarded by mu
	gone  map[string]uint64 // lives given up and not told yet, anyLife if it is not known which; guarded by mu
}

type lease struct {
	life uint64
	at   time.Time
}

// anyLife is the life that a node was in which this leader never heard of.
const anyLife = 0

func newLeases() *leases {
	return &leases{began: time.Now(), heard: map[string]lease{}, gone: map[string]uint64{}}
}

// renew notes that a node is there, and reports whether this life of it had
// been given up.
func (l *leases) renew(id string, life uint64) (fenced bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[id] = lease{life, time.Now()}
	gone, ok := l.gone[id]
	fenced = ok && (gone == life || gone == anyLife)
	delete(l.gone, id)
	return fenced
}

// giveUp notes that a life of a node is taken to be gone.
func (l *leases) giveUp(id string, life uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone[id] = life
}

// over reports whether the lease of a node has run out, and of which life.
func (l *leases) over(id string) (life uint64, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard, ok := l.heard[id]
	if !ok {
		heard = lease{anyLife, l.began}
	}
	return heard.life, time.Since(heard.at) > leaseTime
}

// forgive gives every node a lease from now on.
func (l *leases) forgive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = time.Now()
	clear(l.heard)
}

// watchLeases gives up the masters whose lease runs out. A leader that was
// paused itself could hear of nobody, so that says nothing about the others.
func (l *leader) watchLeases() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(last) > 2*renewEvery {
			l.leases.forgive()
		}
		for _, id := range l.mastersAt() {
			if life, over := l.leases.over(id); over && id != l.n.id {
				l.n.log.Warn("a node is given up: its lease has run out", telemetry.Member(l.n.nameOf(id)))
				l.left(id, life)
			}
		}
	}
}
