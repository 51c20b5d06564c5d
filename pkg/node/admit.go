package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// create records a run, and has it begun if there is room. It goes on when
// the caller has given up: what was proposed may be recorded all the same, and
// then somebody has to see to it.
func (l *leader) create(ctx context.Context, c wire.Create) (job.Run, error) {
	return outlive(ctx, l, func() (job.Run, error) {
		made := l.admitAll([]wire.Create{c})[0]
		return made.Run, made.Err
	})
}

// createAll is create for many runs. An error says that it is not known of all
// of them what became of them, and that asking again is safe.
func (l *leader) createAll(ctx context.Context, c wire.Creates) (wire.Accepted, error) {
	return outlive(ctx, l, func() (wire.Accepted, error) {
		all := append(inShort(l.admitAll(c.Creates)), l.admitLots(c.Lots)...)
		accepted, again := wire.Accepted{Runs: make([]job.RunID, len(all))}, error(nil)
		for i := range all {
			switch err := all[i].err; {
			case err == nil:
				accepted.Runs[i] = all[i].id
			case l.ctx.Err() != nil || isUnsettled(err):
				again = fmt.Errorf("%w: %w", state.ErrUncertain, err)
			default:
				accepted.Refused = append(accepted.Refused, refusal(i, err))
			}
		}
		return accepted, again
	})
}

// admitted is the ID of a run that was admitted, or of the one that has its key,
// or why it was not.
type admitted struct {
	id  job.RunID
	err error
}

func inShort(made []state.Created) []admitted {
	all := make([]admitted, len(made))
	for i := range made {
		all[i] = admitted{made[i].Run.ID, made[i].Err}
	}
	return all
}

// outlive returns what do returns, which goes on when ctx ends.
func outlive[T any](ctx context.Context, l *leader, do func() (T, error)) (none T, err error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	l.wg.Go(func() {
		v, err := do()
		answers <- answer{v, err}
	})
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", state.ErrUncertain, context.Cause(ctx))
	}
}

// admitAll records runs, each a matter of its own, and has those begun that may
// begin at once.
func (l *leader) admitAll(creates []wire.Create) []state.Created {
	all, runs := make([]state.Creation, len(creates)), make([]*job.Run, len(creates))
	for i, c := range creates {
		all[i] = state.Creation{Run: c.Run, Chunks: c.Chunks, Within: state.Limits{Job: c.Run.Spec.MaxQueued, Cluster: l.n.cfg.MaxQueued}}
		runs[i] = &all[i].Run
	}
	reserved := l.reserveAll(runs)
	made := record(l, func() []state.Created { return l.state.CreateAll(l.ctx, all) }, func(m *state.Created) error { return m.Err })
	begun := make([]job.Run, 0, len(made))
	for i := range made {
		run, err := &made[i].Run, made[i].Err
		if err == nil && run.ID == all[i].Run.ID && run.Master != "" && !run.State.Done() {
			// It may be an answer that was lost to a caller who asks again, and the
			// master may know the run. Telling it twice is harmless.
			l.note(run)
			begun = append(begun, *run)
			continue
		}
		if reserved[i] { // before anybody looks at it as one that waits
			l.release(all[i].Run.ID)
		}
		switch {
		case err != nil:
			made[i].Err = l.overloaded(&all[i].Run, err)
		case run.State == job.Pending:
			l.came(run)
		}
	}
	l.teller.tell(begun...)
	return made
}

// admitLots is admitAll for lots: those runs of one that may begin at once are
// recorded together, if they can be, and the others each by itself.
func (l *leader) admitLots(lots []wire.Lot) (all []admitted) {
	together, begun := make([]state.Lot, len(lots)), make([][]*job.Run, len(lots))
	choose, many := l.chooser(""), 0
	for i := range lots {
		many += len(lots[i].Params)
	}
	l.awaitRoom(many)
	for i := range lots {
		t := &together[i]
		t.Run, t.Params, t.Chunks = lots[i].Run, lots[i].Params, lots[i].Chunks
		t.Run.Master, t.Run.Trace = choose(), telemetry.AtOnce(t.Run.Trace, true)
		begun[i] = state.RunsOf(t)
		t.Params = t.Params[:l.reserveFirst(begun[i])]
	}
	errs := record(l, func() []error { return l.state.CreateLots(l.ctx, together) }, func(err *error) error { return *err })
	for i, err := range errs {
		n := len(together[i].Params)
		if err != nil {
			for k := range begun[i][:n] {
				l.release(begun[i][k].ID)
			}
			n = 0
		}
		all = slices.Grow(all, len(begun[i]))
		l.note(begun[i][:n]...)
		for k := range begun[i][:n] {
			all = append(all, admitted{id: begun[i][k].ID})
		}
		l.teller.pass(begun[i][:n])
		alone := make([]wire.Create, 0, len(begun[i])-n)
		for k := n; k < len(begun[i]); k++ {
			alone = append(alone, wire.Create{Run: lots[i].Of(k), Chunks: lots[i].Chunks})
		}
		all = append(all, inShort(l.admitAll(alone))...)
	}
	return all
}

// reserveFirst counts those of the runs of a lot as begun that may begin at once, and
// returns how many they are: the first ones.
func (l *leader) reserveFirst(runs []*job.Run) (n int) {
	first := runs[0]
	if first.NotBefore.After(l.n.wall()) || l.state.IsPaused(first.Spec.Namespace, first.Spec.Name) || l.behind(first) {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	claim, now := l.claimLocked(first), l.n.wall() // those of each
	for n < len(runs) && l.reservedLocked(runs[n].ID, claim, now) {
		n++
	}
	return n
}

// reserveAll names the masters of those runs that may begin at once, in order,
// counts them as begun, and reports which they are. A new run must not overtake
// those that wait, and how often a rate lets runs begin is recorded before they
// do, so those of one wait in any case.
func (l *leader) reserveAll(runs []*job.Run) []bool {
	type line struct{ namespace, job, keys string }
	waits, reserved, now := map[line]bool{}, make([]bool, len(runs)), l.n.wall()
	var choose func() string
	for i, run := range runs {
		if run.Master = ""; run.NotBefore.After(now) {
			continue
		}
		of := line{run.Spec.Namespace, run.Spec.Name, state.LineOf(run)}
		if _, known := waits[of]; !known {
			waits[of] = l.state.IsPaused(of.namespace, of.job) || l.behind(run)
		}
		if waits[of] {
			continue
		}
		if reserved[i] = l.reserve(run); !reserved[i] {
			waits[of] = true // none of those behind it overtakes it
			continue
		}
		if choose == nil {
			choose = l.chooser("")
		}
		run.Master, run.Trace = choose(), telemetry.AtOnce(run.Trace, true)
	}
	return reserved
}

// record records what record does. While it is not known of all whether that
// happened it does so again, for as long as this node leads: then the next leader
// finds out.
func record[T any](l *leader, record func() []T, errOf func(*T) error) []T {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		all := record()
		unsure := slices.ContainsFunc(all, func(one T) bool { return is(errOf(&one), state.ErrUncertain) })
		if !unsure || !pause(l.ctx, wait) {
			return all
		}
	}
}

// isUnsettled reports whether err says nothing of what was asked for, but that
// this server is not, or no longer, the one that can answer.
func isUnsettled(err error) bool {
	for _, end := range []error{state.ErrNotLeader, state.ErrUncertain, state.ErrClosed} {
		if is(err, end) {
			return true
		}
	}
	return false
}

// refusal says what one of many is refused for.
func refusal(at int, err error) wire.Refusal {
	r := wire.Refusal{At: at, Text: err.Error()}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		r.Code = coded.ErrorCode()
	}
	return r
}
