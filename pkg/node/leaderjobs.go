package node

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// putJob declares a job and has its trigger looked at.
func (l *leader) putJob(ctx context.Context, p wire.PutJobRequest) (job.Declared, error) {
	if err := l.acyclic(&p.Spec); err != nil {
		return job.Declared{}, err
	}
	now := l.n.wall().UTC()
	var wake time.Time
	if s := p.Spec.Schedule; s.When != "" {
		// What it takes to know the first fire is the revision, which is not
		// known yet; the clock finds out when it settles the job.
		wake = now
	}
	if p.New {
		l.declares.Lock() // against those who change what there is not yet
		defer l.declares.Unlock()
		if d, err := l.asDeclared(&p); !is(err, state.ErrNoJob) {
			return l.declared(d), err
		}
	} else {
		l.declares.RLock()
		defer l.declares.RUnlock()
	}
	d, err := l.state.PutJob(ctx, p.Spec, p.Chunks, wake, p.Expect)
	if err == nil {
		l.clock.wake()
	}
	return l.declared(d), err
}

// asDeclared returns a job that is declared already as p says, and refuses one
// that is declared otherwise.
func (l *leader) asDeclared(p *wire.PutJobRequest) (job.Declared, error) {
	ns, name := p.Spec.Namespace, p.Spec.Name
	d, err := l.state.Job(ns, name)
	if err != nil {
		return d, err
	}
	chunks, err := l.state.JobChunks(ns, name)
	if err != nil {
		return d, err
	}
	has, err := wire.EncodeRecord(d.Spec)
	if err != nil {
		return d, err
	}
	wants, err := wire.EncodeRecord(p.Spec)
	if err == nil && !(bytes.Equal(has, wants) && slices.EqualFunc(chunks, p.Chunks, bytes.Equal)) {
		err = fmt.Errorf("%w: job %s/%s is another one, at revision %d: change it, or choose another name", state.ErrExists, ns, name, d.Revision)
	}
	return d, err
}

// acyclic refuses a job that would be due because of itself. Two that are
// declared at the same moment may still become a circle, which goes round until
// somebody ends it.
func (l *leader) acyclic(spec *job.Spec) error {
	type step struct {
		name string
		path []string
	}
	seen := map[string]bool{}
	var left []step
	for _, up := range spec.Upstream() {
		left = append(left, step{up, []string{spec.Name, up}})
	}
	for len(left) > 0 {
		at := left[0]
		left = left[1:]
		if at.name == spec.Name {
			return fmt.Errorf("%w: Schedule.When %q: the job would be due after itself: %s: leave one of them out",
				state.ErrInvalid, spec.Schedule.When, strings.Join(at.path, " after "))
		}
		if seen[at.name] {
			continue
		}
		seen[at.name] = true
		d, err := l.state.Job(spec.Namespace, at.name)
		if is(err, state.ErrNoJob) {
			continue // it may be declared later
		}
		if err != nil {
			return err
		}
		for _, up := range d.Spec.Upstream() {
			left = append(left, step{up, append(slices.Clone(at.path), up)})
		}
	}
	return nil
}

// declared adds to a job what only the leader knows.
func (l *leader) declared(d job.Declared) job.Declared {
	d.Cluster = l.state.Origin()
	return d
}

func (l *leader) job(r wire.JobRef) (job.Declared, error) {
	d, err := l.state.Job(r.Namespace, r.Name)
	if err != nil {
		return d, err
	}
	return l.whole(d)
}

// whole adds to a job what is said of one and not where many are listed.
func (l *leader) whole(d job.Declared) (job.Declared, error) {
	for _, up := range d.Spec.Upstream() {
		switch _, err := l.state.Job(d.Spec.Namespace, up); {
		case is(err, state.ErrNoJob):
			d.Missing = append(d.Missing, up)
		case err != nil:
			return d, err
		}
	}
	return l.declared(d), nil
}

func (l *leader) jobInput(r wire.JobRef) (wire.JobInput, error) {
	d, chunks, err := l.state.JobInput(r.Namespace, r.Name)
	if err != nil {
		return wire.JobInput{}, err
	}
	d, err = l.whole(d)
	return wire.JobInput{Job: d, Chunks: chunks}, err
}

func (l *leader) jobs(p wire.JobPage) ([]job.Declared, error) {
	all, err := l.state.Jobs(p.Namespace, p.After, min(cmp.Or(max(p.Limit, 0), 100), 1000))
	for i := range all {
		all[i] = l.declared(all[i])
	}
	return all, err
}

func (l *leader) revisions(r wire.JobRef) ([]job.Revision, error) {
	return l.state.Revisions(r.Namespace, r.Name)
}

func (l *leader) deleteJob(ctx context.Context, r wire.JobRef) (none wire.Nothing, err error) {
	return none, l.state.DeleteJob(ctx, r.Namespace, r.Name)
}

// runJob makes a run of a declared job, which has an ID and what its caller
// said of it.
func (l *leader) runJob(ctx context.Context, run job.Run) (job.Run, error) {
	d, err := l.state.Job(run.Spec.Namespace, run.Spec.Name)
	if err != nil {
		return run, err
	}
	params, tags := cmp.Or(run.Spec.Params, d.Spec.Params), run.Spec.Tags
	run.Spec, run.Revision = d.Spec, d.Revision
	run.Spec.Params = params
	run.Spec.AddTags(tags...)
	if err := job.CheckTags(run.Spec.Tags); err != nil {
		return run, fmt.Errorf("%w: %s", state.ErrInvalid, strings.TrimPrefix(err.Error(), "job: "))
	}
	if err := l.n.limitKey(&run); err != nil {
		return run, err
	}
	chunks, err := l.n.planFire(ctx, &run)
	if err != nil {
		return run, err
	}
	return l.create(ctx, wire.Create{Run: run, Chunks: chunks})
}

// backfill makes the runs of past fires.
func (l *leader) backfill(ctx context.Context, b wire.Backfill) (wire.Backfilled, error) {
	d, err := l.state.Job(b.Namespace, b.Name)
	if err != nil {
		return wire.Backfilled{}, err
	}
	table, err := l.clock.tables.of(&d, l.state.Origin(), l.n.cfg.Calendars)
	if err != nil {
		return wire.Backfilled{}, err
	}
	due, rest := table.Backfill(b.From, b.Until, maxBackfill)
	var out wire.Backfilled
	for _, f := range due {
		id := job.FireID(b.Namespace, b.Name, f.Nominal)
		if _, err := l.state.Run(id); !is(err, state.ErrNoRun) {
			if err != nil {
				return out, err
			}
			continue
		}
		now := l.n.wall().UTC()
		run := job.Run{ID: id, Spec: d.Spec, Revision: d.Revision, Fire: f.Nominal, Created: now, Origin: trigger.ReasonBackfill}
		if err := l.n.limitKey(&run); err != nil {
			return out, err
		}
		chunks, err := l.n.planFire(ctx, &run)
		if err == nil {
			_, err = l.create(ctx, wire.Create{Run: run, Chunks: chunks})
		}
		if err != nil {
			return out, err
		}
		out.Made++
	}
	out.Rest = rest
	return out, nil
}

// maxBackfill is how many past fires are made up for at a time.
const maxBackfill = 1000
