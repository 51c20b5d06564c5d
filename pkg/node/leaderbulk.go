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

// createAll is create for many runs. An error says that it is not known of all
// of them what became of them, and that asking again is safe.
func (l *leader) createAll(ctx context.Context, c wire.Creates) (wire.Accepted, error) {
	return outlive(ctx, l, func() (wire.Accepted, error) { return l.admitAll(c.Creates) })
}

// admitAll is admitRun for many runs. Those of one master reach it together.
func (l *leader) admitAll(creates []wire.Create) (wire.Accepted, error) {
	all, now := make([]state.Creation, len(creates)), l.n.wall()
	reserved, waits, choose := make([]bool, len(creates)), map[string]bool{}, l.chooser("")
	for i := range creates {
		all[i] = state.Creation{Run: creates[i].Run, Chunks: creates[i].Chunks}
		k := &all[i]
		k.Within = state.Limits{Job: k.Run.Spec.MaxQueued, Cluster: l.n.cfg.MaxQueued}
		k.Run.Master = ""
		of := jobOf(&k.Run)
		if _, known := waits[of]; !known {
			waits[of] = l.isPaused(k.Run.Spec.Namespace, k.Run.Spec.Name) || l.behind(&k.Run)
		}
		if waits[of] || k.Run.NotBefore.After(now) {
			continue
		}
		if reserved[i] = l.reserve(&k.Run); reserved[i] {
			k.Run.Master, k.Run.Trace = choose(), telemetry.AtOnce(k.Run.Trace, true)
		} else {
			waits[of] = true // none of those behind it overtakes it
		}
	}
	accepted, again := wire.Accepted{Runs: make([]job.RunID, len(all))}, error(nil)
	begun := map[string][]job.Run{}
	for i, made := range l.recordAll(all) {
		run, err := made.Run, made.Err
		id := all[i].Run.ID
		switch {
		case err == nil && run.ID == id && run.Master != "" && !run.State.Done():
			l.note(&run)
			begun[run.Master] = append(begun[run.Master], run)
			reserved[i] = false
		case err == nil && run.State == job.Pending:
			l.came(&run)
		}
		if reserved[i] {
			l.release(id)
		}
		switch {
		case err != nil && (l.ctx.Err() != nil || isUnsettled(err)):
			again = fmt.Errorf("%w: %w", state.ErrUncertain, err)
			continue
		case err != nil:
			accepted.Refused = append(accepted.Refused, refusal(i, l.overloaded(&all[i].Run, err)))
			continue
		}
		accepted.Runs[i] = run.ID
	}
	for master, runs := range begun {
		l.wg.Go(func() { l.tellAll(master, runs) })
	}
	return accepted, again
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

// recordAll is recordRun for many runs.
func (l *leader) recordAll(all []state.Creation) []state.Created {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		made := l.state.CreateAll(l.ctx, all)
		unsure := slices.ContainsFunc(made, func(m state.Created) bool { return is(m.Err, state.ErrUncertain) })
		if !unsure || !pause(l.ctx, wait) {
			return made
		}
	}
}

// tellAll makes a master begin runs. If it does not take them they are a matter
// each.
func (l *leader) tellAll(master string, runs []job.Run) {
	for len(runs) > 0 {
		n := cutRuns(runs)
		ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
		_, err := call[wire.Nothing](ctx, l.n, master, wire.MethodConduct, wire.Conduct{Runs: runs[:n:n]})
		cancel()
		if err != nil && l.ctx.Err() == nil {
			l.n.log.Warn("a master did not take runs together", telemetry.Member(l.n.nameOf(master)), telemetry.Err(err))
			for _, run := range runs[:n] {
				l.wg.Go(func() { l.tell(run) })
			}
		}
		if err == nil {
			l.dismissEnded(runs[:n])
		}
		runs = runs[n:]
	}
}

// dismissEnded tells the master of runs which of them were ended while it was
// told to begin them: the word of that may have come first.
func (l *leader) dismissEnded(runs []job.Run) {
	l.mu.Lock()
	var over []job.RunID
	for i := range runs {
		if _, begun := l.runs[runs[i].ID]; !begun {
			over = append(over, runs[i].ID)
		}
	}
	l.mu.Unlock()
	for _, id := range over {
		if run, err := l.state.Run(id); err == nil && run.State.Done() && run.State != job.Succeeded {
			l.dismiss(&run)
		}
	}
}

const (
	// maxTogether is how many runs one message is about at most.
	maxTogether = 1024
	// aboutRun is what a run takes in a message beyond what its caller made
	// large, about.
	aboutRun = 512
)

// cutRuns returns how many of runs one message is to hold: at least one.
func cutRuns(runs []job.Run) int {
	size := 0
	for i := range runs {
		if size += sizeOf(&runs[i]); i > 0 && size > maxDispatch || i == maxTogether {
			return i
		}
	}
	return len(runs)
}

// sizeOf returns about how many bytes a run takes in a message.
func sizeOf(run *job.Run) int {
	size := aboutRun + len(run.Spec.Params) + len(run.Key) + len(run.Plan.Sample)
	for name, value := range run.Extra {
		size += len(name) + len(value)
	}
	for _, id := range run.Plan.Nodes {
		size += len(id)
	}
	return size
}

// endAll records how runs ended. An error says that this is not known of all
// of them, and that asking again is safe.
func (l *leader) endAll(ctx context.Context, e wire.Endings) (wire.Ended, error) {
	all := make([]state.Ending, len(e.Endings))
	for i := range e.Endings {
		f := &e.Endings[i]
		all[i] = state.Ending{
			Run: f.Run, Epoch: f.Epoch, State: f.State, Reason: f.Reason, Progress: f.Progress,
			First: f.First, Last: f.Last, Small: true,
		}
	}
	var ended wire.Ended
	var unsure error
	over := make([]job.RunID, 0, len(all))
	for i, err := range l.state.FinishAll(ctx, all) {
		switch {
		case err == nil:
			over = append(over, all[i].Run)
		case isSettled(err):
			ended.Refused = append(ended.Refused, refusal(i, err))
		case unsure == nil:
			unsure = err
		}
	}
	if len(over) > 0 {
		l.ended(over...)
	}
	return ended, unsure
}

// isSettled reports whether the state has refused for good what a master wants
// recorded.
func isSettled(err error) bool {
	for _, end := range []error{state.ErrFenced, state.ErrFinal, state.ErrNoRun, state.ErrConflict, state.ErrInvalid} {
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
