package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// retry makes the next attempt of a run that has not succeeded. It is a run of
// its own, so that what the attempts before it did stays on record.
//
// Its journal begins with what the journal of the one before holds: all of it
// but how tasks failed, so that a master which reads it goes on with the tasks
// that have not succeeded; or, if all tasks are wanted, only the input. So do
// its epochs, which keeps attempts apart.
func (l *leader) retry(ctx context.Context, r wire.Retry) (job.Run, error) {
	old, err := l.state.Run(r.Run)
	if err != nil {
		return old, err
	}
	if old.State != job.Failed && old.State != job.Canceled {
		return old, fmt.Errorf("%w: run %s is %v: only one that failed or was canceled can be tried again; submit its job anew", state.ErrInvalid, old.ID, old.State)
	}
	run := next(&old, l.n.wall().UTC())
	if made, err := l.state.Run(run.ID); err == nil {
		return made, nil // somebody asked before
	}
	// Pairs are gone with the run, so a keyed one has to make them again.
	all := r.All || old.Plan.Keyed || old.Spec.Mode == job.Broadcast
	n := 0
	for e, err := range l.state.Journal(old.ID, 0) {
		if err != nil {
			return old, err
		}
		b, err := inherited(e.Data, all)
		if err != nil {
			return old, fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, old.ID, err)
		}
		if err := l.state.Stage(ctx, run.ID, uint64(n), b); err != nil {
			return old, err
		}
		n++
	}
	run.Plan.Chunks = n
	return l.create(ctx, wire.Create{Run: run})
}

// next returns the run that tries old again from now on.
func next(old *job.Run, now time.Time) job.Run {
	first := old.ID
	if old.Of != "" {
		first = old.Of
	}
	attempt := max(old.Attempt, 1) + 1
	base, _, _ := strings.Cut(string(first), "#")
	return job.Run{
		ID: job.RunID(fmt.Sprintf("%s#%d", base, attempt)), Of: first, Attempt: attempt,
		Spec: old.Spec, Plan: old.Plan, Fire: old.Fire, Extra: old.Extra, Trace: old.Trace,
		Epoch: old.Epoch, Created: now,
	}
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
	i, row := 0, 0 // of the row of outcomes that one member sent
	for o, err := range wire.Outcomes(e.Blob) {
		if err != nil {
			return nil, err
		}
		member := ""
		for row < len(e.Members) && i >= e.Members[row].N {
			i, row = 0, row+1
		}
		if row < len(e.Members) {
			member = e.Members[row].Member
		}
		i++
		if o.Failure != nil || o.Task.Kind == job.KindReduce {
			continue
		}
		if kept.Blob, err = wire.AppendOutcome(kept.Blob, &o); err != nil {
			return nil, err
		}
		kept.N++
		if k := len(kept.Members) - 1; k >= 0 && kept.Members[k].Member == member {
			kept.Members[k].N++
		} else {
			kept.Members = append(kept.Members, wire.MemberCount{Member: member, N: 1})
		}
	}
	return wire.EncodeEntry(&kept)
}
