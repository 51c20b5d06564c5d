package client

import (
	"context"

	"github.com/musterhq/muster/pkg/api"
)

// GetCluster returns who leads, who votes, and what is not as it should be.
func (c *Client) GetCluster(ctx context.Context) (api.Cluster, error) {
	return call[api.Cluster](ctx, c, get("cluster"))
}

// ListNodes returns the members of the pool.
func (c *Client) ListNodes(ctx context.Context) (api.Nodes, error) {
	return call[api.Nodes](ctx, c, get("nodes"))
}

// GetNode returns a member of the pool, by its ID or name.
func (c *Client) GetNode(ctx context.Context, node string) (api.Node, error) {
	return call[api.Node](ctx, c, get("nodes", node))
}

// DrainNode has a node take no more work. It returns soon; the node tells when
// it has nothing to do any more.
func (c *Client) DrainNode(ctx context.Context, node string) (api.Node, error) {
	return call[api.Node](ctx, c, post(nil, "nodes", node, "drain"))
}

// UndrainNode has a node take work again.
func (c *Client) UndrainNode(ctx context.Context, node string) error {
	return c.tell(ctx, post(nil, "nodes", node, "undrain"))
}

// ListProcessors returns what the members of the pool can run.
func (c *Client) ListProcessors(ctx context.Context) (api.Processors, error) {
	return call[api.Processors](ctx, c, get("processors"))
}

// SendEvent tells the cluster of something that has happened. An event without
// an ID is given one, so that it is told once however often it is sent.
func (c *Client) SendEvent(ctx context.Context, namespace string, e api.Event) (api.Sent, error) {
	r := post(e, "namespaces", namespace, "events")
	if e.ID == "" {
		r.say("Idempotency-Key", newKey())
	}
	return call[api.Sent](ctx, c, r)
}
