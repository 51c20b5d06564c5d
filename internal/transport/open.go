package transport

import (
	"bytes"
	"context"
	"errors"
	"net"

	"github.com/hashicorp/yamux"
)

// Open opens a stream to a peer, whose handler of method gets req and the
// other end. It returns when the request is on its way: that there is no such
// handler shows at the first Read. When ctx ends, so does the stream. A stream
// to this node's own ID runs the handler in this process.
func (t *Transport) Open(ctx context.Context, to, method string, req []byte) (Stream, error) {
	if err := t.checkRequest(ctx, to, method, req); err != nil {
		return nil, err
	}
	if to == t.cfg.ID {
		return t.openSelf(ctx, method, req)
	}
	var opened *stream
	err := t.withSession(ctx, to, method, bulk, func(s *session) (sent bool, err error) {
		opened, err = s.openStream(ctx, method, req)
		return false, err
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// openStream opens a stream on s. An error means that nothing was sent.
func (s *session) openStream(ctx context.Context, method string, req []byte) (*stream, error) {
	free, err := s.slot(ctx)
	if err != nil {
		return nil, err
	}
	type result struct {
		stream *stream
		err    error
	}
	results := make(chan result)
	// Yamux may wait long to open one, on a stalled connection.
	if !s.t.start(func() {
		defer free()
		conn, err := s.open()
		if err != nil {
			select {
			case results <- result{err: err}:
			case <-ctx.Done():
			}
			return
		}
		st := newStream(ctx, conn, method, s.peer, func(err error) error { return s.failed(method, err) })
		st.out.buf = appendRequest(nil, method, req)
		select {
		case results <- result{stream: st}:
			s.t.runOpened(st)
		case <-ctx.Done():
			conn.Close()
		}
	}) {
		free()
		return nil, ErrClosed
	}
	select {
	case r := <-results:
		return r.stream, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// runOpened is the life of a stream at the end that opened it.
func (t *Transport) runOpened(st *stream) {
	defer context.AfterFunc(st.ctx, func() { st.stop(ended(st.ctx, st.method, st.peer)) })()
	defer context.AfterFunc(t.ctx, func() { st.stop(&failure{method: st.method, to: st.peer, kind: ErrClosed}) })()
	st.pump(t.start, func(error) {})
}

// serveStream serves one stream that the peer opened.
func (s *session) serveStream(conn *yamux.Stream) {
	method, req, ok := s.readRequest(conn)
	if !ok {
		conn.Close()
		return
	}
	s.t.serve(conn, method, s.peer, req, func(err error) error { return s.failed(method, err) })
}

// serve runs the handler of a stream over conn.
func (t *Transport) serve(conn pipe, method, from string, req []byte, broken func(error) error) {
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	st := newStream(ctx, conn, method, from, broken)
	st.served = true
	defer context.AfterFunc(t.ctx, func() { st.stop(&failure{method: method, to: from, kind: ErrClosed}) })()
	hungUp := func(err error) {
		if errors.Is(err, errNoEnd) && !t.isBroken(conn) {
			cancel(errGivenUp)
			return
		}
		cancel(broken(err))
	}
	if !t.start(func() { st.pump(t.start, hungUp) }) {
		conn.Close()
		return
	}
	h, err := t.streamHandler(method)
	finish := func(err error) {
		st.finish(err)
		<-st.gone
	}
	if err != nil {
		finish(err)
		return
	}
	t.guard(method, from, func() error { return h(ctx, from, req, st) }, finish)
}

// isBroken tells the end of a session from that of one stream, both of which
// a yamux stream reports as the end of its data.
func (t *Transport) isBroken(conn pipe) bool {
	st, ok := conn.(*yamux.Stream)
	return ok && st.Session().IsClosed()
}

// openSelf opens a stream to this node, through memory.
func (t *Transport) openSelf(ctx context.Context, method string, req []byte) (Stream, error) {
	ours, theirs := net.Pipe()
	req = bytes.Clone(req)
	broken := func(err error) error {
		if t.ctx.Err() != nil {
			return &failure{method: method, to: t.cfg.ID, kind: ErrClosed}
		}
		return &failure{method: method, to: t.cfg.ID, kind: ErrBroken, cause: err}
	}
	st := newStream(ctx, ours, method, t.cfg.ID, broken)
	if !t.start(func() { t.serve(theirs, method, t.cfg.ID, req, broken) }) {
		return nil, &failure{method: method, to: t.cfg.ID, kind: ErrClosed}
	}
	if !t.start(func() { t.runOpened(st) }) {
		ours.Close()
		return nil, &failure{method: method, to: t.cfg.ID, kind: ErrClosed}
	}
	return st, nil
}
