package transport

import (
	"context"
	"fmt"
	"sync"
)

// dial is one attempt to get a session with a peer, shared by all who wait
// for it. A session that the peer dialled meanwhile serves as well.
type dial struct {
	once    sync.Once
	done    chan struct{} // closed when session or err is set
	session *session
	err     error
}

func (d *dial) finish(s *session, err error) {
	d.once.Do(func() {
		d.session, d.err = s, err
		close(d.done)
	})
}

// session returns a session with a peer, which it makes if there is none.
func (t *Transport) session(ctx context.Context, to string, k kind) (*session, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, ErrClosed
	}
	p := t.peerLocked(to)
	if s := p.newest(k); s != nil {
		t.mu.Unlock()
		return s, nil
	}
	d := t.dialLocked(p, k)
	t.mu.Unlock()
	return d.wait(ctx)
}

// dialLocked returns the dial that is under way, or begins one.
func (t *Transport) dialLocked(p *peer, k kind) *dial {
	if d := p.dials[k]; d != nil {
		return d
	}
	d := &dial{done: make(chan struct{})}
	p.dials[k] = d
	t.wg.Go(func() {
		err := t.connect(d, p.id, k)
		t.mu.Lock()
		defer t.mu.Unlock()
		if p.dials[k] == d {
			p.dials[k] = nil
		}
		if p.idle() && t.peers[p.id] == p {
			delete(t.peers, p.id)
		}
		d.finish(nil, err)
	})
	return d
}

func (d *dial) wait(ctx context.Context) (*session, error) {
	select {
	case <-d.done:
		return d.session, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect sees to it that d gets its session: it dials the peer, or if that
// cannot be, asks it over the control session to dial us.
func (t *Transport) connect(d *dial, to string, k kind) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.cfg.DialTimeout)
	defer cancel()
	if k == control {
		return t.dial(ctx, to, k)
	}
	// Bulk comes after control, so that whoever has a bulk session with us can
	// call us as well.
	s, err := t.session(ctx, to, control)
	if err != nil {
		return err
	}
	err = t.dial(ctx, to, k)
	if err == nil {
		return nil
	}
	if _, _, e := s.call(ctx, dialBack, []byte{byte(k)}); e != nil {
		return fmt.Errorf("%w; and it could not dial back: %s", err, bare(e))
	}
	_, err = d.wait(ctx)
	return err
}

// dial makes a session with a peer at the address it resolves to.
func (t *Transport) dial(ctx context.Context, to string, k kind) error {
	addr, ok := t.cfg.Resolve(to)
	if !ok {
		return fmt.Errorf("transport: no address of %q is known and it has not dialled this node: see that it joins", to)
	}
	conn, err := t.cfg.Network.Dial(ctx, addr)
	if err != nil {
		return fmt.Errorf("transport: dial %q at %s: %w", to, addr, err)
	}
	// The end of ctx must end the handshake, whatever it waits for.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	h, err := t.greet(conn, addr, to, k)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return err
	}
	s, err := t.newSession(conn, h, k, true)
	if err != nil {
		return err
	}
	if !t.add(s) {
		return ErrClosed
	}
	return nil
}

// dialBack is the method by which a node that has no address of a peer asks
// it for a session of the kind that the request names.
const dialBack = "transport.dial"

// onDialBack dials even if there is a session, for whoever asks has none.
func (t *Transport) onDialBack(ctx context.Context, from string, req []byte) ([]byte, error) {
	if len(req) != 1 || kind(req[0]) != bulk {
		return nil, fmt.Errorf("transport: %q asks for a session of kind %v: only bulk (%d) can be asked for", from, req, bulk)
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, ErrClosed
	}
	d := t.dialLocked(t.peerLocked(from), bulk)
	t.mu.Unlock()
	_, err := d.wait(ctx)
	return nil, err
}
