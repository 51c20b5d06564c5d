package client

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// jobs is the path of the jobs of a namespace.
func jobs(namespace string, more ...string) []string {
	return append([]string{"namespaces", namespace, "jobs"}, more...)
}

// ListJobs returns a page of at most limit jobs, in the order of their names,
// behind the page whose Next is the cursor. See Jobs for all of them.
func (c *Client) ListJobs(ctx context.Context, namespace, cursor string, limit int) (api.Jobs, error) {
	return call[api.Jobs](ctx, c, get(jobs(namespace)...).with("cursor", cursor).number("limit", limit))
}

// Jobs yields all jobs of a namespace, in the order of their names.
func (c *Client) Jobs(ctx context.Context, namespace string) iter.Seq2[api.Job, error] {
	return all(func(cursor string) ([]api.Job, string, error) {
		p, err := c.ListJobs(ctx, namespace, cursor, 1000)
		return p.Jobs, p.Next, err
	})
}

// all yields what is on all pages.
func all[T any](page func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			items, next, err := page(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if cursor = next; cursor == "" {
				return
			}
		}
	}
}

// CreateJob declares a job that there is not.
func (c *Client) CreateJob(ctx context.Context, namespace string, spec api.Spec) (api.Job, error) {
	return call[api.Job](ctx, c, post(spec, jobs(namespace)...))
}

// GetJob returns a job, and what became of its fires.
func (c *Client) GetJob(ctx context.Context, namespace, name string) (api.Job, error) {
	return call[api.Job](ctx, c, get(jobs(namespace, name)...))
}

// PutJob declares a job, or changes the one of that name. If expect is not zero
// the job must be at that revision, else the problem has the status 412.
func (c *Client) PutJob(ctx context.Context, namespace, name string, spec api.Spec, expect uint64) (api.Job, error) {
	r := &request{method: http.MethodPut, path: jobs(namespace, name), body: spec}
	if expect != 0 {
		r.say("If-Match", strconv.Quote(strconv.FormatUint(expect, 10)))
	}
	return call[api.Job](ctx, c, r)
}

// DeleteJob removes a job; its runs stay.
func (c *Client) DeleteJob(ctx context.Context, namespace, name string) error {
	return c.tell(ctx, &request{method: http.MethodDelete, path: jobs(namespace, name)})
}

// PauseJob lets no more runs of a job begin.
func (c *Client) PauseJob(ctx context.Context, namespace, name, reason string) error {
	return c.tell(ctx, post(api.Reason{Reason: reason}, jobs(namespace, name, "pause")...))
}

// ResumeJob lets runs of a job begin again.
func (c *Client) ResumeJob(ctx context.Context, namespace, name string) error {
	return c.tell(ctx, post(nil, jobs(namespace, name, "resume")...))
}

// ListRevisions returns what a job has been declared as, the present first.
func (c *Client) ListRevisions(ctx context.Context, namespace, name string) (api.Revisions, error) {
	return call[api.Revisions](ctx, c, get(jobs(namespace, name, "revisions")...))
}

// NextFires returns the next n fires of a job; 0 means 10.
func (c *Client) NextFires(ctx context.Context, namespace, name string, n int) (api.NextFires, error) {
	return call[api.NextFires](ctx, c, get(jobs(namespace, name, "next")...).number("n", n))
}

// BackfillJob makes runs for past fires of a job, at most 1000 at a time.
func (c *Client) BackfillJob(ctx context.Context, namespace, name string, from, until time.Time) (api.Backfilled, error) {
	return call[api.Backfilled](ctx, c, post(api.Backfill{From: from, Until: until}, jobs(namespace, name, "backfill")...))
}

// ValidateJob checks a spec, and shows when it would be due.
func (c *Client) ValidateJob(ctx context.Context, namespace string, spec api.Spec) (api.Validated, error) {
	return call[api.Validated](ctx, c, post(spec, "namespaces", namespace, "validate"))
}

// ExportJobs returns the specs of all jobs of a namespace.
func (c *Client) ExportJobs(ctx context.Context, namespace string) (api.Specs, error) {
	return call[api.Specs](ctx, c, get("namespaces", namespace, "export"))
}

// ImportJobs declares several jobs, or changes them, if nothing is wrong with
// any. With dryRun it only says what it would change.
func (c *Client) ImportJobs(ctx context.Context, namespace string, specs api.Specs, dryRun bool) (api.Imported, error) {
	r := post(specs, "namespaces", namespace, "import")
	if dryRun {
		r.with("dry_run", "true")
	}
	return call[api.Imported](ctx, c, r)
}

// PreviewTrigger shows when a schedule would be due.
func (c *Client) PreviewTrigger(ctx context.Context, p api.Preview) (api.NextFires, error) {
	return call[api.NextFires](ctx, c, post(p, "preview"))
}

// ListNamespaces returns the namespaces that there are, as far as the caller may
// look at them.
func (c *Client) ListNamespaces(ctx context.Context) (api.NamespaceNames, error) {
	return call[api.NamespaceNames](ctx, c, get("namespaces"))
}

// GetNamespace returns what holds for all jobs of a namespace together.
func (c *Client) GetNamespace(ctx context.Context, namespace string) (api.Namespace, error) {
	return call[api.Namespace](ctx, c, get("namespaces", namespace))
}

// PutNamespace says what holds for all jobs of a namespace together.
func (c *Client) PutNamespace(ctx context.Context, namespace string, limits []job.Limit) (api.Namespace, error) {
	body := map[string]any{"limits": append([]job.Limit{}, limits...)}
	return call[api.Namespace](ctx, c, &request{method: http.MethodPut, path: []string{"namespaces", namespace}, body: body})
}
