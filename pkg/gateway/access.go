package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/httpapi"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// tokens lets in who shows a token of the cluster, with what its roles allow,
// and has the cluster keep a record of what they change.
type tokens struct {
	node *node.Node
	log  *slog.Logger
}

// refusal is an error whose code says what to answer.
type refusal struct{ code, text string }

func (r *refusal) Error() string     { return r.text }
func (r *refusal) ErrorCode() string { return r.code }

// Authenticate asks the node whose token it is.
func (t *tokens) Authenticate(ctx context.Context, token string) (httpapi.Caller, error) {
	if token == "" {
		return httpapi.Caller{}, &refusal{"unauthorized", "a token is missing: send it as in Authorization: Bearer muster_..., see muster token create"}
	}
	got, err := t.node.Authenticate(ctx, token)
	switch {
	case errors.Is(err, node.ErrToken):
		return httpapi.Caller{}, &refusal{"unauthorized", "the token is not good: it is none, was revoked, or has expired"}
	case err != nil:
		return httpapi.Caller{}, &refusal{"unavailable", "nobody can tell now whose token it is: " + err.Error()}
	}
	return httpapi.Caller{Name: got.Name, Token: got.ID, Roles: got.Roles}, nil
}

// everybody lets in everybody, and has it recorded from where something was
// changed.
type everybody struct{ *tokens }

// Authenticate asks for nothing.
func (everybody) Authenticate(context.Context, string) (httpapi.Caller, error) {
	return httpapi.Caller{Roles: map[string]job.Role{job.AllNamespaces: job.Admin}}, nil
}

// Record keeps what was asked for, by nobody in particular.
func (e everybody) Record(ctx context.Context, _ httpapi.Caller, n httpapi.Need, from string, status int) {
	e.keep(ctx, "anybody", n, from, status)
}

// recordTimeout bounds how long a record is waited for.
const recordTimeout = 5 * time.Second

// Record keeps what a caller asked for. What nobody asked for, whose token is
// good, is not kept: anybody could push out with it what is.
func (t *tokens) Record(ctx context.Context, c httpapi.Caller, n httpapi.Need, from string, status int) {
	if c.Token != "" {
		t.keep(ctx, fmt.Sprintf("token %s (%s)", c.Name, c.Token), n, from, status)
	}
}

func (t *tokens) keep(ctx context.Context, who string, n httpapi.Need, from string, status int) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	a := job.Audit{
		Who: who, From: from, Verb: verbOf(n.Operation), Object: objectOf(&n),
	}
	if n.Namespace != job.AllNamespaces {
		a.Namespace = n.Namespace
	}
	if status >= http.StatusBadRequest {
		a.Outcome = fmt.Sprintf("%d %s", status, http.StatusText(status))
	}
	if err := t.node.Record(ctx, a); err != nil {
		t.log.Warn("what was asked for over HTTP could not be recorded",
			slog.String("who", a.Who), slog.String("verb", a.Verb), slog.String("object", a.Object), slog.String("err", err.Error()))
	}
}

// verbOf returns an operation as the audit calls it: putJob is job.put.
func verbOf(operation string) string {
	i := strings.IndexFunc(operation, func(r rune) bool { return r >= 'A' && r <= 'Z' })
	if i < 0 {
		return operation
	}
	return strings.ToLower(operation[i:]) + "." + operation[:i]
}

// objectOf returns what a request is about: the end of its path, behind the
// namespace if it is in one.
func objectOf(n *httpapi.Need) string {
	_, rest, ok := strings.Cut(n.Target, api.Prefix+"/")
	if !ok {
		return n.Target
	}
	return cmp.Or(strings.TrimPrefix(rest, "namespaces/"+n.Namespace+"/"), rest)
}
