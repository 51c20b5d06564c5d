package node

import (
	"cmp"
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// What was settled is recorded in groups, since an entry of the log costs about
// the same for one fire and for hundreds: while some are recorded those that are
// settled meanwhile wait, and go together.

const (
	// firesInEntry is how many jobs a group is about at most.
	firesInEntry = 512
	// recorders is how many groups are recorded at a time.
	recorders = 2
)

// together yields what comes through a channel in groups: all that waits, as
// soon as there is any.
func together(settled <-chan state.Firing) iter.Seq[[]state.Firing] {
	return func(yield func([]state.Firing) bool) {
		for f := range settled {
			if !yield(append([]state.Firing{f}, atHand(settled, firesInEntry-1)...)) {
				return
			}
		}
	}
}

// atHand takes what waits in a channel, at most so many.
func atHand(settled <-chan state.Firing, most int) (all []state.Firing) {
	for len(all) < most {
		select {
		case f, ok := <-settled:
			if !ok {
				return all
			}
			all = append(all, f)
		default:
			return all
		}
	}
	return all
}

// fireAll records settlements, each a matter of its own, and does what follows
// from them. Runs that may begin at once have their master from the beginning.
func (c *clock) fireAll(all []state.Firing) (err error) {
	runs := make([]*job.Run, 0, len(all))
	for i := range all {
		for k := range all[i].Runs {
			runs = append(runs, &all[i].Runs[k].Run)
		}
	}
	reserved := map[job.RunID]bool{}
	for i, begins := range c.l.reserveAll(runs) {
		if begins {
			reserved[runs[i].ID] = true
		}
	}
	spans := c.trace(runs)
	fired, errs := c.record(all)
	begun := make([]*job.Run, 0, len(runs))
	for i := range fired {
		for _, run := range fired[i].Begun {
			c.l.note(run)
			delete(reserved, run.ID)
			begun = append(begun, run)
		}
	}
	c.l.teller.pass(begun)
	c.release(reserved)
	for i := range all {
		for range all[i].Runs {
			telemetry.End(spans[0], errs[i])
			spans = spans[1:]
		}
		err = cmp.Or(err, c.follow(&all[i], &fired[i], errs[i]))
	}
	c.ahead.comes(all)
	return err
}

// follow does what follows from a settlement, beside that runs begin.
func (c *clock) follow(f *state.Firing, fired *state.Fired, err error) error {
	for i := range f.Runs {
		if run := &f.Runs[i].Run; run.Master == "" {
			c.l.came(run)
		}
	}
	if err != nil {
		return unsettled(err)
	}
	c.count(f, fired)
	for _, id := range fired.Canceled {
		if run, err := c.l.state.Run(id); err == nil && !run.State.Done() {
			grace := cmp.Or(run.Spec.Schedule.OverlapGrace, 30*time.Second)
			c.l.wg.Go(func() { c.l.enforce(run, grace) })
		}
	}
	for _, id := range fired.Killed {
		if run, err := c.l.state.Run(id); err == nil {
			c.l.endedAlone(run)
		}
	}
	return nil
}

// unsettled returns err unless the settlement that it is about is no matter any
// more: somebody has changed the job, whose wake is still there, or deleted it.
func unsettled(err error) error {
	if is(err, state.ErrStale) || is(err, state.ErrRevision) || is(err, state.ErrNoJob) {
		return nil
	}
	return err
}

// count counts what became of fires.
func (c *clock) count(f *state.Firing, fired *state.Fired) {
	m, now := c.l.n.metrics, c.l.n.wall()
	if fired.Made > 0 { // else an answer was lost, and they were counted
		for i := range f.Runs {
			m.Late(c.l.ctx, now.Sub(f.Runs[i].Run.Fire))
		}
	}
	m.Settled(c.l.ctx, fired.Made, "run")
	m.Settled(c.l.ctx, fired.Overlapped, job.CauseOverlap)
	for i := range f.Skipped {
		m.Settled(c.l.ctx, f.Skipped[i].Count, f.Skipped[i].Cause)
	}
}

// trace starts the spans of fires, and lets the runs that are made of them say
// so: which begin at once, if they have a master.
func (c *clock) trace(runs []*job.Run) []trace.Span {
	spans := make([]trace.Span, len(runs))
	for i, run := range runs {
		var ctx context.Context
		ctx, spans[i] = c.l.n.spans.Fire(c.l.ctx, run.Spec.Name, string(run.ID), run.Fire)
		run.Trace = telemetry.AtOnce(telemetry.Inject(ctx), run.Master != "")
	}
	return spans
}

// record records settlements. Those of which it is not known whether that
// happened it records again, for as long as this node leads: a run that has a
// master is to be told of.
func (c *clock) record(all []state.Firing) ([]state.Fired, []error) {
	fired, errs := c.l.state.FireAll(c.l.ctx, all)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var unsure []int
		var again []state.Firing
		for i, err := range errs {
			if is(err, state.ErrUncertain) {
				unsure, again = append(unsure, i), append(again, all[i])
			}
		}
		if len(unsure) == 0 || !pause(c.l.ctx, wait) {
			return fired, errs
		}
		more, failed := c.l.state.FireAll(c.l.ctx, again)
		for k, i := range unsure {
			fired[i], errs[i] = more[k], failed[k]
		}
	}
}

// release takes back that runs were counted as begun, of those that were not
// made. One that was made in a try before this one begins.
func (c *clock) release(reserved map[job.RunID]bool) {
	for id := range reserved {
		run, err := c.l.state.Run(id)
		if err != nil || run.Master == "" || run.State.Done() {
			c.l.release(id)
			if err == nil && !run.State.Done() {
				c.l.came(&run) // it was made without a master, and passed over as one that has begun
			}
			continue
		}
		c.l.note(&run)
		c.l.teller.tell(run)
	}
}
