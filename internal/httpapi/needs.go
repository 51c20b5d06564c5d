package httpapi

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Pool is what the API asks of the cluster. Errors that callers act on have a
// method ErrorCode() string; see problem.go for the codes.
type Pool interface {
	// Ready returns why the cluster can not be asked now, or nil.
	Ready(ctx context.Context) error
	Jobs
	Runs
	Operations
	Changes
	Namespaces
	Nodes
	Events
	Tokens
}

// Jobs are declared jobs.
type Jobs interface {
	PutJob(ctx context.Context, spec job.Spec, expect uint64) (job.Declared, error)
	CreateJob(ctx context.Context, spec job.Spec) (job.Declared, error)
	Job(ctx context.Context, namespace, name string) (job.Declared, error)
	// JobWithValues is Job with the inline values of its input.
	JobWithValues(ctx context.Context, namespace, name string) (job.Declared, error)
	Jobs(ctx context.Context, namespace, after string, limit int) ([]job.Declared, error)
	Revisions(ctx context.Context, namespace, name string) ([]job.Revision, error)
	DeleteJob(ctx context.Context, namespace, name string) error
	PauseJob(ctx context.Context, namespace, name, reason string) error
	ResumeJob(ctx context.Context, namespace, name string) error
	NextFires(ctx context.Context, namespace, name string, k int) ([]trigger.Upcoming, error)
	Backfill(ctx context.Context, namespace, name string, from, until time.Time) (made int, rest time.Time, err error)
	CheckJob(spec job.Spec) error
	Preview(s trigger.Schedule, after time.Time, k int) ([]trigger.Upcoming, error)
}

// Option is something that is said of one run.
type Option = func(*job.Run)

// Runs are runs, by their IDs.
type Runs interface {
	RunJob(ctx context.Context, namespace, name string, options ...Option) (job.RunID, error)
	Submit(ctx context.Context, spec job.Spec, options ...Option) (job.RunID, error)
	Find(ctx context.Context, q job.RunQuery) (job.RunPage, error)
	Run(ctx context.Context, id job.RunID) (job.Run, error)
	Progress(ctx context.Context, id job.RunID) (job.Progress, error)
	// Wait returns when the run is over, however it ended.
	Wait(ctx context.Context, id job.RunID) error
	// Watch yields the run's progress until it is over.
	Watch(ctx context.Context, id job.RunID, every time.Duration) iter.Seq[job.Progress]
	Cancel(ctx context.Context, id job.RunID, reason string) error
	Stop(ctx context.Context, id job.RunID, reason string) error
	Retry(ctx context.Context, id job.RunID, all bool) (job.RunID, error)
	// Result yields what a run returned. It waits until the run is over.
	Result(ctx context.Context, id job.RunID) iter.Seq2[api.Item, error]
	Attempts(ctx context.Context, id job.RunID, q job.AttemptQuery) (job.AttemptPage, error)
	Logs(ctx context.Context, id job.RunID, q job.LogQuery) iter.Seq2[job.LogLine, error]
	Download(ctx context.Context, id job.RunID, w io.Writer) (sum string, err error)
}

// Operations are what is done to many runs or jobs in the background.
type Operations interface {
	Bulk(ctx context.Context, b job.Bulk) (job.Operation, error)
	CountBulk(ctx context.Context, b job.Bulk) (int, error)
	Operations(ctx context.Context, q job.OperationQuery) (job.OperationPage, error)
	Operation(ctx context.Context, namespace, id string) (job.Operation, error)
	// AwaitOperation returns when it has gone beyond so many steps, or is over.
	AwaitOperation(ctx context.Context, namespace, id string, beyond int) (job.Operation, error)
	CancelOperation(ctx context.Context, namespace, id, reason string) (job.Operation, error)
}

// Changes are what becomes of runs, jobs and operations.
type Changes interface {
	// Changes yields pages of what changes: the first at once, and one without a
	// change now and then.
	Changes(ctx context.Context, q job.ChangeQuery) iter.Seq2[job.ChangePage, error]
}

// Namespaces are what is said of all jobs of a namespace.
type Namespaces interface {
	PutNamespace(ctx context.Context, ns job.Namespace) error
	Namespaces(ctx context.Context) ([]job.Namespace, error)
}

// Nodes are the members of the pool.
type Nodes interface {
	Cluster(ctx context.Context) (api.Cluster, error)
	Nodes() []api.Node
	Processors() []api.Processor
	// Drain returns when the node has nothing to do any more, or when ctx ends;
	// the draining goes on then.
	Drain(ctx context.Context, node string) error
	Undrain(ctx context.Context, node string) error
}

// Events are things that have happened, told to the cluster.
type Events interface {
	Send(ctx context.Context, e job.Event) (api.Sent, error)
}

// Tokens are who may come in, and who changed what.
type Tokens interface {
	CreateToken(ctx context.Context, t job.Token) (made job.Token, text string, err error)
	Tokens(ctx context.Context) ([]job.Token, error)
	RevokeToken(ctx context.Context, id string) error
	Audit(ctx context.Context, q job.AuditQuery) (job.AuditPage, error)
}
