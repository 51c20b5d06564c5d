package client

import (
	"context"
	"net/http"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// ListTokens returns the tokens, without their secrets.
func (c *Client) ListTokens(ctx context.Context) (api.Tokens, error) {
	return call[api.Tokens](ctx, c, get("tokens"))
}

// CreateToken makes a token, whose text is in the answer and nowhere else.
func (c *Client) CreateToken(ctx context.Context, t api.NewToken) (api.MadeToken, error) {
	return call[api.MadeToken](ctx, c, post(t, "tokens"))
}

// RevokeToken makes a token good for nothing, by its ID.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.tell(ctx, &request{method: http.MethodDelete, path: []string{"tokens", id}})
}

// ListAudit returns a page of who changed what, the latest first. A page may have
// fewer records than its limit, or none, and still a next one.
func (c *Client) ListAudit(ctx context.Context, q job.AuditQuery) (job.AuditPage, error) {
	r := get("audit").with("who", q.Who).with("verb", q.Verb).with("namespace", q.Namespace).with("object", q.Object).
		instant("since", q.Since).instant("until", q.Until).with("cursor", q.Cursor).number("limit", q.Limit)
	return call[job.AuditPage](ctx, c, r)
}
