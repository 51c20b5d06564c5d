package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/yamux"
)

// Call sends a request to a peer and returns what its handler of method
// answers. It uses the session there is or makes one. When ctx ends, so does
// the handler's, and Call returns without waiting for it. Req is not used any
// more once Call has returned. A call to this node's own ID runs the handler
// in this process, with copies as if it went over the network.
func (t *Transport) Call(ctx context.Context, to, method string, req []byte) ([]byte, error) {
	if err := t.checkRequest(ctx, to, method, req); err != nil {
		return nil, err
	}
	if to == t.cfg.ID {
		return t.callSelf(ctx, method, req)
	}
	var resp []byte
	err := t.withSession(ctx, to, method, control, func(s *session) (sent bool, err error) {
		resp, sent, err = s.call(ctx, method, req)
		return sent, err
	})
	return resp, err
}

func (t *Transport) checkRequest(ctx context.Context, to, method string, req []byte) error {
	switch {
	case ctx.Err() != nil:
		return ended(ctx, method, to)
	case t.ctx.Err() != nil:
		return &failure{method: method, to: to, kind: ErrClosed}
	case method == "" || len(method) > maxName:
		return fmt.Errorf("transport: method %q: use 1 to %d bytes", method, maxName)
	case len(req) > t.cfg.MaxRequest:
		return &failure{method: method, to: to, kind: ErrTooLarge, cause: &tooLarge{"request", uint32(len(req)), t.cfg.MaxRequest}}
	}
	return nil
}

// maxTries bounds how many sessions in a row may turn out to be dead before
// anything was sent over them.
const maxTries = 3

// withSession does something over a session with a peer, and again over
// another if the first was no good and nothing was sent.
func (t *Transport) withSession(ctx context.Context, to, method string, k kind, do func(*session) (sent bool, err error)) error {
	for try := 1; ; try++ {
		s, err := t.session(ctx, to, k)
		if err == nil {
			var sent bool
			if sent, err = do(s); sent || err == nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return ended(ctx, method, to)
		case t.ctx.Err() != nil || errors.Is(err, ErrClosed):
			return &failure{method: method, to: to, kind: ErrClosed}
		case errors.Is(err, errNotSent) && try < maxTries:
			continue
		}
		return &failure{method: method, to: to, kind: ErrUnreachable, cause: err}
	}
}

// call makes one call over s. Unless it was sent, the peer knows nothing of it.
func (s *session) call(ctx context.Context, method string, req []byte) (resp []byte, sent bool, err error) {
	free, err := s.slot(ctx)
	if err != nil {
		return nil, false, err
	}
	// The exchange has a goroutine of its own, because a write to a stalled
	// connection ends only when the session does, and ctx may end before.
	x := &exchange{session: s, method: method, request: appendRequest(nil, method, req), done: make(chan struct{})}
	if !s.t.start(func() {
		defer free()
		x.run()
	}) {
		free()
		return nil, false, ErrClosed
	}
	select {
	case <-x.done:
		return x.resp, x.sent, x.err
	case <-ctx.Done():
		x.abort()
		return nil, true, ended(ctx, method, s.peer)
	}
}

// exchange is a request on its way and the answer to it.
type exchange struct {
	session *session
	method  string
	request []byte

	mu      sync.Mutex
	stream  *yamux.Stream // guarded by mu
	aborted bool          // guarded by mu

	// Set before done is closed.
	done chan struct{}
	resp []byte
	sent bool
	err  error
}

func (x *exchange) run() {
	defer close(x.done)
	st, err := x.session.open()
	if err != nil {
		x.err = err
		return
	}
	x.sent = true
	defer st.Close()
	if !x.began(st) {
		return
	}
	if err := writePieces(st, x.request); err != nil {
		x.err = x.session.failed(x.method, err)
		return
	}
	x.request = nil
	resp, remote, err := readAnswer(st, x.method, x.session.t.cfg.MaxRequest)
	var large *tooLarge
	switch {
	case errors.As(err, &large):
		x.err = &failure{method: x.method, to: x.session.peer, kind: ErrTooLarge, cause: err}
	case err != nil:
		x.err = x.session.failed(x.method, err)
	case remote != nil:
		x.err = remote
	default:
		x.resp = resp
	}
}

// began makes st known to abort. It reports false if that was before.
func (x *exchange) began(st *yamux.Stream) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stream = st
	return !x.aborted
}

// abort makes run give up and close the stream, which tells the peer.
func (x *exchange) abort() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.aborted = true
	if x.stream != nil {
		x.stream.SetDeadline(past)
	}
}

// callSelf answers a call to this node.
func (t *Transport) callSelf(ctx context.Context, method string, req []byte) ([]byte, error) {
	type answer struct {
		resp []byte
		err  error
	}
	req = bytes.Clone(req)
	answers := make(chan answer, 1)
	hctx, cancel := context.WithCancelCause(t.ctx)
	if !t.start(func() {
		defer cancel(nil)
		t.handle(hctx, method, t.cfg.ID, req, func(resp []byte, err error) {
			answers <- answer{bytes.Clone(resp), err}
		})
	}) {
		cancel(nil)
		return nil, &failure{method: method, to: t.cfg.ID, kind: ErrClosed}
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, remoteError(method, a.err)
		}
		return a.resp, nil
	case <-ctx.Done():
		cancel(errGivenUp)
		return nil, ended(ctx, method, t.cfg.ID)
	case <-t.ctx.Done():
		return nil, &failure{method: method, to: t.cfg.ID, kind: ErrClosed}
	}
}
