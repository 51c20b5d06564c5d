package node

import (
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Runs that may not begin yet wait in the state, on disk, in the order in
// which they are to begin. The leader reads from the front whenever something
// has changed that a run may have waited for.

// queuePage is how many waiting runs are looked at together.
const queuePage = 256

// jobOf names the job of a run in its namespace.
func jobOf(run *job.Run) string { return run.Spec.Namespace + "/" + run.Spec.Name }

// limitOf returns how many runs of its job may go on beside a run, itself
// included: under most policies for overlap, what a trigger makes begins when
// the run before it is over.
func limitOf(run *job.Run) int {
	switch run.Origin {
	case trigger.ReasonFire, trigger.ReasonCatchUp, trigger.ReasonEvent, trigger.ReasonDependency, trigger.ReasonLifecycle:
	default:
		return run.Spec.MaxRuns
	}
	switch run.Spec.Schedule.Overlap {
	case trigger.OverlapQueueOne, trigger.OverlapQueueAll, trigger.OverlapCancelOld:
		return 1
	}
	return run.Spec.MaxRuns
}

// mayBegin counts a new run as begun if it may begin at once: it must not
// overtake those that wait.
func (l *leader) mayBegin(run *job.Run) bool {
	return !run.NotBefore.After(l.n.wall()) && !l.behind(run) &&
		l.reserve(run.ID, run.Spec.Namespace, run.Spec.Name, limitOf(run))
}

// behind reports whether runs wait that should begin before a new one.
func (l *leader) behind(run *job.Run) bool {
	ofJob, all, err := l.state.Queued(run.Spec.Namespace, run.Spec.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	return err != nil || ofJob > 0 || all > 0 && l.crowded
}

// reserve counts a run as begun if it may begin now.
func (l *leader) reserve(id job.RunID, namespace, name string, limit int) bool {
	return !l.isPaused(namespace, name) && l.reserveIn(id, namespace+"/"+name, limit)
}

// isPaused reports whether no run of a job may begin.
func (l *leader) isPaused(namespace, name string) bool {
	_, paused, err := l.state.Paused(namespace, name)
	return err != nil || paused
}

// reserveIn is reserve for a job that is not paused.
func (l *leader) reserveIn(id job.RunID, of string, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crowded = l.crowded || !l.admit.Room()
	if _, begun := l.runs[id]; begun || !l.admit.May(of, limit) {
		return false
	}
	l.admit.Begin(of)
	l.masterLocked(id, "")
	return true
}

// release counts a run as ended, or as not begun after all.
func (l *leader) release(id job.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, begun := l.runs[id]; !begun {
		return
	}
	l.unloadLocked(id)
	delete(l.runs, id)
	l.admit.End(id.Namespace() + "/" + id.Job())
	l.wakeQueue()
}

// wakeQueue has the queue looked at.
func (l *leader) wakeQueue() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// beginAll begins what waits, as it becomes able to.
func (l *leader) beginAll() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, err := l.beginDue()
		if err != nil && l.ctx.Err() == nil {
			l.n.log.Error("runs that wait can't be begun", telemetry.Err(err))
			next = time.Second
		}
		timer.Reset(next)
		select {
		case <-l.ctx.Done():
			return
		case <-l.poke:
		case <-timer.C:
		}
	}
}

// beginDue begins what may begin now, and returns how long nothing more will
// be due.
func (l *leader) beginDue() (next time.Duration, err error) {
	if err := l.ripen(); err != nil {
		return 0, err
	}
	if err := l.beginPending(); err != nil {
		return 0, err
	}
	at, ok, err := l.state.NextDue()
	if !ok {
		return time.Hour, err
	}
	return max(at.Sub(l.n.wall()), 0), err
}

// ripen lets the runs whose time has come wait for a master.
func (l *leader) ripen() error {
	for {
		due, err := l.state.Due(l.n.wall(), queuePage)
		if err != nil || len(due) == 0 {
			return err
		}
		ids := make([]job.RunID, len(due))
		for i := range due {
			ids[i] = due[i].ID
		}
		if err := l.state.Admit(l.ctx, ids...); err != nil {
			return err
		}
	}
}

// beginPending begins the runs that wait for a master, as far as there is room.
func (l *leader) beginPending() error {
	left, err := l.waiting()
	if err != nil {
		return err
	}
	skip := func(namespace, name string) bool { return left[namespace+"/"+name] == 0 }
	for after := (state.Waiting{}); len(left) > 0 && l.room(); {
		runs, err := l.state.Pending(after, queuePage, skip)
		if err != nil {
			return err
		}
		if len(runs) == 0 {
			break
		}
		for _, w := range runs {
			of := w.Namespace + "/" + w.Job
			if left[of] == 0 {
				continue
			}
			begins, err := l.beginWaiting(w)
			if err != nil {
				return err
			}
			if left[of]--; !begins || left[of] == 0 {
				delete(left, of)
			}
		}
		after = runs[len(runs)-1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crowded = !l.admit.Room()
	return nil
}

// waiting returns how many runs wait for a master, of each job that is not
// paused. When nobody else waits, those of paused jobs need not be passed over.
func (l *leader) waiting() (map[string]int, error) {
	left := map[string]int{}
	for j, err := range l.state.QueuedJobs() {
		if err != nil {
			return nil, err
		}
		_, paused, err := l.state.Paused(j.Namespace, j.Job)
		if err != nil {
			return nil, err
		}
		if !paused {
			left[j.Namespace+"/"+j.Job] = j.N
		}
	}
	return left, nil
}

// beginWaiting begins a run that waits, or reports that no run of its job may
// begin.
func (l *leader) beginWaiting(w state.Waiting) (begins bool, err error) {
	run, err := l.state.Run(w.ID)
	switch {
	case is(err, state.ErrNoRun), err == nil && run.State != job.Pending:
		return true, nil // it has begun or ended meanwhile
	case err != nil:
		return false, err
	case !l.reserve(w.ID, w.Namespace, w.Job, limitOf(&run)):
		return false, nil
	}
	l.wg.Go(func() {
		if run, news := l.assign(w.ID, "", "it may begin"); news {
			l.tell(run)
		}
	})
	return true, nil
}

func (l *leader) room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.admit.Room() && l.ctx.Err() == nil
}

// waitsFor says what a run waits for that has not begun.
func (l *leader) waitsFor(run *job.Run) string {
	if run.NotBefore.After(l.n.wall()) {
		return "waits until " + run.NotBefore.Format(time.RFC3339)
	}
	if p, paused, err := l.state.Paused(run.Spec.Namespace, run.Spec.Name); err == nil && paused {
		return fmt.Sprintf("waits: the job is paused since %s: %s", p.At.Format(time.RFC3339), p.Reason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ofJob, total := l.admit.Running(jobOf(run))
	switch {
	case !l.admit.Room():
		return fmt.Sprintf("waits: %d runs go on, and Config.MaxRuns is %d", total, l.n.cfg.MaxRuns)
	case run.Spec.MaxRuns > 0 && ofJob >= run.Spec.MaxRuns:
		return fmt.Sprintf("waits: %d runs of the job go on, and its MaxRuns is %d", ofJob, run.Spec.MaxRuns)
	case ofJob > 0 && limitOf(run) == 1:
		return fmt.Sprintf("waits for the run before it, as Schedule.Overlap is %s", run.Spec.Schedule.Overlap)
	}
	return "is about to begin"
}

// pauseJob keeps the runs of a job from beginning, and resumeJob lets them.
func (l *leader) pauseJob(ctx context.Context, r wire.JobRef) (none wire.Nothing, err error) {
	return none, l.state.PauseJob(ctx, r.Namespace, r.Name, r.Reason)
}

func (l *leader) resumeJob(ctx context.Context, r wire.JobRef) (none wire.Nothing, err error) {
	err = l.state.ResumeJob(ctx, r.Namespace, r.Name)
	l.wakeQueue()
	l.clock.wake()
	return none, err
}
