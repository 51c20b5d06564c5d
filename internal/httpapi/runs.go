package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

const (
	runsPath = "/namespaces/{namespace}/runs"
	oneRun   = runsPath + "/{run}"
)

func (p *OfRun) id() job.RunID { return job.RunID(p.Namespace + "/" + p.Name) }

// madeRun is an answer with a run that was made.
type madeRun struct {
	Location string `header:"Location" doc:"Where the run is, relative to the request."`
	Body     api.Run
}

// Once is the header that makes an operation one that may be repeated.
type Once struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"Any text that is the same when the request is repeated: within a day there is one run for it."`
}

func (a *server) runs() {
	o := get("listRuns", runsPath, "runs", "List runs, the latest first")
	o.text = trimmed(`The order of creation is that in which the cluster took them: pages of it stay as they are while runs come and go. Of one job it is
		that of their IDs, which is by when they were due, unless tags are asked for, too. A page looks at a bounded number of runs.`)
	register(a, o, a.listRuns)
	o = write(job.Developer, "submitRun", http.MethodPost, runsPath, "runs", "Make a run of a job that is not declared")
	o.body, o.status, o.at = maxImport, http.StatusCreated, "body"
	register(a, o, a.submitRun)
	o = write(job.Operator, "runJob", http.MethodPost, oneJob+"/runs", "runs", "Make a run of a declared job now, whatever its trigger says")
	o.status = http.StatusCreated
	register(a, o, a.runJob)
	register(a, get("getRun", oneRun, "runs", "Show a run, where it stands and what happened to it"), a.getRun)
	o = get("waitRun", oneRun+"/wait", "runs", "Show a run when it is over, or after a time")
	o.lasting = true
	o.text = "Whether it is over by then its state tells: succeeded, failed or canceled."
	register(a, o, a.waitRun)
	o = write(job.Operator, "cancelRun", http.MethodPost, oneRun+"/cancel", "runs", "Ask for a run to end early; attempts may take their time of grace")
	register(a, o, a.cancelRun)
	o = write(job.Operator, "stopRun", http.MethodPost, oneRun+"/stop", "runs", "End a run now; attempts that execute count for nothing")
	register(a, o, a.stopRun)
	o = write(job.Operator, "retryRun", http.MethodPost, oneRun+"/retry", "runs", "Make the next attempt of a run that failed or was canceled")
	o.status = http.StatusCreated
	o.text = "It is a run of its own, with the tasks that did not succeed, or with all. Whoever asks again gets the same."
	register(a, o, a.retryRun)
}

func (a *server) listRuns(ctx context.Context, in *struct {
	InNamespace
	Job    string    `query:"job" maxLength:"100" doc:"Only runs of this job."`
	State  []string  `query:"state" enum:"pending,running,succeeded,failed,canceled" doc:"Only runs in one of these states, with commas between."`
	Key    string    `query:"key" maxLength:"512" doc:"Only runs that the caller named so."`
	From   time.Time `query:"from" doc:"Only runs created at this instant or later."`
	Until  time.Time `query:"until" doc:"Only runs created before this instant."`
	Tag    []string  `query:"tag" maxItems:"16" doc:"Only runs that have all of these tags, with commas between."`
	Sort   string    `query:"sort" enum:"-created,created,job,-job" default:"-created" doc:"-created is the latest run first, created the other way round; job is by job, the first run of each first, -job the other way round."`
	Cursor string    `query:"cursor" maxLength:"2000" doc:"The next of the page before."`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most. A page may have fewer, and not be the last."`
},
) (*reply[api.Runs], error) {
	after, err := placeOf(in.Cursor)
	if err != nil {
		return nil, err
	}
	q := job.RunQuery{
		Namespace: in.Namespace, Job: in.Job, Key: in.Key, Tags: in.Tag, From: in.From, Until: in.Until,
		Order: job.RunsByCreation, Backward: in.Sort[0] == '-', After: after, Limit: in.Limit,
	}
	if strings.HasSuffix(in.Sort, "job") {
		q.Order = job.RunsByID
	}
	for _, name := range in.State {
		s, err := job.ParseState(name)
		if err != nil {
			return nil, err
		}
		q.States = append(q.States, s)
	}
	page, err := a.pool.Find(ctx, q)
	switch {
	case err != nil && strings.HasPrefix(fieldOf(err.Error()), "after"):
		return nil, invalid("query.cursor", "want the next of the page before with the same sort, or nothing", in.Cursor)
	case err != nil:
		return nil, a.problemOf(ctx, err, "query")
	}
	out := &reply[api.Runs]{Body: api.Runs{Runs: make([]api.Run, len(page.Runs))}}
	for i := range page.Runs {
		out.Body.Runs[i] = api.RunOf(&page.Runs[i])
	}
	out.Body.Next = cursorOf(page.Next)
	return out, nil
}

func (a *server) submitRun(ctx context.Context, in *struct {
	InNamespace
	Once
	Body api.Submit
},
) (*madeRun, error) {
	spec, err := specIn(in.Namespace, "", &in.Body.Spec)
	if err != nil {
		return nil, err
	}
	options, err := optionsOf(&in.Body.RunNow, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	id, err := a.pool.Submit(ctx, spec, options...)
	if err != nil {
		return nil, a.problemOf(ctx, err, "body.spec")
	}
	return a.made(ctx, id, "runs/")
}

func (a *server) runJob(ctx context.Context, in *struct {
	OfJob
	Once
	Body *api.RunNow
},
) (*madeRun, error) {
	if in.Body == nil {
		in.Body = &api.RunNow{}
	}
	options, err := optionsOf(in.Body, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	id, err := a.pool.RunJob(ctx, in.Namespace, in.Job, options...)
	if err != nil {
		return nil, err
	}
	return a.made(ctx, id, "../../runs/")
}

// remembered is for how long an Idempotency-Key stands for its run.
const remembered = 24 * time.Hour

// optionsOf returns what is said of one run.
func optionsOf(r *api.RunNow, idempotencyKey string) ([]Option, error) {
	if idempotencyKey != "" && r.Key != "" {
		return nil, invalid("header.Idempotency-Key", "want either it or body.key, which makes the run one that may be asked for again, too", idempotencyKey)
	}
	if r.Delay < 0 {
		return nil, invalid("body.delay", "want a positive duration", r.Delay.String())
	}
	if r.Delay > 0 && !r.At.IsZero() {
		return nil, invalid("body.at", "want either it or delay", r.At)
	}
	return []Option{func(run *job.Run) {
		run.Key, run.KeyFor = r.Key, time.Duration(r.KeyFor)
		if idempotencyKey != "" {
			run.Key, run.KeyFor = idempotencyKey, remembered
		}
		run.LimitKey, run.Extra = r.LimitKey, r.Extra
		run.Spec.AddTags(r.Tags...)
		run.Spec.Params = cmp.Or(r.Params, run.Spec.Params)
		run.NotBefore = r.At.UTC()
		if r.Delay > 0 {
			run.NotBefore = run.Created.Add(time.Duration(r.Delay))
		}
		if r.At.IsZero() && r.Delay == 0 {
			run.NotBefore = time.Time{}
		}
	}}, nil
}

// made answers with a run that was made, which is below a path.
func (a *server) made(ctx context.Context, id job.RunID, below string) (*madeRun, error) {
	run, err := a.pool.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	return &madeRun{Location: below + url.PathEscape(api.RunName(id)), Body: api.RunOf(&run)}, nil
}

func (a *server) getRun(ctx context.Context, in *OfRun) (*reply[api.Run], error) {
	return a.run(ctx, in.id())
}

// run returns a run with where it stands now.
func (a *server) run(ctx context.Context, id job.RunID) (*reply[api.Run], error) {
	run, err := a.pool.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	if !run.State.Done() {
		if run.Progress, err = a.pool.Progress(ctx, id); err != nil {
			return nil, err
		}
	}
	return &reply[api.Run]{Body: api.RunOf(&run)}, nil
}

// maxWait bounds how long one request waits, so that no proxy in between takes
// it for dead.
const maxWait = time.Minute

func (a *server) waitRun(ctx context.Context, in *struct {
	OfRun
	Timeout string `query:"timeout" default:"30s" maxLength:"20" doc:"How long at most, up to 1m." example:"30s"`
},
) (*reply[api.Run], error) {
	wait, err := time.ParseDuration(in.Timeout)
	if err != nil || wait < 0 || wait > maxWait {
		return nil, invalid("query.timeout", "want a duration up to 1m, as in 30s", in.Timeout)
	}
	if run, err := a.run(ctx, in.id()); err != nil || isOver(run.Body.State) {
		return run, err
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := a.pool.Wait(waiting, in.id()); err != nil && waiting.Err() == nil {
		return nil, err
	}
	ctx, cancel = context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.run(ctx, in.id())
}

func (a *server) cancelRun(ctx context.Context, in *struct {
	OfRun
	Body *api.Reason
},
) (*reply[api.Run], error) {
	if err := a.pool.Cancel(ctx, in.id(), reason(in.Body)); err != nil {
		return nil, err
	}
	return a.run(ctx, in.id())
}

func (a *server) stopRun(ctx context.Context, in *struct {
	OfRun
	Body *api.Reason
},
) (*reply[api.Run], error) {
	if err := a.pool.Stop(ctx, in.id(), reason(in.Body)); err != nil {
		return nil, err
	}
	return a.run(ctx, in.id())
}

func (a *server) retryRun(ctx context.Context, in *struct {
	OfRun
	Body *api.RetryRun
},
) (*madeRun, error) {
	id, err := a.pool.Retry(ctx, in.id(), in.Body != nil && in.Body.All)
	if err != nil {
		return nil, err
	}
	return a.made(ctx, id, "../")
}
