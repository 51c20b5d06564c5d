package client

import (
	"context"
	"iter"
	"strconv"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func operations(namespace string, more ...string) []string {
	return append([]string{"namespaces", namespace, "operations"}, more...)
}

// BeginOperation begins to do one thing to many runs or jobs, in the background.
// The key names the operation: as long as it is remembered, whoever asks with the
// same gets this one. Empty means one that no other request has.
func (c *Client) BeginOperation(ctx context.Context, namespace string, b api.Bulk, key string) (api.Operation, error) {
	if key == "" {
		key = newKey()
	}
	return call[api.Operation](ctx, c, post(b, operations(namespace)...).say("Idempotency-Key", key))
}

// PreviewOperation counts the runs or jobs that would be meant.
func (c *Client) PreviewOperation(ctx context.Context, namespace string, b api.Bulk) (api.Meant, error) {
	return call[api.Meant](ctx, c, post(b, operations(namespace, "preview")...))
}

// OperationQuery says which bulk operations of a namespace are wanted. The zero
// value is the first page of all.
type OperationQuery struct {
	// State is that of the operations. Empty means any.
	State job.OperationState
	// Desc is the latest first.
	Desc bool
	// Cursor is the Next of the page before, and Limit how many at most.
	Cursor string
	Limit  int
}

// ListOperations returns a page of bulk operations. See Operations for all.
func (c *Client) ListOperations(ctx context.Context, namespace string, q OperationQuery) (api.Operations, error) {
	r := get(operations(namespace)...).with("state", string(q.State)).with("cursor", q.Cursor).number("limit", q.Limit)
	if q.Desc {
		r.with("order", "desc")
	}
	return call[api.Operations](ctx, c, r)
}

// Operations yields the bulk operations of a namespace that q asks for.
func (c *Client) Operations(ctx context.Context, namespace string, q OperationQuery) iter.Seq2[api.Operation, error] {
	first := q.Cursor
	return all(func(cursor string) ([]api.Operation, string, error) {
		if q.Cursor = cursor; cursor == "" {
			q.Cursor = first
		}
		p, err := c.ListOperations(ctx, namespace, q)
		return p.Operations, p.Next, err
	})
}

// GetOperation returns a bulk operation and how far it is.
func (c *Client) GetOperation(ctx context.Context, namespace, id string) (api.Operation, error) {
	return call[api.Operation](ctx, c, get(operations(namespace, id)...))
}

// WaitOperation returns a bulk operation when it is over, however it ended. When
// ctx ends, the operation goes on.
func (c *Client) WaitOperation(ctx context.Context, namespace, id string) (api.Operation, error) {
	for {
		o, err := call[api.Operation](ctx, c, get(operations(namespace, id, "wait")...).with("timeout", "50s"))
		if err != nil || o.State.Over() {
			return o, err
		}
	}
}

// AwaitOperation returns a bulk operation when it has gone beyond so many steps,
// or is over, or, after most of a minute, as it is.
func (c *Client) AwaitOperation(ctx context.Context, namespace, id string, steps int) (api.Operation, error) {
	return call[api.Operation](ctx, c, get(operations(namespace, id, "wait")...).with("timeout", "50s").with("steps", strconv.Itoa(steps)))
}

// WatchOperation yields a bulk operation as it is, whenever it is further, and a
// last time when it is over. When ctx ends, the operation goes on.
func (c *Client) WatchOperation(ctx context.Context, namespace, id string) iter.Seq2[api.Operation, error] {
	return func(yield func(api.Operation, error) bool) {
		o, err := c.GetOperation(ctx, namespace, id)
		for yield(o, err) && err == nil && !o.State.Over() {
			o, err = c.AwaitOperation(ctx, namespace, id, o.Steps)
		}
	}
}

// CancelOperation ends a bulk operation where it is; what it has done stays done.
func (c *Client) CancelOperation(ctx context.Context, namespace, id, reason string) (api.Operation, error) {
	return call[api.Operation](ctx, c, post(api.Reason{Reason: reason}, operations(namespace, id, "cancel")...))
}
