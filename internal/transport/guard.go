package transport

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// codedError is an error that a transport answers with in a handler's place.
type codedError struct{ code, text string }

func (e *codedError) Error() string     { return e.text }
func (e *codedError) ErrorCode() string { return e.code }

// guard runs a handler and passes its error on to finish, also if it panics
// or calls runtime.Goexit.
func (t *Transport) guard(method, from string, handle func() error, finish func(error)) {
	var err error = &codedError{CodePanic, fmt.Sprintf("the handler of %q called runtime.Goexit", method)}
	defer func() {
		if v := recover(); v != nil {
			t.cfg.Logger.Error("handler panicked", slog.String("method", method), member(from), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			err = &codedError{CodePanic, fmt.Sprintf("the handler of %q panicked: %v", method, v)}
		}
		finish(err)
	}()
	err = handle()
}

func (t *Transport) handler(method string) (Handler, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.calls[method]; h != nil {
		return h, nil
	}
	return nil, t.noMethod("call", method)
}

func (t *Transport) streamHandler(method string) (StreamHandler, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.streams[method]; h != nil {
		return h, nil
	}
	return nil, t.noMethod("stream", method)
}

func (t *Transport) noMethod(what, method string) error {
	return &codedError{CodeNoMethod, fmt.Sprintf("node %q has no handler for the %s %q: both ends must run builds that know it", t.cfg.ID, what, method)}
}

// sized refuses an answer that is too large to be sent.
func (t *Transport) sized(resp []byte) error {
	if len(resp) <= t.cfg.MaxRequest {
		return nil
	}
	return &codedError{CodeTooLarge, fmt.Sprintf("the answer has %d bytes, the limit is %d: raise MaxRequest or use a stream", len(resp), t.cfg.MaxRequest)}
}
