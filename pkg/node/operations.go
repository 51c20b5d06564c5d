package node

import (
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// The leader carries out bulk operations itself, beside all that executes: one
// that is to end runs must not wait for a place among them. Those that go on take
// turns, a step each, and a step that was done is recorded before the next; so
// another leader does at most one step again, which changes nothing where it was
// done.

const (
	// endsStep is how many runs one step ends, whose commands go together, and
	// severalStep for how many it does what is a matter of its own for each, of
	// which so many are on their way severalAtOnce.
	endsStep      = 1000
	severalStep   = 128
	severalAtOnce = 32
	// maxOpen bounds how many operations of a namespace go on.
	maxOpen = 100
	// operationsKept is how many operations of a namespace are remembered, and
	// operationsFor how long, once they are over.
	operationsKept = 1000
	operationsFor  = 30 * 24 * time.Hour
)

// operate carries out what was begun, for as long as the node leads.
func (l *leader) operate() {
	for wait := 20 * time.Millisecond; ; {
		open, err := l.state.Opened()
		for i := range open {
			if err == nil {
				err = l.step(&open[i])
			}
		}
		switch {
		case l.ctx.Err() != nil:
			return
		case err != nil:
			l.n.log.Warn("bulk operations wait until the leader can record what they do", telemetry.Err(err))
			if !pause(l.ctx, wait) {
				return
			}
			wait = min(2*wait, 5*time.Second)
			continue
		}
		wait = 20 * time.Millisecond
		if len(open) > 0 {
			continue
		}
		select {
		case <-l.operations.poke:
		case <-l.ctx.Done():
			return
		}
	}
}

// step does the next part of an operation and records what became of it. An
// error says that this leader can't now, and that the step is to be done again.
func (l *leader) step(o *job.Operation) error {
	p := state.OperationStep{Step: o.Steps, Pass: o.Pass}
	names, err := l.reach(o, &p)
	switch {
	case is(err, state.ErrNoOperation): // somebody has canceled it
		return nil
	case err != nil && (l.ctx.Err() != nil || hinders(err)):
		return err
	case err != nil: // it can't be read, now or later
		p.State, p.Reason = job.OperationFailed, err.Error()
	}
	for i, err := range l.doAll(o, names) {
		switch {
		case err == nil:
			p.Done++
		case l.ctx.Err() != nil || hinders(err):
			return err
		default:
			if p.Refused++; len(p.Refusals) < job.MaxRefusals {
				p.Refusals = append(p.Refusals, job.Refusal{Name: names[i], Why: bare(plain(err)).Error()})
			}
		}
	}
	now, err := l.state.AdvanceOperation(l.ctx, o.Bulk.Namespace, o.ID, p)
	if is(err, state.ErrFinal) || is(err, state.ErrNoOperation) { // it was canceled meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	l.n.metrics.Bulk(l.ctx, string(o.Bulk.Verb), p.Done, p.Refused)
	l.moved(&now)
	return nil
}

// reach returns what the next step of an operation is about, and says in it where
// it ends.
func (l *leader) reach(o *job.Operation, p *state.OperationStep) (names []string, err error) {
	if o.Selected == 0 {
		return l.find(o, p)
	}
	limit := severalStep
	if o.Bulk.Verb.Ends() {
		limit = job.MaxBulk // those that wait before the others
	}
	if names, err = l.state.Selection(o.Bulk.Namespace, o.ID); err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(o.Reached)
	to := min(from+limit, len(names))
	if p.Reached = strconv.Itoa(to); to == len(names) {
		p.State = job.OperationDone
	}
	return names[min(from, to):to], nil
}

// find is reach for what a filter means. Of runs that are to be ended those that
// wait come first: else they would begin, one in place of each that was ended.
func (l *leader) find(o *job.Operation, p *state.OperationStep) (names []string, err error) {
	b, limit := o.Bulk, severalStep
	if b.Verb.Ends() {
		limit = endsStep
	}
	waiting := o.Pass == 0 && slices.Contains(b.States, job.Pending) && slices.Contains(b.States, job.Running)
	if waiting {
		b.States = []job.State{job.Pending}
	}
	ids, next, err := l.state.Meant(&b, o.ID, job.RunID(o.Reached), limit)
	for _, id := range ids {
		names = append(names, string(id))
	}
	switch p.Reached = string(next); {
	case next != "":
	case waiting:
		p.Pass = 1
	default:
		p.Reached, p.State = o.Reached, job.OperationDone
		if n := len(names); n > 0 {
			p.Reached = names[n-1]
		}
	}
	return names, err
}

// hinders reports whether err says that this leader can't record anything now,
// rather than something of a run.
func hinders(err error) bool {
	return isUnsettled(err) || is(err, state.ErrUnavailable) || is(err, state.ErrBroken)
}

// moved tells who waits for it that an operation is further, and who reads the
// log that it is over.
func (l *leader) moved(o *job.Operation) {
	l.operations.move()
	if o.State.Over() {
		l.n.log.Info("bulk operation ended", telemetry.Operation(o.Bulk.Namespace, o.ID), slog.String("verb", string(o.Bulk.Verb)),
			slog.String("state", string(o.State)), slog.Int("done", o.Done), slog.Int("refused", o.Refused), telemetry.Took(o.Ended.Sub(o.Created)))
	}
}
