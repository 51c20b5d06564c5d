package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// greet is the handshake of the side that dialled.
func (t *Transport) greet(conn net.Conn, addr, to string, k kind) (*hello, error) {
	ours := t.hello(k)
	ours.want = to
	if _, err := conn.Write(ours.append(nil)); err != nil {
		return nil, fmt.Errorf("transport: %s broke off the handshake: %w", addr, err)
	}
	theirs, err := readHello(conn)
	if garbage := (*errGarbage)(nil); errors.As(err, &garbage) {
		return nil, fmt.Errorf("transport: %s answered %s, not as a node does: check that %q listens there", addr, garbage.what, to)
	}
	if err != nil {
		return nil, fmt.Errorf("transport: %s did not answer the handshake: %w: check that %q listens there", addr, err, to)
	}
	if err := t.expects(theirs, to, addr); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{confirmed}); err != nil {
		return nil, fmt.Errorf("transport: %s broke off the handshake: %w", addr, err)
	}
	return theirs, nil
}

// maxGreetings bounds the connections that were accepted and have not said
// yet who they are.
const maxGreetings = 128

// accept takes in whoever dials, until the listener is closed.
func (t *Transport) accept() {
	greetings := make(chan struct{}, maxGreetings)
	wait := time.Duration(0)
	for {
		conn, err := t.listener.Accept()
		if t.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			// It was taken from under us; sessions that there are go on.
			t.cfg.Logger.Error("connections are accepted no more", slog.String("addr", t.Addr()), failing(err))
			return
		}
		if err != nil {
			// Out of file descriptors, most likely, which passes.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			t.cfg.Logger.Error("cannot accept connections", slog.String("addr", t.Addr()), failing(err), slog.Duration("again_in", wait))
			select {
			case <-time.After(wait):
				continue
			case <-t.ctx.Done():
				return
			}
		}
		wait = 0
		select {
		case greetings <- struct{}{}:
		case <-t.ctx.Done():
			conn.Close()
			return
		}
		if !t.start(func() {
			defer func() { <-greetings }()
			t.welcome(conn)
		}) {
			conn.Close()
			return
		}
	}
}

// welcome turns a connection into a session, or closes it.
func (t *Transport) welcome(conn net.Conn) {
	conn.SetDeadline(time.Now().Add(t.cfg.DialTimeout))
	stop := context.AfterFunc(t.ctx, func() { conn.SetDeadline(past) })
	h, err := t.answer(conn)
	if !stop() {
		conn.Close()
		return
	}
	if err != nil {
		conn.Close()
		t.refused(err)
		return
	}
	conn.SetDeadline(time.Time{})
	s, err := t.newSession(conn, h, h.kind, false)
	if err != nil {
		t.cfg.Logger.Error("no session", failing(err))
		return
	}
	t.add(s)
}

// refused logs why a connection was closed: a peer that is set up wrongly and
// noise on the port each at most once in a while.
func (t *Transport) refused(err error) {
	limit := &t.misfits
	if garbage := (*errGarbage)(nil); errors.As(err, &garbage) {
		limit = &t.garbage
	}
	missed, ok := limit.allow(time.Now())
	if !ok {
		t.cfg.Logger.Debug("connection refused", failing(err))
		return
	}
	t.cfg.Logger.Warn("connection refused", failing(err), slog.Int("not_shown", missed))
}

// answer is the handshake of the side that was dialled.
func (t *Transport) answer(conn net.Conn) (*hello, error) {
	addr := conn.RemoteAddr().String()
	theirs, err := readHello(conn)
	if garbage := (*errGarbage)(nil); errors.As(err, &garbage) {
		return nil, fmt.Errorf("transport: %s sent %w, not a hello: something that is no node dials this port", addr, garbage)
	}
	if err != nil {
		return nil, fmt.Errorf("transport: %s sent %w: something that is no node dials this port", addr, &errGarbage{"no hello (" + err.Error() + ")"})
	}
	refusal := t.accepts(theirs, addr)
	ours := t.hello(theirs.kind)
	ours.accepted = refusal == nil
	if _, err := conn.Write(ours.append(nil)); err != nil && refusal == nil {
		return nil, fmt.Errorf("transport: %s broke off the handshake: %w", addr, err)
	}
	if refusal != nil {
		return nil, refusal
	}
	var b [1]byte
	if _, err := conn.Read(b[:]); err != nil || b[0] != confirmed {
		return nil, fmt.Errorf("transport: node %q at %s dialled and then did not want the session: its log says why", theirs.id, addr)
	}
	return theirs, nil
}

// limiter keeps whoever sends garbage from filling the log: it lets one line
// through, then counts for ten seconds.
type limiter struct {
	mu     sync.Mutex
	next   time.Time // guarded by mu
	missed int       // guarded by mu
}

// allow reports whether to log now, and how many times it said no before.
func (l *limiter) allow(now time.Time) (missed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next) {
		l.missed++
		return 0, false
	}
	missed, l.missed = l.missed, 0
	l.next = now.Add(10 * time.Second)
	return missed, true
}
