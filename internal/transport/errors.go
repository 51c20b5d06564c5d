package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// What became of a request that got no answer. Errors of Call, Open and of
// streams match one of these with errors.Is, or the error of the context that
// ended them, or are a *RemoteError.
var (
	// ErrClosed says that this transport was closed. A request that was
	// waiting for its answer may have been handled; a later one was not sent.
	ErrClosed = errors.New("transport: closed")
	// ErrUnreachable says that there is no session with the peer and none
	// could be made. The request was certainly not handled.
	ErrUnreachable = errors.New("transport: peer unreachable")
	// ErrBroken says that the session, or the other end of the stream, was
	// gone before the answer was complete. The request may have been handled.
	ErrBroken = errors.New("transport: broken off")
	// ErrTooLarge says that a request or an answer exceeds MaxRequest. A
	// request that does was not sent; an answer that does was not read, but
	// the request was handled.
	ErrTooLarge = errors.New("transport: too large")
)

// Codes of the errors that a transport answers with itself.
const (
	// CodeNoMethod says that the peer has no handler for the method.
	CodeNoMethod = "no-method"
	// CodePanic says that the handler panicked or called runtime.Goexit.
	CodePanic = "panic"
	// CodeTooLarge says that the peer accepts no request, or its handler has
	// given an answer, of that size.
	CodeTooLarge = "too-large"
	// CodeBadRequest says that the peer could not read the request.
	CodeBadRequest = "bad-request"
)

// RemoteError is the error that a handler returned, as its caller gets it.
type RemoteError struct {
	// Method is what was called.
	Method string
	// Code is what the handler's error, or one it wraps, returned from a
	// method ErrorCode() string; one of the Code constants if the transport
	// answered in its place; or empty.
	Code string
	// Message is the text of the handler's error.
	Message string
}

// Error returns the handler's text with the method before it.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("transport: %q answered: %s", e.Method, e.Message)
}

// ErrorCode returns Code, so that an error keeps its code when a handler
// passes it on to its own caller.
func (e *RemoteError) ErrorCode() string { return e.Code }

// Bounds of a RemoteError on the wire. What is longer is cut.
const (
	maxCode    = 255
	maxMessage = 16 << 10
)

// remoteError makes of a handler's error what its caller will see.
func remoteError(method string, err error) *RemoteError {
	re := &RemoteError{Method: method, Message: err.Error()}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		re.Code = coded.ErrorCode()
	}
	re.Code = re.Code[:min(len(re.Code), maxCode)]
	re.Message = re.Message[:min(len(re.Message), maxMessage)]
	return re
}

// failure is an error of ours: what was attempted, what may have happened, and
// why it did.
type failure struct {
	method, to string
	kind       error // a sentinel of this package, or the context's error
	cause      error // may be nil
}

func (f *failure) Error() string {
	what := fmt.Sprintf("transport: %q on %q", f.method, f.to)
	if f.method == "" {
		what = fmt.Sprintf("transport: %q", f.to)
	}
	return what + ": " + bare(f.kind) + reason(f.cause)
}

// Unwrap gives the cause away only if it is the caller's own: a dial that timed
// out must not look as if the caller's context had.
func (f *failure) Unwrap() []error {
	if f.cause == nil || slices.Contains(sentinels, f.kind) {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

var sentinels = []error{ErrClosed, ErrUnreachable, ErrBroken, ErrTooLarge}

func reason(cause error) string {
	if cause == nil {
		return ""
	}
	return ": " + bare(cause)
}

// bare is the text of err without our own prefix, which the text around it has
// already.
func bare(err error) string {
	const prefix = "transport: "
	s := err.Error()
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return s
}

// ended is the failure of a call or stream whose context is over.
func ended(ctx context.Context, method, to string) error {
	f := &failure{method: method, to: to, kind: ctx.Err()}
	if cause := context.Cause(ctx); cause != f.kind { //nolint:errorlint // the very error says nothing more; one that wraps it does
		f.cause = cause
	}
	return f
}
