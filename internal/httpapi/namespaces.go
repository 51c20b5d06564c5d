package httpapi

import (
	"context"
	"net/http"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func (a *server) namespaces() {
	register(a, get("getNamespace", "/namespaces/{namespace}", "namespaces", "Show what holds for all jobs of a namespace together"), a.getNamespace)
	register(a, write(Admin, "putNamespace", http.MethodPut, "/namespaces/{namespace}", "namespaces", "Say what holds for all jobs of a namespace together"), a.putNamespace)
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
}) (*reply[api.Namespace], error) {
	ns := job.Namespace{Name: in.Namespace, Limits: in.Body.Limits}
	if err := a.pool.PutNamespace(ctx, ns); err != nil {
		return nil, err
	}
	return &reply[api.Namespace]{Body: api.Namespace{Name: ns.Name, Limits: ns.Limits}}, nil
}
