package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// outcomes are what became of the tasks of a run, and what it returned.
func (a *server) outcomes() {
	o := get("listTasks", oneRun+"/tasks", "tasks", "List the tasks of a run that have ended for good, in the order in which they did or the latest first")
	o.text = "How many there are in all is in the progress of the run. Each page takes the same time, however many tasks there are."
	register(a, o, a.listTasks)
	o = get("listAttempts", oneRun+"/attempts", "tasks", "List the attempts at the tasks of a run that have ended, in the order in which they did or the latest first")
	register(a, o, a.listAttempts)
	o = get("getResult", oneRun+"/result", "runs", "Show what a run that is over returned, page by page")
	register(a, o, a.getResult)
	o = get("downloadResult", oneRun+"/result/download", "runs", "Download all that a run returned, one item of JSON on each line")
	o.lasting = true
	o.answers = answered("application/x-ndjson", "An Item on each line. If it breaks off, so does the connection.")
	register(a, o, a.downloadResult)
}

// Tasks says which tasks are wanted.
type Tasks struct {
	Task   string `query:"task" pattern:"^[bmr][0-9]{0,9}$" doc:"Only this task, as in m12, or tasks of this kind: b before all others, m map, r reduce."`
	Node   string `query:"node" maxLength:"200" doc:"Only those that the node of this ID executed."`
	Order  string `query:"order" enum:"asc,desc" default:"asc" doc:"asc is the first that ended first, desc the latest."`
	Cursor string `query:"cursor" maxLength:"100" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most. A page may have fewer, and not be the last."`
}

func (t *Tasks) query(state string) job.AttemptQuery {
	return job.AttemptQuery{
		Task: t.Task, Node: t.Node, Backward: t.Order == "desc", Cursor: t.Cursor, Limit: t.Limit, Succeeded: state == "succeeded", Failed: state == "failed" || state == "retried",
	}
}

func (a *server) listTasks(ctx context.Context, in *struct {
	OfRun
	Tasks
	State string `query:"state" enum:"succeeded,failed" doc:"Only tasks that ended so."`
},
) (*reply[api.Attempts], error) {
	q := in.query(in.State)
	q.Final = true
	return a.attempts(ctx, in.id(), q)
}

func (a *server) listAttempts(ctx context.Context, in *struct {
	OfRun
	Tasks
	State string `query:"state" enum:"succeeded,failed" doc:"Only attempts that ended so. Those that were followed by another have failed, too."`
},
) (*reply[api.Attempts], error) {
	return a.attempts(ctx, in.id(), in.query(in.State))
}

func (a *server) attempts(ctx context.Context, id job.RunID, q job.AttemptQuery) (*reply[api.Attempts], error) {
	page, err := a.pool.Attempts(ctx, id, q)
	if err != nil {
		return nil, a.problemOf(ctx, err, "query")
	}
	out := &reply[api.Attempts]{Body: api.Attempts{Attempts: make([]api.Attempt, len(page.Attempts))}}
	for i := range page.Attempts {
		out.Body.Attempts[i] = attemptOf(&page.Attempts[i])
	}
	out.Body.Next, out.Body.Compacted = page.Next, page.Compacted
	return out, nil
}

func attemptOf(a *job.Attempted) api.Attempt {
	out := api.Attempt{
		Task: a.Task.String(), Attempt: a.Attempt, Epoch: a.Epoch, Node: a.Node, State: "succeeded",
		Files: a.Files, Took: api.Duration(a.Took), Bytes: a.Bytes,
	}
	if f := a.Failure; f != nil {
		out.State, out.Reason, out.Quarantined = "retried", f.Reason, f.Quarantined
		if a.Final {
			out.State = "failed"
		}
	}
	return out
}

func (a *server) getResult(ctx context.Context, in *struct {
	OfRun
	Cursor string `query:"cursor" pattern:"^[0-9]{0,12}$" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
},
) (*reply[api.Result], error) {
	skip := 0
	if in.Cursor != "" {
		var err error
		if skip, err = strconv.Atoi(in.Cursor); err != nil {
			return nil, invalid("query.cursor", "want the next of the page before, or nothing", in.Cursor)
		}
	}
	if err := a.returned(ctx, in.id()); err != nil {
		return nil, err
	}
	out := &reply[api.Result]{Body: api.Result{Items: []api.Item{}}}
	at := 0
	for item, err := range a.pool.Result(ctx, in.id()) {
		if err != nil {
			return nil, err
		}
		if at++; at <= skip {
			continue
		}
		if len(out.Body.Items) == in.Limit {
			out.Body.Next = strconv.Itoa(at - 1)
			break
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	return out, nil
}

// returned refuses a run that has returned nothing, or nothing yet.
func (a *server) returned(ctx context.Context, id job.RunID) error {
	run, err := a.pool.Run(ctx, id)
	switch {
	case err != nil:
		return err
	case !run.State.Done():
		return &refused{"not-final", "the run is " + run.State.String() + ": wait for its end"}
	case run.State != job.Succeeded:
		return &refused{"final", "the run is " + run.State.String() + " and has returned nothing: " + run.Reason}
	}
	return nil
}

func (a *server) downloadResult(ctx context.Context, in *OfRun) (*streamed, error) {
	if err := a.returned(ctx, in.id()); err != nil {
		return nil, err
	}
	return &streamed{func(out huma.Context) {
		_, w := humago.Unwrap(out)
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Content-Disposition", `attachment; filename="result.ndjson"`)
		w.WriteHeader(http.StatusOK)
		e := json.NewEncoder(&patient{w, http.NewResponseController(w)})
		for item, err := range a.pool.Result(ctx, in.id()) {
			if err == nil {
				err = e.Encode(item)
			}
			if err != nil {
				a.log.Warn("a result could not be downloaded to its end", slog.String("run", string(in.id())), slog.Any("err", err))
				panic(http.ErrAbortHandler) // so that nobody takes it for all
			}
		}
	}}, nil
}

// reprDigest is a SHA-256 in hexadecimal digits as a header has it.
func reprDigest(sum string) string {
	b, _ := hex.DecodeString(sum)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(b) + ":"
}
