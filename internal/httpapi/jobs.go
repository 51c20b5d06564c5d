package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"reflect"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

const (
	jobsPath = "/namespaces/{namespace}/jobs"
	oneJob   = jobsPath + "/{job}"
	// maxSpec is room for the inline input that a job may be declared with.
	maxSpec = 4 << 20
)

// withTag is a job with its revision as the ETag.
type withTag struct {
	ETag     string `header:"ETag" doc:"The revision, in quotes, for If-Match."`
	Location string `header:"Location" doc:"Where the job is, relative to the request."`
	Status   int
	Body     api.Job
}

func (a *server) jobs() {
	register(a, get("listJobs", jobsPath, "jobs", "List jobs in the order of their names"), a.listJobs)
	o := write(job.Developer, "createJob", http.MethodPost, jobsPath, "jobs", "Declare a job that there is not")
	o.body, o.status = maxSpec, http.StatusCreated
	o.text = "Declared again, and exactly so, it is the job that there is. Another one of the name is refused."
	register(a, o, a.createJob)
	register(a, get("getJob", oneJob, "jobs", "Show a job and what became of its fires"), a.getJob)
	o = write(job.Developer, "putJob", http.MethodPut, oneJob, "jobs", "Declare a job, or change the one of that name")
	o.body = maxSpec
	o.text = "With If-Match the job must be at that revision, else nothing is changed. What is saved again unchanged stays the revision that it was."
	register(a, o, a.putJob)
	o = write(job.Developer, "deleteJob", http.MethodDelete, oneJob, "jobs", "Remove a job; its runs stay")
	o.status = http.StatusNoContent
	register(a, o, a.deleteJob)
	o = write(job.Operator, "pauseJob", http.MethodPost, oneJob+"/pause", "jobs", "Let no more runs of a job begin")
	o.status = http.StatusNoContent
	register(a, o, a.pauseJob)
	o = write(job.Operator, "resumeJob", http.MethodPost, oneJob+"/resume", "jobs", "Let runs of a job begin again")
	o.status = http.StatusNoContent
	register(a, o, a.resumeJob)
	register(a, get("listRevisions", oneJob+"/revisions", "jobs", "Show what a job has been declared as, the present revision first"), a.listRevisions)
	register(a, get("nextFires", oneJob+"/next", "jobs", "Show when a job is due next"), a.nextFires)
	register(a, write(job.Developer, "backfillJob", http.MethodPost, oneJob+"/backfill", "jobs", "Make runs for past fires of a job, at most 1000 at a time"), a.backfillJob)
	a.bulkJobs()
}

func (a *server) listJobs(ctx context.Context, in *struct {
	InNamespace
	Cursor string `query:"cursor" maxLength:"1000" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
},
) (*reply[api.Jobs], error) {
	after, err := placeOf(in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := a.pool.Jobs(ctx, in.Namespace, after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &reply[api.Jobs]{Body: api.Jobs{Jobs: make([]api.Job, len(all))}}
	for i := range all {
		out.Body.Jobs[i] = api.JobOf(&all[i])
	}
	if n := len(all); n > 0 && n == in.Limit {
		out.Body.Next = cursorOf(all[n-1].Spec.Name)
	}
	return out, nil
}

func (a *server) getJob(ctx context.Context, in *OfJob) (*withTag, error) {
	d, err := a.withValues(ctx, in.Namespace, in.Job)
	if err != nil {
		return nil, err
	}
	return tagged(&d, http.StatusOK), nil
}

// withValues returns a job with the values of its input, if it has some.
func (a *server) withValues(ctx context.Context, namespace, name string) (job.Declared, error) {
	d, err := a.pool.Job(ctx, namespace, name)
	if err != nil || !d.Inline {
		return d, err
	}
	return a.pool.JobWithValues(ctx, namespace, name)
}

func tagged(d *job.Declared, status int) *withTag {
	return &withTag{ETag: etag(d.Revision), Status: status, Body: api.JobOf(d)}
}

func (a *server) createJob(ctx context.Context, in *struct {
	InNamespace
	Body api.Spec
},
) (*withTag, error) {
	spec, err := specIn(in.Namespace, "", &in.Body)
	if err != nil {
		return nil, err
	}
	d, err := a.pool.CreateJob(ctx, spec)
	if err != nil {
		return nil, err
	}
	out := tagged(&d, http.StatusCreated)
	out.Location = "jobs/" + url.PathEscape(d.Spec.Name)
	return out, nil
}

// same reports whether two specs say the same.
func same(a, b *job.Spec) bool { return reflect.DeepEqual(api.SpecOf(a), api.SpecOf(b)) }

func (a *server) putJob(ctx context.Context, in *struct {
	OfJob
	IfMatch string `header:"If-Match" doc:"The revision that the job must be at, in quotes."`
	Body    api.Spec
},
) (*withTag, error) {
	expect, err := expected(in.IfMatch)
	if err != nil {
		return nil, err
	}
	spec, err := specIn(in.Namespace, in.Job, &in.Body)
	if err != nil {
		return nil, err
	}
	d, err := a.pool.PutJob(ctx, spec, expect)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if d.Revision == 1 {
		status = http.StatusCreated
	}
	return tagged(&d, status), nil
}

// specIn returns the spec of a job that the path names, in whole or in part.
func specIn(namespace, name string, s *api.Spec) (job.Spec, error) {
	if s.Namespace != "" && s.Namespace != namespace {
		return job.Spec{}, invalid("body.namespace", "want the namespace of the path, "+namespace+", or nothing", s.Namespace)
	}
	if name != "" && s.Name != "" && s.Name != name {
		return job.Spec{}, invalid("body.name", "want the name of the path, "+name+", or nothing", s.Name)
	}
	spec, err := s.Job()
	if err != nil {
		return spec, err
	}
	spec.Namespace = namespace
	if name != "" {
		spec.Name = name
	}
	return spec.WithDefaults(), nil
}

// none is an answer without a body.
type none struct{}

func (a *server) deleteJob(ctx context.Context, in *OfJob) (*none, error) {
	return nil, a.pool.DeleteJob(ctx, in.Namespace, in.Job)
}

func (a *server) pauseJob(ctx context.Context, in *struct {
	OfJob
	Body *api.Reason
},
) (*none, error) {
	if _, err := a.pool.Job(ctx, in.Namespace, in.Job); err != nil {
		return nil, err // else a name that is mistyped would be paused
	}
	return nil, a.pool.PauseJob(ctx, in.Namespace, in.Job, reason(in.Body))
}

func reason(r *api.Reason) string {
	if r == nil {
		return ""
	}
	return r.Reason
}

func (a *server) resumeJob(ctx context.Context, in *OfJob) (*none, error) {
	return nil, a.pool.ResumeJob(ctx, in.Namespace, in.Job)
}

func (a *server) listRevisions(ctx context.Context, in *OfJob) (*reply[api.Revisions], error) {
	all, err := a.pool.Revisions(ctx, in.Namespace, in.Job)
	if err != nil {
		return nil, err
	}
	out := &reply[api.Revisions]{Body: api.Revisions{Revisions: make([]api.Revision, len(all))}}
	for i := range all {
		out.Body.Revisions[i] = api.Revision{Revision: all[i].Revision, Saved: all[i].Saved, Spec: api.SpecOf(&all[i].Spec)}
	}
	return out, nil
}

func (a *server) nextFires(ctx context.Context, in *struct {
	OfJob
	N int `query:"n" minimum:"1" maximum:"1000" default:"10" doc:"How many."`
},
) (*reply[api.NextFires], error) {
	d, err := a.pool.Job(ctx, in.Namespace, in.Job)
	if err != nil {
		return nil, err
	}
	fires, err := a.pool.NextFires(ctx, in.Namespace, in.Job, in.N)
	if err != nil {
		return nil, err
	}
	return &reply[api.NextFires]{Body: api.NextFires{Describe: inWords(d.Spec.Schedule.When), Fires: fires}}, nil
}

// inWords says when a trigger is due, or nothing of what is none.
func inWords(when string) string {
	t, err := trigger.Parse(when)
	if when == "" || err != nil {
		return ""
	}
	return trigger.Describe(t)
}

func (a *server) backfillJob(ctx context.Context, in *struct {
	OfJob
	Body api.Backfill
},
) (*reply[api.Backfilled], error) {
	if !in.Body.Until.After(in.Body.From) {
		return nil, invalid("body.until", "want an instant after from", in.Body.Until)
	}
	made, rest, err := a.pool.Backfill(ctx, in.Namespace, in.Job, in.Body.From, in.Body.Until)
	if err != nil {
		return nil, err
	}
	return &reply[api.Backfilled]{Body: api.Backfilled{Made: made, Rest: rest}}, nil
}
