package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// errGivenUp is why a handler's context ends when its caller is gone.
var errGivenUp = errors.New("transport: the caller gave up")

// exchangeTimeout bounds the reading of one request and the writing of one
// answer, which peers of ours do without a pause.
const exchangeTimeout = 2 * time.Minute

// past is a deadline that ends at once whatever waits.
var past = time.Unix(1, 0)

// handle runs the handler of a call and passes what it did on to finish.
func (t *Transport) handle(ctx context.Context, method, from string, req []byte, finish func([]byte, error)) {
	h, err := t.handler(method)
	if err != nil {
		finish(nil, err)
		return
	}
	var resp []byte
	t.guard(method, from, func() (err error) {
		if resp, err = h(ctx, from, req); err == nil {
			err = t.sized(resp)
		}
		return err
	}, func(err error) { finish(resp, err) })
}

// serveCall answers one call of the peer.
func (s *session) serveCall(st *yamux.Stream) {
	defer st.Close()
	method, req, ok := s.readRequest(st)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancelCause(s.t.ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	if !s.t.start(func() {
		defer close(watching)
		s.watch(st, cancel)
	}) {
		return
	}
	s.t.handle(ctx, method, s.peer, req, func(resp []byte, err error) {
		st.SetWriteDeadline(time.Now().Add(exchangeTimeout))
		s.answer(st, method, resp, err)
		st.SetReadDeadline(past)
		<-watching
	})
}

// readRequest reads a request, or answers itself if that is not possible.
func (s *session) readRequest(st *yamux.Stream) (method string, req []byte, ok bool) {
	st.SetReadDeadline(time.Now().Add(exchangeTimeout))
	method, req, err := readRequest(st, s.t.cfg.MaxRequest)
	if err == nil {
		st.SetReadDeadline(time.Time{})
		return method, req, true
	}
	var large *tooLarge
	if errors.As(err, &large) {
		err = &codedError{CodeTooLarge, err.Error()}
	} else {
		err = &codedError{CodeBadRequest, fmt.Sprintf("transport: the request cannot be read: %v", err)}
	}
	st.SetWriteDeadline(time.Now().Add(exchangeTimeout))
	if s.kind == control {
		s.answer(st, method, nil, err)
	} else if _, err := st.Write(appendAnswer(nil, frameError, appendError(nil, remoteError(method, err)))); err != nil {
		s.stalled(err)
	}
	// The peer may still be writing, and reads the answer only after that. How
	// that ends is all the same.
	_, _ = io.Copy(io.Discard, st)
	return "", nil, false
}

func (s *session) answer(st *yamux.Stream, method string, resp []byte, err error) {
	status := byte(statusOK)
	if err != nil {
		status, resp = statusError, appendError(nil, remoteError(method, err))
	}
	if err := writePieces(st, appendAnswer(nil, status, resp)); err != nil {
		s.stalled(err)
	}
}

// watch ends the handler of a call when the caller closes the stream, which it
// does before the answer only if it gives up.
func (s *session) watch(st *yamux.Stream, cancel context.CancelCauseFunc) {
	var b [1]byte
	_, err := st.Read(b[:])
	switch {
	case s.t.ctx.Err() != nil:
		cancel(ErrClosed)
	case s.mux.IsClosed():
		cancel(ErrBroken)
	case err != nil && isTimeout(err):
		// The answer is out.
	default:
		cancel(errGivenUp)
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
