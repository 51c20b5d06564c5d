package node

import (
	"context"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// cancelGrace is how long a run that somebody cancelled may take to come to
// its end before it is ended without its master.
const cancelGrace = 45 * time.Second

// cancelRun records that a run should end early, and sees to it that it does.
// One that has not begun ends at once: there is nothing to wait for.
func (l *leader) cancelRun(ctx context.Context, r wire.RunRef) (job.Run, error) {
	run, err := l.state.Run(r.Run)
	if err != nil || run.State.Done() {
		return run, err
	}
	if r.Now || run.State == job.Pending {
		if run, err = l.state.Kill(ctx, r.Run, r.Reason); err == nil {
			l.came(&run) // if it was the first in its line, another is
			l.endedAlone(run)
		}
		return run, err
	}
	run, err = l.state.Cancel(ctx, r.Run, r.Reason)
	if err == nil && !run.State.Done() {
		l.wg.Go(func() { l.enforce(run, cancelGrace) })
	}
	return run, err
}

// enforce tells the master of a run that it was cancelled, and ends the run if
// that has had no effect after a while.
func (l *leader) enforce(run job.Run, after time.Duration) {
	grace, cancel := context.WithTimeout(l.ctx, after)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ctx, cancel := context.WithTimeout(grace, describeTimeout)
		_, err := call[wire.Nothing](ctx, l.n, run.Master, wire.MethodCancel, wire.RunRef{Run: run.ID, Reason: run.CancelReason})
		cancel()
		if err == nil || !pause(grace, wait) {
			break
		}
		// A master that comes after the record sees it by itself.
		if now, err := l.state.Run(run.ID); err == nil && (now.State.Done() || now.Epoch != run.Epoch) {
			break
		}
	}
	if _, err := l.state.Await(grace, run.ID); err == nil || l.ctx.Err() != nil {
		return
	}
	l.n.log.Warn("a cancelled run did not come to its end and is ended without its master", telemetry.Run(run.ID), telemetry.Member(run.Master))
	if killed, err := l.state.Kill(l.ctx, run.ID, run.CancelReason); err == nil {
		l.endedAlone(killed)
	} else if l.ctx.Err() == nil {
		l.n.log.Error("a cancelled run can't be ended", telemetry.Run(run.ID), telemetry.Err(err))
	}
}

// endedAlone does what follows the end of a run that was ended without its
// master, and tells that one.
func (l *leader) endedAlone(run job.Run) {
	l.ended(run.ID)
	l.n.ended(&run, run.State)
	if run.Master != "" {
		l.wg.Go(func() { l.dismiss(&run) })
	}
}

// dismiss tells the master of a run that it was ended.
func (l *leader) dismiss(run *job.Run) {
	ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
	defer cancel()
	_, err := call[wire.Nothing](ctx, l.n, run.Master, wire.MethodDismiss, wire.RunRef{Run: run.ID, Epoch: run.Epoch, Reason: run.Reason})
	if err != nil {
		l.n.log.Debug("a master could not be told that its run was ended", telemetry.Member(run.Master), telemetry.Err(err))
	}
}
