package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
)

// call calls a method of another node, or of this one.
func call[Resp, Req any](ctx context.Context, n *Node, to, method string, req Req) (Resp, error) {
	var resp Resp
	if f := n.shared[method]; f != nil && to == n.id {
		r, err := f(ctx, req)
		if err == nil {
			resp = r.(Resp)
		}
		return resp, err
	}
	b, err := codec.Marshal(req)
	if err != nil {
		return resp, fmt.Errorf("node: %s: %w", method, err)
	}
	if isAhead(method) {
		ctx = transport.Ahead(ctx)
	}
	b, err = n.transport.Call(ctx, to, method, b)
	if err != nil {
		return resp, err
	}
	if err := codec.Unmarshal(b, &resp); err != nil {
		return resp, fmt.Errorf("node: answer to %s: %w", method, err)
	}
	return resp, nil
}

// isAhead reports whether other calls wait for what a method finds out. It is
// answered without a wait for any of them.
func isAhead(method string) bool {
	switch method {
	case wire.MethodStanding, wire.MethodPromise, wire.MethodRenew, wire.MethodDescribe:
		return true
	}
	return false
}

// handle answers a method with a function from message to message.
func handle[Req, Resp any](n *Node, method string, f func(ctx context.Context, from string, req Req) (Resp, error)) {
	n.transport.Handle(method, func(ctx context.Context, from string, b []byte) ([]byte, error) {
		if err := n.awaitReady(ctx); err != nil {
			return nil, err
		}
		var req Req
		if err := codec.Unmarshal(b, &req); err != nil {
			return nil, fmt.Errorf("node: message %s: %w", method, err)
		}
		resp, err := f(ctx, from, req)
		if err != nil {
			return nil, err
		}
		return codec.Marshal(resp)
	})
}

// share is handle for what may be said of thousands of runs or tasks at a time. A
// call by this node itself is not made into bytes: both ends share what is
// passed, so neither writes to it once it has passed it on.
func share[Req, Resp any](n *Node, method string, f func(ctx context.Context, from string, req Req) (Resp, error)) {
	handle(n, method, f)
	n.shared[method] = func(ctx context.Context, req any) (any, error) {
		if err := n.awaitReady(ctx); err != nil {
			return nil, err
		}
		return f(ctx, n.id, req.(Req))
	}
}

// awaitReady makes a call that comes during the start wait for its end: others
// hear of a node before it has heard of all of them.
func (n *Node) awaitReady(ctx context.Context) error {
	select {
	case <-n.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.ctx.Done():
		return context.Cause(n.ctx)
	}
}

// is reports whether err, or what another node said, is the sentinel with the
// given code.
func is(err, sentinel error) bool {
	if err == nil || errors.Is(err, sentinel) {
		return err != nil
	}
	var remote *transport.RemoteError
	var coded interface{ ErrorCode() string }
	return errors.As(err, &remote) && errors.As(sentinel, &coded) && remote.Code == coded.ErrorCode()
}
