package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// maxImport bounds a file of jobs.
const maxImport = 16 << 20

// bulkJobs are what concerns specs rather than jobs: whether they can be
// declared, many at a time, and as files.
func (a *server) bulkJobs() {
	o := write(job.Viewer, "validateJob", http.MethodPost, "/namespaces/{namespace}/validate", "jobs", "Check a spec, and show when it would be due; nothing is declared")
	o.write, o.body = false, maxSpec
	register(a, o, a.validateJob)
	o = get("exportJobs", "/namespaces/{namespace}/export", "jobs", "Show the specs of all jobs, in the form that import takes")
	o.text = "Ask for application/yaml to get a file that people edit. It is refused rather than lose something: if a job has values that JSON has no word for, or more than an import takes."
	register(a, o, a.exportJobs)
	o = write(job.Developer, "importJobs", http.MethodPost, "/namespaces/{namespace}/import", "jobs", "Declare several jobs, or change them")
	o.body, o.trial = maxImport, "dry_run"
	o.text = "All are checked before the first is declared; with an error in any nothing is. Jobs that are left out stay as they are."
	register(a, o, a.importJobs)
}

func (a *server) validateJob(ctx context.Context, in *struct {
	InNamespace
	Body api.Spec
},
) (*reply[api.Validated], error) {
	spec, err := specIn(in.Namespace, "", &in.Body)
	if err != nil {
		return nil, err
	}
	if err := a.pool.CheckJob(spec); err != nil {
		return nil, err
	}
	out := &reply[api.Validated]{Body: api.Validated{Spec: api.SpecOf(&spec), Describe: inWords(spec.Schedule.When)}}
	out.Body.Fires, err = a.pool.Preview(spec.Schedule, time.Time{}, 10)
	return out, err
}

func (a *server) exportJobs(ctx context.Context, in *InNamespace) (*reply[api.Specs], error) {
	out, left := &reply[api.Specs]{Body: api.Specs{Jobs: []api.Spec{}}}, maxImport
	for after := ""; ; {
		page, err := a.pool.Jobs(ctx, in.Namespace, after, 1000)
		if err != nil {
			return nil, err
		}
		for i := range page {
			spec, err := a.exported(ctx, &page[i], &left)
			if err != nil {
				return nil, err
			}
			out.Body.Jobs = append(out.Body.Jobs, spec)
		}
		if len(page) < 1000 {
			return out, nil
		}
		after = page[len(page)-1].Spec.Name
	}
}

// exported returns the spec of a job with the values of its input, of which all
// together may have so many bytes left.
func (a *server) exported(ctx context.Context, d *job.Declared, left *int) (api.Spec, error) {
	if !d.Inline {
		return api.SpecOf(&d.Spec), nil
	}
	ns, name := d.Spec.Namespace, d.Spec.Name
	full, err := a.pool.JobWithValues(ctx, ns, name)
	if err != nil {
		return api.Spec{}, err
	}
	spec := api.SpecOf(&full.Spec)
	if !spec.Input.Sayable() {
		return spec, problem(http.StatusUnprocessableEntity, "invalid",
			fmt.Sprintf("the input of job %s/%s has values that JSON has no word for, and that an export would lose: put them in a file, or delete the job", ns, name))
	}
	b, err := json.Marshal(spec.Input)
	if *left -= len(b); err == nil && *left < 0 {
		err = problem(http.StatusUnprocessableEntity, "invalid",
			fmt.Sprintf("with the values in the input of job %s/%s an export has more than the %d bytes that an import takes: put them in a file", ns, name, maxImport))
	}
	return spec, err
}

func (a *server) importJobs(ctx context.Context, in *struct {
	InNamespace
	DryRun bool `query:"dry_run" doc:"Only check."`
	Body   api.Specs
},
) (*reply[api.Imported], error) {
	specs := make([]job.Spec, len(in.Body.Jobs))
	wrong := problem(http.StatusUnprocessableEntity, "invalid", "nothing was declared: see the fields that are wrong")
	for i := range in.Body.Jobs {
		at := fmt.Sprintf("body.jobs[%d]", i)
		var err error
		if specs[i], err = specIn(in.Namespace, "", &in.Body.Jobs[i]); err == nil {
			err = a.pool.CheckJob(specs[i])
		}
		if err = a.wrongIn(ctx, wrong, err, at); err != nil {
			return nil, err
		}
	}
	if len(wrong.Errors) > 0 {
		return nil, wrong
	}
	out := &reply[api.Imported]{Body: api.Imported{Jobs: make([]api.ImportedJob, len(specs))}}
	for i := range specs {
		made := &out.Body.Jobs[i]
		made.Namespace, made.Name = specs[i].Namespace, specs[i].Name
		old, err := a.withValues(ctx, made.Namespace, made.Name)
		if err != nil && codeOf(err) != "no-job" {
			return nil, err
		}
		if in.DryRun {
			made.Revision, made.Changed = old.Revision, err != nil || !same(&old.Spec, &specs[i])
			continue
		}
		d, err := a.pool.PutJob(ctx, specs[i], 0)
		if err != nil { // those before are declared: importing again goes on
			made.Problem = problemIn(a.problemOf(ctx, err, fmt.Sprintf("body.jobs[%d]", i)))
			continue
		}
		made.Revision, made.Changed = d.Revision, d.Revision != old.Revision
	}
	return out, nil
}

// wrongIn adds to a problem what is wrong with one of several specs. What is
// wrong with anything else it returns.
func (a *server) wrongIn(ctx context.Context, all *huma.ErrorModel, err error, at string) error {
	if err == nil {
		return nil
	}
	var p *huma.ErrorModel
	err = a.problemOf(ctx, err, at)
	if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity {
		return err
	}
	if len(p.Errors) == 0 {
		p.Errors = []*huma.ErrorDetail{{Location: at, Message: p.Detail}}
	}
	all.Errors = append(all.Errors, p.Errors...)
	return nil
}

// problemIn returns an error that is a problem as part of an answer.
func problemIn(err error) *api.Problem {
	var p *huma.ErrorModel
	if !errors.As(err, &p) {
		return &api.Problem{Status: http.StatusInternalServerError, Detail: err.Error()}
	}
	out := &api.Problem{Type: p.Type, Title: p.Title, Status: p.Status, Detail: p.Detail}
	for _, e := range p.Errors {
		out.Errors = append(out.Errors, api.ProblemField{Location: e.Location, Message: e.Message, Value: e.Value})
	}
	return out
}
