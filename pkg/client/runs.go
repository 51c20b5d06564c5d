package client

import (
	"context"
	"crypto/rand"
	"iter"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// run is the path of a run.
func run(id job.RunID, more ...string) []string {
	return append([]string{"namespaces", id.Namespace(), "runs", api.RunName(id)}, more...)
}

// newKey is a key that no other request has.
func newKey() string { return strings.ToLower(rand.Text()) }

// RunQuery says which runs of a namespace are wanted. The zero value is the first
// page of all.
type RunQuery struct {
	// Job, States and Key are those of the runs. Empty means any.
	Job    string
	States []string
	Key    string
	// Tags are those that a run has, all of them.
	Tags []string
	// From and Until bound when they were created, the second exclusive.
	From, Until time.Time
	// Sort is by what: "-created", the latest run first, "created", "job" for by job
	// and, of a job, by when they were due, or "-job". Empty means "-created".
	Sort string
	// Cursor is the Next of the page before, and Limit how many at most.
	Cursor string
	Limit  int
}

// ListRuns returns a page of runs. See Runs for all of them.
func (c *Client) ListRuns(ctx context.Context, namespace string, q RunQuery) (api.Runs, error) {
	r := get("namespaces", namespace, "runs").with("job", q.Job).with("state", strings.Join(q.States, ",")).with("key", q.Key).
		with("tag", strings.Join(q.Tags, ",")).with("sort", q.Sort).instant("from", q.From).instant("until", q.Until).with("cursor", q.Cursor).number("limit", q.Limit)
	return call[api.Runs](ctx, c, r)
}

// Runs yields the runs of a namespace that q asks for.
func (c *Client) Runs(ctx context.Context, namespace string, q RunQuery) iter.Seq2[api.Run, error] {
	first := q.Cursor
	return all(func(cursor string) ([]api.Run, string, error) {
		if q.Cursor = cursor; cursor == "" {
			q.Cursor = first
		}
		p, err := c.ListRuns(ctx, namespace, q)
		return p.Runs, p.Next, err
	})
}

// SubmitRun makes a run of a job that is not declared.
func (c *Client) SubmitRun(ctx context.Context, namespace string, s api.Submit) (api.Run, error) {
	return call[api.Run](ctx, c, once(&s.RunNow, post(s, "namespaces", namespace, "runs")))
}

// RunJob makes a run of a declared job now, whatever its trigger says.
func (c *Client) RunJob(ctx context.Context, namespace, name string, r api.RunNow) (api.Run, error) {
	return call[api.Run](ctx, c, once(&r, post(r, jobs(namespace, name, "runs")...)))
}

// once makes a request for a run one that may be sent again, unless the caller
// has done so.
func once(r *api.RunNow, req *request) *request {
	if r.Key == "" {
		req.say("Idempotency-Key", newKey())
	}
	return req
}

// GetRun returns a run, where it stands and what happened to it.
func (c *Client) GetRun(ctx context.Context, id job.RunID) (api.Run, error) {
	return call[api.Run](ctx, c, get(run(id)...))
}

// WaitRun returns a run when it is over, however it ended. When ctx ends, the run
// goes on.
func (c *Client) WaitRun(ctx context.Context, id job.RunID) (api.Run, error) {
	for {
		r, err := call[api.Run](ctx, c, get(run(id, "wait")...).with("timeout", "50s"))
		if err != nil || over(r.State) {
			return r, err
		}
	}
}

func over(state string) bool {
	s, err := job.ParseState(state)
	return err == nil && s.Done()
}

// CancelRun asks for a run to end early; attempts may take their time of grace.
func (c *Client) CancelRun(ctx context.Context, id job.RunID, reason string) (api.Run, error) {
	return call[api.Run](ctx, c, post(api.Reason{Reason: reason}, run(id, "cancel")...))
}

// StopRun ends a run now; attempts that execute count for nothing.
func (c *Client) StopRun(ctx context.Context, id job.RunID, reason string) (api.Run, error) {
	return call[api.Run](ctx, c, post(api.Reason{Reason: reason}, run(id, "stop")...))
}

// RetryRun makes the next attempt of a run that failed or was canceled, with the
// tasks that did not succeed, or with all. Whoever asks again gets the same.
func (c *Client) RetryRun(ctx context.Context, id job.RunID, all bool) (api.Run, error) {
	return call[api.Run](ctx, c, post(api.RetryRun{All: all}, run(id, "retry")...))
}

// TaskQuery says which tasks of a run, or attempts at them, are wanted.
type TaskQuery struct {
	// Task is the ID of a task, as in "m12", or a kind of tasks: "b", "m" or "r".
	// Node is the ID of the node that executed them, State how they ended,
	// "succeeded" or "failed". Empty means any.
	Task, Node, State string
	// Desc is the latest first.
	Desc bool
	// Cursor is the Next of the page before, and Limit how many at most.
	Cursor string
	Limit  int
}

func (q *TaskQuery) on(r *request) *request {
	if q.Desc {
		r.with("order", "desc")
	}
	return r.with("task", q.Task).with("node", q.Node).with("state", q.State).with("cursor", q.Cursor).number("limit", q.Limit)
}

// ListTasks returns a page of the tasks of a run that have ended for good, in the
// order in which they did.
func (c *Client) ListTasks(ctx context.Context, id job.RunID, q TaskQuery) (api.Attempts, error) {
	return call[api.Attempts](ctx, c, q.on(get(run(id, "tasks")...)))
}

// ListAttempts returns a page of the attempts at the tasks of a run that have
// ended, in the order in which they did.
func (c *Client) ListAttempts(ctx context.Context, id job.RunID, q TaskQuery) (api.Attempts, error) {
	return call[api.Attempts](ctx, c, q.on(get(run(id, "attempts")...)))
}

// GetResult returns a page of what a run that is over returned.
func (c *Client) GetResult(ctx context.Context, id job.RunID, cursor string, limit int) (api.Result, error) {
	return call[api.Result](ctx, c, get(run(id, "result")...).with("cursor", cursor).number("limit", limit))
}
