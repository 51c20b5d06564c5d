package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

const (
	bulksPath = "/namespaces/{namespace}/operations"
	oneBulk   = bulksPath + "/{operation}"
)

// OfOperation is the part of a path that says which bulk operation.
type OfOperation struct {
	InNamespace
	Operation string `path:"operation" maxLength:"100" example:"20260329T030000Z-cancel-k5rtmzq2" doc:"The ID of a bulk operation."`
}

// bulkRuns are what is done to many runs or jobs in the background.
func (a *server) bulkRuns() {
	o := write(job.Operator, "beginOperation", http.MethodPost, bulksPath, "operations", "Begin to do one thing to many runs or jobs, by selection or filter")
	o.status = http.StatusAccepted
	o.text = trimmed(`It goes on in the background, and what can't be done to one keeps nothing else from being done. Runs that are created later are not
		meant. To delete jobs takes a developer.`)
	register(a, o, a.beginOperation)
	o = write(job.Viewer, "previewOperation", http.MethodPost, bulksPath+"/preview", "operations", "Count the runs or jobs that would be meant; nothing is done to them")
	o.write = false
	register(a, o, a.previewOperation)
	o = get("listOperations", bulksPath, "operations", "List bulk operations by when they were asked for")
	o.text = "Those that are over are forgotten after 30 days, and of each namespace all but the latest 1000."
	register(a, o, a.listOperations)
	register(a, get("getOperation", oneBulk, "operations", "Show a bulk operation and how far it is"), a.getOperation)
	o = get("waitOperation", oneBulk+"/wait", "operations", "Show a bulk operation when it is over, or further than it was, or after a time")
	o.lasting = true
	o.text = "Asked each time for more steps than it had, it shows how far the operation is as soon as it is further."
	register(a, o, a.waitOperation)
	o = write(job.Operator, "cancelOperation", http.MethodPost, oneBulk+"/cancel", "operations", "End a bulk operation where it is; what it has done stays done")
	register(a, o, a.cancelOperation)
}

// begunOperation is an answer with an operation that was begun.
type begunOperation struct {
	Location string `header:"Location" doc:"Where the operation is, relative to the request."`
	Body     api.Operation
}

func (a *server) beginOperation(ctx context.Context, in *struct {
	InNamespace
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"Any text that is the same when the request is repeated: as long as the operation is remembered, there is one for it."`
	Body           api.Bulk
},
) (*begunOperation, error) {
	b, err := in.Body.In(in.Namespace)
	if err != nil {
		return nil, err
	}
	c, _ := ctx.Value(callerKey{}).(Caller)
	if b.Verb == job.BulkDelete {
		need := Need{Namespace: in.Namespace, Role: job.Developer}
		if err := need.unmet(&c); err != nil {
			return nil, err
		}
	}
	b.By, b.Once = cmp.Or(c.Name, "anybody"), in.IdempotencyKey
	o, err := a.pool.Bulk(ctx, b)
	if err != nil {
		return nil, err
	}
	return &begunOperation{Location: "operations/" + o.ID, Body: api.OperationOf(&o)}, nil
}

func (a *server) previewOperation(ctx context.Context, in *struct {
	InNamespace
	Body api.Bulk
},
) (*reply[api.Meant], error) {
	b, err := in.Body.In(in.Namespace)
	if err != nil {
		return nil, err
	}
	n, err := a.pool.CountBulk(ctx, b)
	return &reply[api.Meant]{Body: api.Meant{Count: n}}, err
}

func (a *server) listOperations(ctx context.Context, in *struct {
	InNamespace
	State  string `query:"state" enum:"running,done,canceled,failed" doc:"Only operations in this state."`
	Order  string `query:"order" enum:"asc,desc" default:"asc" doc:"asc is the oldest first, desc the latest."`
	Cursor string `query:"cursor" maxLength:"2000" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
},
) (*reply[api.Operations], error) {
	after, err := placeOf(in.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := a.pool.Operations(ctx, job.OperationQuery{
		Namespace: in.Namespace, State: job.OperationState(in.State), Backward: in.Order == "desc", After: after, Limit: in.Limit,
	})
	if err != nil {
		return nil, a.problemOf(ctx, err, "query")
	}
	out := &reply[api.Operations]{Body: api.Operations{Operations: make([]api.Operation, len(page.Operations))}}
	for i := range page.Operations {
		out.Body.Operations[i] = api.OperationOf(&page.Operations[i])
	}
	out.Body.Next = cursorOf(page.Next)
	return out, nil
}

func (a *server) getOperation(ctx context.Context, in *OfOperation) (*reply[api.Operation], error) {
	return operated(a.pool.Operation(ctx, in.Namespace, in.Operation))
}

// operated answers with an operation.
func operated(o job.Operation, err error) (*reply[api.Operation], error) {
	if err != nil {
		return nil, err
	}
	return &reply[api.Operation]{Body: api.OperationOf(&o)}, nil
}

func (a *server) waitOperation(ctx context.Context, in *struct {
	OfOperation
	Steps   int    `query:"steps" minimum:"0" default:"1000000000" doc:"How many steps it is to be beyond, if it is not over."`
	Timeout string `query:"timeout" default:"30s" maxLength:"20" doc:"How long at most, up to 1m." example:"30s"`
},
) (*reply[api.Operation], error) {
	wait, err := time.ParseDuration(in.Timeout)
	if err != nil || wait < 0 || wait > maxWait {
		return nil, invalid("query.timeout", "want a duration up to 1m, as in 30s", in.Timeout)
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	o, err := a.pool.AwaitOperation(waiting, in.Namespace, in.Operation, in.Steps)
	if err == nil || waiting.Err() == nil {
		return operated(o, err)
	}
	ctx, cancel = context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return operated(a.pool.Operation(ctx, in.Namespace, in.Operation))
}

func (a *server) cancelOperation(ctx context.Context, in *struct {
	OfOperation
	Body *api.Reason
},
) (*reply[api.Operation], error) {
	return operated(a.pool.CancelOperation(ctx, in.Namespace, in.Operation, reason(in.Body)))
}
