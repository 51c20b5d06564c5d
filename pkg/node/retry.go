package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
	"github.com/musterhq/muster/trigger"
)

// retry makes the next attempt of a run that has not succeeded. It is a run of
// its own, so that what the attempts before it did stays on record.
//
// Its journal begins with what the journal of the one before holds: all of it
// but how tasks failed, so that a master which reads it goes on with the tasks
// that have not succeeded; or, if all tasks are wanted, only the input. Its
// epochs go on from those before, which keeps the attempts at a task apart.
func (l *leader) retry(ctx context.Context, r wire.Retry) (job.Run, error) {
	return l.retryAt(ctx, r, time.Time{})
}

// retryAt is retry for an attempt that may not begin before an instant.
func (l *leader) retryAt(ctx context.Context, r wire.Retry, at time.Time) (job.Run, error) {
	release, err := l.retries.lock(ctx, r.Run) // two could write different things for one run
	if err != nil {
		return job.Run{}, err
	}
	defer release()
	old, err := l.state.Run(r.Run)
	if err != nil {
		return old, err
	}
	if old.State != job.Failed && old.State != job.Canceled {
		return old, fmt.Errorf("%w: run %s is %v: only one that failed or was canceled can be tried again; submit its job anew", state.ErrInvalid, old.ID, old.State)
	}
	run := next(&old, l.n.wall().UTC())
	run.NotBefore = at
	if made, err := l.state.Run(run.ID); err == nil {
		return made, nil // somebody asked before
	}
	// What is left of somebody who asked and gave up may be something else.
	if err := l.state.Discard(ctx, run.ID); err != nil {
		return old, err
	}
	create := wire.Create{Run: run}
	if old.Unplanned != "" || old.Spec.Mode == job.Broadcast {
		create.Run.Plan = job.Plan{}
		create.Chunks, err = l.planAgain(ctx, &create.Run)
	} else {
		create.Run.Plan.Chunks, err = l.inherit(ctx, &old, run.ID, r.All || !keepsResults(&old))
	}
	if err != nil {
		return old, err
	}
	made, err := l.create(ctx, create)
	if err == nil && made.ID != run.ID {
		return made, fmt.Errorf("%w: the key of run %s was taken by run %s meanwhile: wait for its end, or cancel it", state.ErrExists, old.ID, made.ID)
	}
	return made, err
}

// again makes the next attempt of a run that has failed, if its job wants one.
// It is called until that is recorded, by whoever leads: a run is among those to
// be compacted until then.
func (l *leader) again(run *job.Run) error {
	a, attempt := run.Spec.Repeat, max(run.Attempt, 1)
	if run.State != job.Failed || attempt >= a.Attempts || run.Progress.Permanent {
		return nil
	}
	// The chance is the run's, so that one who comes after says the same.
	chance := float64(sharding.Hash([]byte(run.ID))%1024) / 1024
	at := run.Finished.Add(a.After(attempt, chance)).UTC()
	made, err := l.retryAt(l.ctx, wire.Retry{Run: run.ID, All: a.All}, at)
	switch {
	case is(err, state.ErrNoRun), is(err, state.ErrExists), is(err, state.ErrOverloaded):
		l.n.log.Warn("a run that failed can't be tried again", telemetry.Run(run.ID), telemetry.Err(err))
		return nil
	case err == nil:
		l.n.log.Info("a run that failed is tried again", telemetry.Run(made.ID), slog.Int("attempt", attempt+1), slog.Int("of", a.Attempts), slog.Time("at", at))
	}
	return err
}

// next returns the run that tries old again from now on.
func next(old *job.Run, now time.Time) job.Run {
	first, attempt := cmp.Or(old.Of, old.ID), max(old.Attempt, 1)+1
	return job.Run{
		ID: job.Again(first, attempt), Of: first, Attempt: attempt, Origin: trigger.ReasonRetry, Revision: old.Revision,
		Spec: old.Spec, Plan: old.Plan, Fire: old.Fire, Key: old.Key, KeyFor: old.KeyFor, LimitKey: old.LimitKey, Extra: old.Extra, Trace: telemetry.AtOnce(old.Trace, false),
		Epoch: old.Epoch, Created: now,
	}
}

// keepsResults reports whether what the tasks of a run came to outlives it.
// Pairs and files that were not put in place are gone with it.
func keepsResults(run *job.Run) bool { return !run.Plan.Keyed && run.Spec.Output.Dir == "" }

// planAgain plans a run for the members that there are now: a broadcast goes
// to those, and what could not be planned before may be by now.
func (l *leader) planAgain(ctx context.Context, run *job.Run) ([][]byte, error) {
	if run.Spec.Mode != job.Broadcast {
		return l.n.planFire(ctx, run)
	}
	return l.n.planAnew(ctx, run)
}

// inherit stages what the next attempt of a run begins with, and returns how
// many entries that are.
func (l *leader) inherit(ctx context.Context, old *job.Run, next job.RunID, all bool) (n int, err error) {
	for e, err := range l.state.Journal(old.ID, 0) {
		if err != nil {
			return n, err
		}
		b, err := inherited(e.Data, all)
		if err != nil {
			return n, fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, old.ID, err)
		}
		if err := l.state.Stage(ctx, next, uint64(n), b); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// inherited returns a journal entry as the next attempt of the run has it. An
// entry keeps its place, because others refer to it by number.
func inherited(b []byte, all bool) ([]byte, error) {
	e, err := wire.DecodeEntry(b)
	if err != nil {
		return nil, err
	}
	input := e.Kind == wire.EntryTasks && e.Task.Kind == 0
	switch {
	case input || e.Kind == wire.EntryTasks && !all:
		return b, nil
	case e.Kind != wire.EntryOutcomes || all:
		return wire.EncodeEntry(&wire.Entry{Kind: wire.EntryOutcomes})
	}
	kept := wire.Entry{Kind: wire.EntryOutcomes, Epoch: e.Epoch}
	for o, err := range wire.Outcomes(e.Blob) {
		if err != nil {
			return nil, err
		}
		if o.Failure != nil || o.Task.Kind == job.KindReduce {
			continue
		}
		if kept.Blob, err = wire.AppendOutcome(kept.Blob, &o); err != nil {
			return nil, err
		}
		kept.N++
	}
	if kept.N > 0 && len(e.Members) > 0 { // the outcomes of an entry are of one member
		kept.Members = []wire.MemberCount{{Member: e.Members[0].Member, N: kept.N}}
	}
	return wire.EncodeEntry(&kept)
}
