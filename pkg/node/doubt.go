package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
)

const (
	// patient and curt are how long a member may take to say whether it is
	// there: one that there is only a session's end or a second's silence
	// against, and one that more speaks against.
	patient = time.Second
	curt    = 700 * time.Millisecond
	// A call may fail at once because a session broke, so it is asked more than
	// once, and that long after it.
	probes     = 2
	probeAgain = 50 * time.Millisecond
	// askEvery is how often a member is asked that gossip says is gone and that
	// says itself that it is not.
	askEvery = time.Second
)

// doubt is told that there is no session with a member any more. Gossip takes
// seconds to notice that a node is gone; whoever had a session knows at once
// that something happened. A member that does not answer within the time is taken
// to be gone until it does.
func (p *peers) doubt(id string, within time.Duration) {
	p.mu.Lock()
	k := p.known[id]
	p.mu.Unlock()
	if k != nil {
		p.ifGone(k, within)
	}
}

// rumour is told that gossip has a member for dead. Gossip that was cut off
// has everybody on the other side for dead, and goes on to say so for a moment
// when it is healed. A member that answers is there, whatever is said of it.
func (p *peers) rumour(m membership.Member) {
	p.mu.Lock()
	k := p.known[m.ID]
	p.mu.Unlock()
	if k != nil && k.member.Incarnation == m.Incarnation {
		p.ifGone(k, curt) // gossip has asked it several times
	}
}

// ifGone asks a member whether it is there, unless that is being done, and forgets
// it if it does not answer within the time. As long as gossip does not have
// it, it is asked again and again: nothing else would tell.
func (p *peers) ifGone(k *peer, within time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := life{k.member.ID, k.member.Incarnation}
	if p.doubted[of] || of.id == p.n.id || p.ctx.Err() != nil {
		return
	}
	p.doubted[of] = true
	p.wg.Go(func() {
		defer func() {
			p.mu.Lock()
			delete(p.doubted, of)
			p.mu.Unlock()
		}()
		for p.answers(k, within) {
			if p.listed(k.member) || !pause(p.ctx, askEvery) || !p.isKnown(k) {
				return
			}
		}
		if p.ctx.Err() == nil && p.drop(k) {
			p.n.transport.Drop(k.member.ID)
			level, listed := slog.LevelInfo, p.listed(k.member)
			if listed {
				level = slog.LevelWarn // it neither said goodbye nor was found dead
			}
			p.n.log.Log(p.ctx, level, "member does not answer and is taken to be gone", telemetry.Member(k.member.Name))
			if listed {
				p.describe(p.ctx, k.member)
			}
		}
	})
}

// answers reports whether a member answers within a time.
func (p *peers) answers(k *peer, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	for range probes {
		_, err := call[wire.Describe](ctx, p.n, k.member.ID, wire.MethodDescribe, wire.Nothing{})
		if err == nil {
			return true
		}
		if is(err, ErrStopped) || !pause(ctx, probeAgain) {
			break
		}
	}
	return false
}

// listed reports whether gossip has this life of a member.
func (p *peers) listed(m membership.Member) bool {
	now, ok := p.n.members.Member(m.ID)
	return ok && now.Incarnation == m.Incarnation
}

// isKnown reports whether this life of a member is known.
func (p *peers) isKnown(k *peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.known[k.member.ID]
	return now != nil && now.member.Incarnation == k.member.Incarnation
}

// drop forgets a member unless there is a newer life of it. It reports whether
// it did.
func (p *peers) drop(k *peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := k.member.ID
	if now := p.known[id]; now == nil || now.member.Incarnation != k.member.Incarnation {
		return false
	}
	delete(p.known, id)
	p.changedLocked(func(w *watcher) { w.left(*k) })
	return true
}
