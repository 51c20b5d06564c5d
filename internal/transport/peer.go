package transport

import (
	"log/slog"
	"slices"
)

// peer is what a transport has to do with one other node. All of it is guarded
// by Transport.mu.
type peer struct {
	id       string
	sessions [kinds][]*session // newest last
	dials    [kinds]*dial      // under way, or nil
}

// maxSessions bounds the sessions of one kind with one peer. Two are usual for
// a while when both ends dial at once; more means that the peer keeps dialling
// because it believes the old ones dead.
const maxSessions = 4

func (p *peer) connected() bool {
	for k := range kinds {
		if p.newest(k) != nil {
			return true
		}
	}
	return false
}

// newest returns the session to use, or nil: that which was made last is the
// least likely to be dead without our knowing.
func (p *peer) newest(k kind) *session {
	for _, s := range slices.Backward(p.sessions[k]) {
		if !s.mux.IsClosed() {
			return s
		}
	}
	return nil
}

func (p *peer) idle() bool {
	for k := range kinds {
		if len(p.sessions[k]) > 0 || p.dials[k] != nil {
			return false
		}
	}
	return true
}

func (t *Transport) peerLocked(id string) *peer {
	p := t.peers[id]
	if p == nil {
		p = &peer{id: id}
		t.peers[id] = p
	}
	return p
}

// add makes s available and begins to serve it. It reports false, and closes
// s, if the transport is closed.
func (t *Transport) add(s *session) bool {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		s.mux.Close()
		return false
	}
	p := t.peerLocked(s.peer)
	stale, restarted := p.outlived(s)
	p.sessions[s.kind] = append(p.sessions[s.kind], s)
	if d := p.dials[s.kind]; d != nil {
		p.dials[s.kind] = nil
		d.finish(s, nil)
	}
	t.wg.Go(s.run)
	t.mu.Unlock()

	t.cfg.Logger.Debug("session begun", member(s.peer), slog.String("session", s.kind.String()), slog.String("addr", s.mux.RemoteAddr().String()))
	for _, old := range stale {
		old.mux.Close()
	}
	if restarted {
		t.cfg.Logger.Info("peer was restarted, or another node has its ID", member(s.peer))
		t.cfg.Lost(s.peer)
	}
	return true
}

// outlived takes out the sessions that s leaves no use for: all of an earlier
// life of the peer, and the oldest if there are too many. It reports whether
// the peer was restarted.
func (p *peer) outlived(s *session) (stale []*session, restarted bool) {
	for k := range kinds {
		p.sessions[k] = slices.DeleteFunc(p.sessions[k], func(old *session) bool {
			if old.instance == s.instance {
				return false
			}
			stale = append(stale, old)
			return true
		})
	}
	restarted = len(stale) > 0
	if list := p.sessions[s.kind]; len(list) >= maxSessions {
		stale = append(stale, list[0])
		p.sessions[s.kind] = slices.Delete(list, 0, 1)
	}
	return stale, restarted
}

// remove forgets a session that has ended.
func (t *Transport) remove(s *session) {
	t.mu.Lock()
	p := t.peers[s.peer]
	lost := false
	if p != nil {
		list := p.sessions[s.kind]
		if i := slices.Index(list, s); i >= 0 {
			p.sessions[s.kind] = slices.Delete(list, i, i+1)
			lost = !p.anySession() && !t.closed
		}
		if p.idle() {
			delete(t.peers, s.peer)
		}
	}
	t.mu.Unlock()
	t.cfg.Logger.Debug("session ended", member(s.peer), slog.String("session", s.kind.String()))
	if lost {
		t.cfg.Lost(s.peer)
	}
}

func (p *peer) anySession() bool {
	return len(p.sessions[control])+len(p.sessions[bulk]) > 0
}
