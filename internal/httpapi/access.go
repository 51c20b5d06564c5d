package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/pkg/job"
)

// anyone is the role of what takes a token and nothing more.
const anyone job.Role = ""

// Caller is who a request comes from.
type Caller struct {
	// Name is what is recorded. Empty is somebody of whom nothing is known.
	Name string
	// Token is the ID of the token, if there was one.
	Token string
	// Roles are the caller's, as those of job.Token.
	Roles map[string]job.Role
}

// Need is what an operation takes.
type Need struct {
	// Operation is its ID, as in "runJob", and Target the path that was asked for.
	Operation, Target string
	// Namespace is where, or job.AllNamespaces.
	Namespace string
	Role      job.Role
	// Write says that it changes something.
	Write bool
}

// Access says who somebody is, and keeps a record of what was done.
type Access interface {
	// Authenticate returns whose token it is, which is empty if there was none.
	// An error with the code "unauthorized" says that it is nobody's.
	Authenticate(ctx context.Context, token string) (Caller, error)
	// Record keeps that something was done, or tried: from which address, and
	// with which status it was answered.
	Record(ctx context.Context, c Caller, n Need, from string, status int)
}

// admit is the one place where a request is let in.
func (a *server) admit(o *operation) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		ctx = huma.WithValue(ctx, operationKey{}, o.id)
		u := ctx.URL()
		need := Need{Operation: o.id, Target: u.Path, Namespace: job.AllNamespaces, Role: o.role, Write: o.write && !o.isTrial(ctx)}
		if ns := ctx.Param("namespace"); ns != "" {
			need.Namespace = ns
		}
		caller, err := a.access.Authenticate(ctx.Context(), bearer(ctx.Header("Authorization")))
		if err == nil && o.role != anyone {
			err = need.unmet(&caller)
		}
		if err != nil {
			a.refuse(ctx, err)
		} else {
			next(huma.WithValue(ctx, callerKey{}, caller))
		}
		if need.Write {
			a.access.Record(context.WithoutCancel(ctx.Context()), caller, need, ctx.RemoteAddr(), ctx.Status())
		}
	}
}

// unmet returns why a caller may not do what is needed, or nil.
func (n *Need) unmet(c *Caller) error {
	switch access.Decide(c.Roles, n.Namespace, n.Role) {
	case access.Allowed:
		return nil
	case access.Forbidden:
		return &refused{"forbidden", "this takes the role " + string(n.Role) + " in namespace " + n.Namespace + ": use a token that has it"}
	}
	return &refused{"not-found", "there is nothing of that name, or nothing that the token may see"}
}

// bearer returns the token of an Authorization header.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// refuse answers with the problem that an error is.
func (a *server) refuse(ctx huma.Context, err error) {
	p := refusal(err)
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	ctx.SetHeader("Content-Type", "application/problem+json")
	ctx.SetStatus(p.Status)
	_ = huma.DefaultJSONFormat.Marshal(ctx.BodyWriter(), p)
}

// refusal returns the problem that an error is.
func refusal(err error) *huma.ErrorModel {
	code := codeOf(err)
	status, known := statuses[code]
	if !known {
		status, code = http.StatusInternalServerError, "internal"
	}
	return problem(status, code, said(err))
}

// guarded lets those at what is no operation of the API who may look at all
// namespaces: it tells of all of them.
func (a *server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		need := Need{Operation: "metrics", Target: r.URL.Path, Namespace: job.AllNamespaces, Role: job.Viewer}
		caller, err := a.access.Authenticate(r.Context(), bearer(r.Header.Get("Authorization")))
		if err == nil {
			err = need.unmet(&caller)
		}
		if err == nil {
			h.ServeHTTP(w, r)
			return
		}
		p := refusal(err)
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		writeProblem(w, p)
	})
}

type (
	operationKey struct{}
	callerKey    struct{}
)

// operationOf returns the ID of the operation that a context is of.
func operationOf(ctx context.Context) string {
	id, _ := ctx.Value(operationKey{}).(string)
	return id
}
