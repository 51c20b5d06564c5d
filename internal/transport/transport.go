// Package transport carries requests and streams between nodes. It knows
// nodes by ID and moves bytes; what they mean is not its business.
//
// Nodes talk over sessions. A session is one connection that either end may
// have dialled, and both use it alike, so a node that can only dial out is a
// full peer. With each peer there are up to two: calls go over the control
// session and streams over the bulk session, each made when it is first
// needed, so that a heavy stream never delays a call.
//
//	Call    request ──►  handler  ──► answer            one yamux stream each,
//	Open    request ──►  handler  ◄─► bytes both ways   on a shared session
//
// When things fail: a peer that is silent is given up within seconds, and
// everything in flight with it ends with an error that says whether the
// request may have been handled. A stream cut short is never taken for a whole
// one. The package does not send anything twice that a handler may have seen,
// does not try again what failed, and does not say who is alive; those who
// call it decide.
package transport

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// A Handler answers one request of a peer. Ctx ends when the caller gives up,
// the session breaks or the transport is closed, with a cause that tells
// which. Req is the handler's to keep. An error reaches the caller as a
// *RemoteError. A panic fails this request only.
type Handler = func(ctx context.Context, from string, req []byte) ([]byte, error)

// A StreamHandler serves one stream that a peer opened. The stream ends when
// it returns: with nil the peer reads the end of the data, otherwise the
// error, as a *RemoteError, after the data.
type StreamHandler = func(ctx context.Context, from string, req []byte, s Stream) error

// Transport is this node's end of all its sessions. Its methods are safe for
// concurrent use.
type Transport struct {
	cfg      Config
	instance [instanceSize]byte // tells this life of the node from its others
	listener net.Listener
	garbage  limiter // of what is logged about noise on the port
	misfits  limiter // and about peers that are refused

	ctx    context.Context // the life of the transport; ends with cause ErrClosed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool                     // guarded by mu
	calls   map[string]Handler       // guarded by mu
	streams map[string]StreamHandler // guarded by mu
	peers   map[string]*peer         // guarded by mu
}

// Listen starts a transport that accepts peers at cfg.Addr.
func Listen(cfg Config) (*Transport, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l, err := cfg.Network.Listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("transport: listen on Addr %q: %w: choose another address, or port 0 for a free one", cfg.Addr, err)
	}
	t := &Transport{
		cfg:      cfg,
		listener: l,
		calls:    make(map[string]Handler),
		streams:  make(map[string]StreamHandler),
		peers:    make(map[string]*peer),
	}
	rand.Read(t.instance[:])
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.calls[dialBack] = t.onDialBack
	t.start(t.accept)
	return t, nil
}

// Addr returns the host:port that the transport listens on.
func (t *Transport) Addr() string { return t.listener.Addr().String() }

// Handle makes h answer the calls of method. Handlers should be in place
// before peers learn the address; until then they are told CodeNoMethod. A
// method has one handler: a second is a mistake in the program, and panics.
func (t *Transport) Handle(method string, h func(ctx context.Context, from string, req []byte) ([]byte, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	register(t.calls, method, h)
}

// HandleStream makes h serve the streams opened for method, as Handle does for
// calls. The two sets of names are separate.
func (t *Transport) HandleStream(method string, h func(ctx context.Context, from string, req []byte, s Stream) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	register(t.streams, method, h)
}

func register[H any](handlers map[string]H, method string, h H) {
	if method == "" || len(method) > maxName {
		panic(fmt.Sprintf("transport: method %q: use 1 to %d bytes", method, maxName))
	}
	if _, ok := handlers[method]; ok {
		panic(fmt.Sprintf("transport: method %q has a handler already", method))
	}
	handlers[method] = h
}

// Peers returns the IDs of those that there is a session with, in order.
func (t *Transport) Peers() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for id, p := range t.peers {
		if p.connected() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Silent returns how long ago a peer was last heard of, over any session, or
// false if there is none. A peer that is not spoken to has nothing to answer.
func (t *Transport) Silent(id string) (d time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	if p == nil {
		return 0, false
	}
	for k := range kinds {
		for _, s := range p.sessions[k] {
			if since := s.conn.silent(); !ok || since < d {
				d, ok = since, true
			}
		}
	}
	return d, ok
}

// Remote returns the address at the other end of the session with a peer that
// was made last, or "" if there is none.
func (t *Transport) Remote(id string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		for k := range kinds {
			if s := p.newest(k); s != nil {
				return s.mux.RemoteAddr().String()
			}
		}
	}
	return ""
}

// Drop ends the sessions with a peer that is taken to be gone, and what is in
// flight over them. The next request dials. A session that packets were lost on
// for a while would wait about as long again, after they get through, before it
// tries.
func (t *Transport) Drop(id string) {
	t.mu.Lock()
	var all []*session
	if p := t.peers[id]; p != nil {
		for k := range kinds {
			all = append(all, p.sessions[k]...)
		}
	}
	t.mu.Unlock()
	for _, s := range all {
		s.mux.Close()
	}
}

// Close ends all sessions and what is in flight over them, and returns when
// the last goroutine has: handlers see their context end with cause ErrClosed,
// and one that does not heed it is waited for. So a handler must not call it.
// Closing again does nothing.
func (t *Transport) Close() error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()

	t.cancel(ErrClosed)
	var err error
	if first {
		err = t.listener.Close()
	}
	t.wg.Wait()
	return err
}

// start runs f in a goroutine that Close waits for. It reports whether it did,
// which it does not once the transport is closed.
func (t *Transport) start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}

// member is the attribute of a log line that names a peer, as all of the house
// calls it.
func member(id string) slog.Attr { return slog.String("member", id) }

// failing is the attribute of a log line that says what went wrong.
func failing(err error) slog.Attr { return slog.String("err", err.Error()) }
