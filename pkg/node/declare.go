package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// ErrNoJob says that there is no job of the name that was asked for.
var ErrNoJob = errNoJob

var errNoJob error = &coded{"no-job", "node: no such job"}

// PutJob declares a job, or changes the one of that name: what it is, and in
// spec.Schedule when it is due. When it returns that is durable, and a run is
// made for every fire from then on, exactly one, whatever becomes of any node.
// A change takes effect at once and never makes a run for the past. What is
// saved again unchanged stays the revision that it was.
//
// If expect is not zero the job must be at that revision; otherwise nothing is
// changed and the error is ErrRevision.
func (n *Node) PutJob(ctx context.Context, spec job.Spec, expect uint64) (job.Declared, error) {
	return n.declare(ctx, spec, wire.PutJobRequest{Expect: expect})
}

// CreateJob declares a job that there is not. One that is declared already, and
// exactly so, is returned as it is, so that it may be repeated; of another one
// of the name nothing is changed and the error is ErrExists.
func (n *Node) CreateJob(ctx context.Context, spec job.Spec) (job.Declared, error) {
	return n.declare(ctx, spec, wire.PutJobRequest{New: true})
}

func (n *Node) declare(ctx context.Context, spec job.Spec, put wire.PutJobRequest) (job.Declared, error) {
	spec = spec.WithDefaults()
	if err := n.checkJob(&spec); err != nil {
		return job.Declared{}, err
	}
	put.Spec = spec
	if spec.Input.Values != nil {
		run := job.Run{Spec: spec}
		p, err := n.plan(ctx, &run)
		if err != nil {
			return job.Declared{}, err
		}
		model, err := wire.EncodeRecord(run)
		if err != nil {
			return job.Declared{}, fmt.Errorf("node: job %s/%s: %w", spec.Namespace, spec.Name, err)
		}
		put.Chunks = append([][]byte{model}, p.entries...)
		if size := total(put.Chunks); size > maxJobInput {
			return job.Declared{}, fmt.Errorf("node: Input.Values of job %s/%s have %d bytes, over the limit of %d for a job that is declared: put them in a file", spec.Namespace, spec.Name, size, maxJobInput)
		}
	}
	d, err := lead[job.Declared](ctx, n, wire.MethodPutJob, put)
	d.Spec.Input.Values = spec.Input.Values
	return d, explainJob(spec.Namespace, spec.Name, err)
}

// maxJobInput bounds the inline input that is kept with a job, in bytes.
const maxJobInput = 1 << 20

// ErrRevision says that a job is not at the revision that a change expected:
// somebody changed it since. Nothing was changed.
var ErrRevision error = &coded{"revision", "node: the job was changed meanwhile"}

// ErrExists says that there is another job of the name. Nothing was changed.
var ErrExists error = &coded{"exists", "node: there is another job of that name"}

func (n *Node) checkJob(spec *job.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if spec.Schedule.When == "" {
		return nil
	}
	if err := spec.Schedule.Validate(n.wall(), n.cfg.Calendars); err != nil {
		return fmt.Errorf("node: Schedule: %w", bare(err))
	}
	return nil
}

func explainJob(namespace, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case is(err, state.ErrNoJob):
		return fmt.Errorf("%w: %s/%s: see Jobs for those there are", ErrNoJob, namespace, name)
	case is(err, state.ErrExists):
		return fmt.Errorf("%w: %w", ErrExists, plain(err))
	case is(err, state.ErrRevision):
		return fmt.Errorf("%w: %s/%s: %w", ErrRevision, namespace, name, plain(err))
	}
	return fmt.Errorf("node: job %s/%s: %w", namespace, name, plain(err))
}

// CheckJob returns what is wrong with a job, as PutJob would, without declaring
// it.
func (n *Node) CheckJob(spec job.Spec) error {
	spec = spec.WithDefaults()
	return n.checkJob(&spec)
}

// Preview returns the first k fires after an instant of a schedule that is saved
// now, with notes for people. A zero instant is now. Its jitter may differ from
// that of the job that it becomes.
func (n *Node) Preview(s trigger.Schedule, after time.Time, k int) ([]trigger.Upcoming, error) {
	if s.When == "" {
		return []trigger.Upcoming{}, nil
	}
	now := n.wall()
	if err := s.Validate(now, n.cfg.Calendars); err != nil {
		return nil, fmt.Errorf("node: Schedule: %w", bare(err))
	}
	table, err := s.Bind(trigger.Binding{Cluster: n.cfg.Cluster, Trigger: "preview", Saved: now, Calendars: n.cfg.Calendars})
	if err != nil {
		return nil, fmt.Errorf("node: Schedule: %w", bare(err))
	}
	if after.IsZero() {
		after = now
	}
	return table.Preview(after, k), nil
}

// Job returns a job as it is declared, and what became of its fires. An empty
// namespace is "default".
func (n *Node) Job(ctx context.Context, namespace, name string) (job.Declared, error) {
	namespace = cmp.Or(namespace, "default")
	d, err := lead[job.Declared](ctx, n, wire.MethodJob, wire.JobRef{Namespace: namespace, Name: name})
	return d, explainJob(namespace, name, err)
}

// Jobs returns at most limit jobs in the order of their names, after the one
// named. An empty namespace means all of them. A limit of 0 means 100; it is
// never above 1000.
func (n *Node) Jobs(ctx context.Context, namespace, after string, limit int) ([]job.Declared, error) {
	return lead[[]job.Declared](ctx, n, wire.MethodJobs, wire.JobPage{Namespace: namespace, After: after, Limit: limit})
}

// Revisions returns what a job has been declared as, the present revision
// first, at most 50. To go back to one is to put its Spec again, which makes a
// new one; the Values of its Input are not kept.
func (n *Node) Revisions(ctx context.Context, namespace, name string) ([]job.Revision, error) {
	namespace = cmp.Or(namespace, "default")
	all, err := lead[[]job.Revision](ctx, n, wire.MethodRevisions, wire.JobRef{Namespace: namespace, Name: name})
	return all, explainJob(namespace, name, err)
}

// DeleteJob removes a job. Its runs stay, and those that go on do so.
func (n *Node) DeleteJob(ctx context.Context, namespace, name string) error {
	return n.askJob(ctx, wire.MethodDeleteJob, wire.JobRef{Namespace: cmp.Or(namespace, "default"), Name: name})
}

// RunJob makes a run of a declared job now, whatever its trigger says.
func (n *Node) RunJob(ctx context.Context, namespace, name string, options ...Option) (*Run, error) {
	namespace = cmp.Or(namespace, "default")
	now := n.wall().UTC()
	run := job.Run{Spec: job.Spec{Namespace: namespace, Name: name}, Fire: now, Created: now, Origin: trigger.ReasonManual}
	run.ID, run.Trace = newID(&run.Spec, now), telemetry.Inject(ctx)
	for _, o := range options {
		o(&run)
	}
	if err := checkExtra(&run); err != nil {
		return nil, err
	}
	if size := len(run.Spec.Params); size > job.MaxParams {
		return nil, fmt.Errorf("node: Params has %d bytes, over the limit of %d: put them in a file or the input", size, job.MaxParams)
	}
	made, err := lead[job.Run](ctx, n, wire.MethodRunJob, run)
	if err != nil {
		return nil, explainJob(namespace, name, err)
	}
	return &Run{n: n, id: made.ID}, nil
}

// Backfill makes runs for the fires that a job's trigger has, by its present
// schedule, from one instant up to and without another, as far as there are
// none, and returns how many it made. There are at most 1000 at a time: rest is
// where to go on, or zero.
func (n *Node) Backfill(ctx context.Context, namespace, name string, from, until time.Time) (made int, rest time.Time, err error) {
	namespace = cmp.Or(namespace, "default")
	b, err := lead[wire.Backfilled](ctx, n, wire.MethodBackfill, wire.Backfill{Namespace: namespace, Name: name, From: from, Until: until})
	return b.Made, b.Rest, explainJob(namespace, name, err)
}

// NextFires returns the next k fires of a job, with notes for people.
func (n *Node) NextFires(ctx context.Context, namespace, name string, k int) ([]trigger.Upcoming, error) {
	d, err := n.Job(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if d.Spec.Schedule.When == "" {
		return []trigger.Upcoming{}, nil
	}
	table, err := d.Spec.Schedule.Bind(trigger.Binding{
		Cluster: d.Cluster, Trigger: d.Spec.Namespace + "/" + d.Spec.Name, Saved: d.Saved, Calendars: n.cfg.Calendars,
	})
	if err != nil {
		return nil, fmt.Errorf("node: job %s/%s: %w", namespace, name, err)
	}
	after := n.wall()
	if d.Fires.Cursor.After(after) {
		after = d.Fires.Cursor
	}
	return table.Preview(after, k), nil
}
