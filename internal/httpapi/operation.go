package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/pkg/job"
)

// operation is what an operation says of itself besides its types.
type operation struct {
	id, method, path string
	tag, summary     string
	text             string // more for people
	role             job.Role
	write            bool
	trial            string // the parameter with which it changes nothing, if it has one
	status           int    // of an answer without an error; zero is 200
	at               string // where the fields are that refusals name
	body             int64  // most bytes of a request; zero is a MiB
	lasting          bool   // it takes as long as the caller wants
	answers          map[string]*huma.Response
}

// register serves an operation, and describes it.
func register[I, O any](a *server, o operation, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Description: o.text, Tags: []string{o.tag},
		DefaultStatus: o.status, MaxBodyBytes: o.body, BodyReadTimeout: bodyTimeout, Responses: o.answers,
		Middlewares: huma.Middlewares{a.admit(&o)},
		Security:    []map[string][]string{{"token": {}}},
		Extensions:  map[string]any{"x-role": cmp.Or(string(o.role), "anyone")},
	}
	if op.Responses != nil {
		op.Errors = []int{http.StatusNotFound} // else nothing is said of them
	}
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*O, error) {
		if !o.lasting {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.timeout)
			defer cancel()
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problemOf(ctx, err, o.at)
		}
		return out, nil
	})
}

// isTrial reports whether a request only asks what would become of it.
func (o *operation) isTrial(ctx huma.Context) bool {
	if o.trial == "" {
		return false
	}
	yes, err := strconv.ParseBool(ctx.Query(o.trial))
	return err == nil && yes
}

// bodyTimeout bounds how long a caller may take to send a body.
const bodyTimeout = 30 * time.Second

// The operations by what they do. What is read takes a viewer.

func get(id, path, tag, summary string) operation {
	return operation{id: id, method: http.MethodGet, path: path, tag: tag, summary: summary, role: job.Viewer}
}

func write(role job.Role, id, method, path, tag, summary string) operation {
	return operation{id: id, method: method, path: path, tag: tag, summary: summary, role: role, write: true, at: "body"}
}

// reply is an answer with nothing but a body.
type reply[T any] struct{ Body T }

// InNamespace is the part of a path that says where.
type InNamespace struct {
	Namespace string `path:"namespace" maxLength:"100" example:"default" doc:"A namespace."`
}

// OfJob is the part of a path that says which job.
type OfJob struct {
	InNamespace
	Job string `path:"job" maxLength:"100" example:"nightly" doc:"The name of a job."`
}

// OfRun is the part of a path that says which run.
type OfRun struct {
	InNamespace
	Name string `path:"run" maxLength:"500" example:"nightly@20260329T030000Z" doc:"The ID of a run without its namespace. A # in it is written as %23."`
}

// trimmed is text on one line of the source, for descriptions of several.
func trimmed(text string) string { return strings.Join(strings.Fields(text), " ") }
