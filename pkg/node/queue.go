package node

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Runs that may not begin yet wait in the state, on disk, in lines. The leader
// has the lines take their turns whenever something has changed that a run may
// have waited for; package scheduler says whose turn it is, and who may begin.

// queuePage is how many waiting runs are begun, or let wait for a master, together.
const queuePage = 256

// jobOf names the job of a run in its namespace.
func jobOf(run *job.Run) string { return run.Spec.Namespace + "/" + run.Spec.Name }

// jobIn is jobOf for a run of which only the ID is known.
func jobIn(id job.RunID) string {
	name, _, _ := strings.Cut(string(id), "@")
	return name
}

// behind reports whether runs wait that should begin before a new one.
func (l *leader) behind(run *job.Run) bool {
	ofJob, all, err := l.state.Queued(run.Spec.Namespace, run.Spec.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	claim := l.claimLocked(run)
	return err != nil || claim.Rated() || ofJob > 0 || all > 0 && (l.crowded || claim.Shared())
}

// reserve counts a new run of a job that is not paused as begun if it may begin.
func (l *leader) reserve(run *job.Run) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reservedLocked(run.ID, l.claimLocked(run), l.n.wall())
}

// reservedLocked reports whether a run that had not begun counts as begun now.
func (l *leader) reservedLocked(id job.RunID, claim scheduler.Claim, now time.Time) bool {
	wait, begun := l.reserveLocked(id, claim, now)
	return !begun && wait.Blocks == scheduler.BlocksNothing
}

// reserveLocked counts a run as begun unless it has to wait, or has begun.
func (l *leader) reserveLocked(id job.RunID, claim scheduler.Claim, now time.Time) (wait scheduler.Wait, begun bool) {
	l.crowded = l.crowded || !l.admit.Room()
	if _, begun := l.runs.Get(id); begun {
		return wait, true
	}
	if wait = l.admit.Wait(claim, now); wait.Blocks == scheduler.BlocksNothing {
		l.admit.Begin(id, claim, now)
		l.masterLocked(id, "")
	}
	return wait, false
}

// release counts runs as ended, or as not begun after all.
func (l *leader) release(ids ...job.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if _, begun := l.runs.Get(id); begun {
			l.releaseLocked(id)
		}
	}
}

func (l *leader) releaseLocked(id job.RunID) {
	l.unloadLocked(id)
	l.runs.Delete(id)
	full := !l.admit.Room()
	l.waiters.Ended(l.admit.End(id))
	if len(l.wanted) > 0 {
		l.madeLocked()
	}
	if full {
		l.waiters.All()
	}
	l.poke.ring()
}

// wakeQueue has all that wait looked at.
func (l *leader) wakeQueue() {
	l.mu.Lock()
	l.waiters.All()
	l.mu.Unlock()
	l.poke.ring()
}

// came has those looked at that a run waits with.
func (l *leader) came(run *job.Run) {
	l.mu.Lock()
	l.waiters.Came(scheduler.Place{Priority: run.Spec.Priority, Namespace: run.Spec.Namespace, Job: run.Spec.Name, Line: state.LineOf(run)})
	l.mu.Unlock()
	l.poke.ring()
}

// beginAll begins what waits, as it becomes able to.
func (l *leader) beginAll() {
	l.whenDue(l.beginDue, "to begin runs that wait", l.poke, nil)
}

// beginDue begins what may begin now, and returns how long nothing more will
// be due.
func (l *leader) beginDue() (next time.Duration, err error) {
	if err := l.ripen(); err != nil {
		return 0, err
	}
	free, err := l.beginPending()
	if err != nil {
		return 0, err
	}
	at, ok, err := l.state.NextDue()
	if free.IsZero() && !ok {
		return time.Hour, err
	}
	if !ok || !free.IsZero() && free.Before(at) {
		at = free
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
		err = l.state.Admit(l.ctx, ids...)
		l.mu.Lock()
		for i := range due {
			l.waiters.Came(scheduler.Place{Priority: due[i].Priority, Namespace: due[i].Namespace, Job: due[i].Job})
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// beginPending lets runs that wait for a master take their turns, as far as
// they may begin, and returns when a limit lets the next one that it keeps from
// it.
func (l *leader) beginPending() (next time.Time, err error) {
	l.choosing.Lock()
	defer l.choosing.Unlock()
	l.mu.Lock() // before the lines are read: what comes after that is asked the next time
	places, all := l.waiters.Take(l.n.wall())
	l.mu.Unlock()
	lines, err := l.state.Lines()
	if err != nil {
		l.wakeQueue()
		return next, err
	}
	defer lines.Close()
	among := scheduler.Backlog(backlog{lines})
	if !all {
		among = scheduler.Within(among, places)
	}
	p := &page{l: l}
	_, err = l.turns.Choose(among, math.MaxInt, p.ask)
	if failed := p.begin(); err == nil {
		err = failed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crowded = !l.admit.Room(); err != nil {
		l.waiters.All()
	}
	return l.waiters.Next(), err
}

// backlog is the lines of the state as the scheduler reads them.
type backlog struct{ lines *state.Lines }

// Line returns the first line at a place or behind it.
func (b backlog) Line(p scheduler.Place) (scheduler.Place, bool, error) {
	w, ok, err := b.lines.Line(waitingAt(p))
	return placeOf(w), ok, err
}

// Run returns the first run of a line at a place or behind it.
func (b backlog) Run(p scheduler.Place) (scheduler.Place, bool, error) {
	w, ok, err := b.lines.Run(waitingAt(p))
	return placeOf(w), ok, err
}

func waitingAt(p scheduler.Place) state.Waiting {
	return state.Waiting{Priority: p.Priority, Namespace: p.Namespace, Job: p.Job, Line: p.Line, Created: p.Created, ID: p.ID}
}

func placeOf(w state.Waiting) scheduler.Place {
	return scheduler.Place{Priority: w.Priority, Namespace: w.Namespace, Job: w.Job, Line: w.Line, Created: w.Created, ID: w.ID}
}

// page is runs that wait and are about to begin together.
type page struct {
	l   *leader
	ids []job.RunID
}

// ask has a run begin whose turn it is, if it may.
func (p *page) ask(at scheduler.Place) (a scheduler.Answer, err error) {
	if p.l.state.IsPaused(at.Namespace, at.Job) {
		return scheduler.Answer{Blocks: scheduler.BlocksJob}, nil
	}
	claim, ok, err := p.l.claimOf(at.ID)
	if err != nil || !ok || p.l.ctx.Err() != nil {
		return a, cmp.Or(err, context.Cause(p.l.ctx))
	}
	p.l.mu.Lock()
	wait, begun := p.l.reserveLocked(at.ID, claim, p.l.n.wall())
	p.l.headLocked(at, claim, wait)
	p.l.mu.Unlock()
	switch {
	case begun:
		return a, nil
	case wait.Blocks != scheduler.BlocksNothing:
		return scheduler.Answer{Blocks: wait.Blocks}, nil
	}
	if p.ids = append(p.ids, at.ID); len(p.ids) == queuePage {
		err = p.begin()
	}
	return scheduler.Answer{Begins: true, Weight: claim.Weight}, err
}

// begin gives the runs that were chosen a master each.
func (p *page) begin() error {
	l, ids := p.l, p.ids
	p.ids = nil
	if len(ids) == 0 {
		return nil
	}
	if err := l.keepRates(); err != nil {
		for _, id := range ids {
			l.release(id)
		}
		return err
	}
	l.wg.Go(func() { l.assignAll(ids) })
	return nil
}

// maxHeads bounds of how many runs that are first in their line, and have to
// wait, it is kept in memory what they need to begin.
const maxHeads = 10_000

// claimOf returns what a run that waits needs to begin, or false if it has
// begun or ended meanwhile.
func (l *leader) claimOf(id job.RunID) (claim scheduler.Claim, ok bool, err error) {
	l.mu.Lock()
	claim, ok = l.heads[id]
	l.mu.Unlock()
	if ok {
		return claim, true, nil
	}
	run, err := l.state.Run(id)
	if is(err, state.ErrNoRun) || err == nil && run.State != job.Pending {
		return claim, false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claimLocked(&run), err == nil, err
}

// headLocked keeps what a run needs that has to wait, and what for.
func (l *leader) headLocked(at scheduler.Place, claim scheduler.Claim, wait scheduler.Wait) {
	if wait.Blocks == scheduler.BlocksNothing {
		delete(l.heads, at.ID)
		return
	}
	l.waiters.Wait(at, wait)
	if len(l.heads) >= maxHeads || l.heads == nil {
		l.heads = map[job.RunID]scheduler.Claim{}
	}
	l.heads[at.ID] = claim
}

// waitsFor says what a run waits for that has not begun.
func (l *leader) waitsFor(run *job.Run) string {
	if run.NotBefore.After(l.n.wall()) {
		until := "waits until " + run.NotBefore.Format(time.RFC3339)
		if run.Origin == trigger.ReasonRetry {
			return fmt.Sprintf("attempt %d of %d %s", run.Attempt, max(run.Spec.Repeat.Attempts, run.Attempt), until)
		}
		return until
	}
	if p, paused, err := l.state.Paused(run.Spec.Namespace, run.Spec.Name); err == nil && paused {
		return fmt.Sprintf("waits: the job is paused since %s: %s", p.At.Format(time.RFC3339), p.Reason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.admit.Wait(l.claimLocked(run), l.n.wall()); wait.Blocks != scheduler.BlocksNothing {
		return wait.String()
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
