package httpapi

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func (a *server) namespaces() {
	o := get("listNamespaces", "/namespaces", "namespaces", "List the namespaces that there are, as far as the caller may look at them")
	o.role = anyone
	register(a, o, a.listNamespaces)
	register(a, get("getNamespace", "/namespaces/{namespace}", "namespaces", "Show what holds for all jobs of a namespace together"), a.getNamespace)
	register(a, write(job.Admin, "putNamespace", http.MethodPut, "/namespaces/{namespace}", "namespaces", "Say what holds for all jobs of a namespace together"), a.putNamespace)
}

// listNamespaces shows those that the caller may look at.
func (a *server) listNamespaces(ctx context.Context, _ *struct{}) (*reply[api.NamespaceNames], error) {
	names := map[string]bool{}
	said, err := a.pool.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	for _, ns := range said {
		names[ns.Name] = true
	}
	for after := ""; ; { // one job or run of each is enough to know of it
		jobs, err := a.pool.Jobs(ctx, "", after, 1)
		if err != nil {
			return nil, err
		}
		if len(jobs) == 0 {
			break
		}
		ns := jobs[0].Spec.Namespace
		names[ns], after = true, ns+"/"+last
	}
	for after := ""; ; {
		runs, err := a.pool.Find(ctx, job.RunQuery{After: after, Limit: 1})
		if err != nil {
			return nil, err
		}
		if after = runs.Next; len(runs.Runs) > 0 {
			ns := runs.Runs[0].ID.Namespace()
			names[ns], after = true, ns+"/"+last
		}
		if after == "" {
			break
		}
	}
	out := &reply[api.NamespaceNames]{Body: api.NamespaceNames{Namespaces: []string{}}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a.visible(ctx, name) {
			out.Body.Namespaces = append(out.Body.Namespaces, name)
		}
	}
	return out, nil
}

// last is above all names there are.
const last = "\x7f"

// visible reports whether whoever sends a request may look at a namespace.
func (a *server) visible(ctx context.Context, namespace string) bool {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return access.Visible(c.Roles, namespace)
}

func (a *server) getNamespace(ctx context.Context, in *InNamespace) (*reply[api.Namespace], error) {
	all, err := a.pool.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	out := &reply[api.Namespace]{Body: api.Namespace{Name: in.Namespace, Limits: []job.Limit{}}}
	for _, ns := range all {
		if ns.Name == in.Namespace {
			out.Body.Limits = append(out.Body.Limits, ns.Limits...)
		}
	}
	return out, nil
}

func (a *server) putNamespace(ctx context.Context, in *struct {
	InNamespace
	Body struct {
		Limits []job.Limit `json:"limits" maxItems:"10" doc:"How many of its runs go on at a time, and how often they begin, beside the limits of each job."`
	}
},
) (*reply[api.Namespace], error) {
	ns := job.Namespace{Name: in.Namespace, Limits: in.Body.Limits}
	if err := a.pool.PutNamespace(ctx, ns); err != nil {
		return nil, err
	}
	return &reply[api.Namespace]{Body: api.Namespace{Name: ns.Name, Limits: ns.Limits}}, nil
}
