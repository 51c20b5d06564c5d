package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/yamux"
)

// session is one connection with a peer. Both ends open streams on it,
// whoever dialled.
type session struct {
	t        *Transport
	peer     string
	kind     kind
	instance [instanceSize]byte
	conn     *frameConn
	mux      *yamux.Session
	out      chan struct{} // a slot for each of our calls or streams
	ahead    chan struct{} // one for each of those that are Ahead
	in       chan struct{} // a slot for each of theirs
}

// window is what a yamux stream may have on its way, in bytes.
const window = 1 << 20

// newSession begins a session over conn, after the handshake.
func (t *Transport) newSession(conn net.Conn, h *hello, k kind, dialled bool) (*session, error) {
	log := t.cfg.Logger.With(member(h.id), slog.String("session", k.String()))
	cfg := &yamux.Config{
		AcceptBacklog:       maxStreams,
		EnableKeepAlive:     true,
		KeepAliveInterval:   t.cfg.KeepAlive,
		MaxStreamWindowSize: window,
		// This bounds the wait in the queue of the session too, behind frames
		// of all other streams. The connection notices a real stall before.
		ConnectionWriteTimeout: 2 * t.cfg.WriteTimeout,
		// This is for a stream that we have closed and the peer has not, which
		// peers of ours do at once.
		StreamCloseTimeout: 30 * time.Second,
		Logger:             muxLog{log},
	}
	begin := yamux.Server
	if dialled {
		begin = yamux.Client
	}
	framed := newFrameConn(conn, &t.cfg)
	mux, err := begin(framed, cfg)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("transport: session with %q: %w", h.id, err)
	}
	kept := t.cfg.MaxStreams / keptAhead
	return &session{
		t:        t,
		peer:     h.id,
		kind:     k,
		instance: h.instance,
		conn:     framed,
		mux:      mux,
		out:      make(chan struct{}, t.cfg.MaxStreams-kept),
		ahead:    make(chan struct{}, kept),
		in:       make(chan struct{}, t.cfg.MaxStreams),
	}, nil
}

// run serves what the peer opens until the session ends.
func (s *session) run() {
	defer s.t.remove(s)
	defer s.mux.Close()
	defer context.AfterFunc(s.t.ctx, func() { s.mux.Close() })()
	for {
		st, err := s.mux.AcceptStream()
		if err != nil {
			return
		}
		select {
		case s.in <- struct{}{}:
		case <-s.mux.CloseChan():
			return
		}
		serve := s.serveCall
		if s.kind == bulk {
			serve = s.serveStream
		}
		if !s.t.start(func() {
			defer func() { <-s.in }()
			serve(st)
		}) {
			return
		}
	}
}

// keptAhead is the part of the streams of a session that is kept for those who
// are Ahead: one of so many.
const keptAhead = 8

// slot waits for leave to open one more stream. The caller gives it back by
// calling free.
func (s *session) slot(ctx context.Context) (free func(), err error) {
	line := s.out
	if isAhead(ctx) && cap(s.ahead) > 0 {
		line = s.ahead
	}
	select {
	case line <- struct{}{}:
		return func() { <-line }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.mux.CloseChan():
		return nil, errNotSent
	}
}

// errNotSent says that nothing of a request has left over a session that is
// no good any more. Another session may have it.
var errNotSent = errors.New("transport: the session ended")

// open opens a stream. An error means that nothing was sent and that the
// session is closed.
func (s *session) open() (*yamux.Stream, error) {
	st, err := s.mux.OpenStream()
	if err != nil {
		s.mux.Close()
		return nil, errNotSent
	}
	return st, nil
}

// stalled ends the session if err, which yamux returned from a stream, says
// that a write timed out: the peer may be left hanging.
func (s *session) stalled(err error) {
	if errors.Is(err, yamux.ErrConnectionWriteTimeout) {
		s.mux.Close()
	}
}

// failed makes an error of ours of one that yamux returned from a stream.
func (s *session) failed(method string, err error) error {
	s.stalled(err)
	if s.t.ctx.Err() != nil {
		return &failure{method: method, to: s.peer, kind: ErrClosed}
	}
	return &failure{method: method, to: s.peer, kind: ErrBroken, cause: err}
}

// muxLog passes on what yamux has to say, for those who debug.
type muxLog struct{ log *slog.Logger }

func (l muxLog) Print(v ...any)                 { l.pass(fmt.Sprint(v...)) }
func (l muxLog) Println(v ...any)               { l.pass(fmt.Sprint(v...)) }
func (l muxLog) Printf(format string, v ...any) { l.pass(fmt.Sprintf(format, v...)) }

func (l muxLog) pass(text string) { l.log.Debug("yamux", slog.String("says", text)) }
