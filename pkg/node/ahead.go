package node

import (
	"math"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Many jobs are due at the same instant: at midnight, on the hour. What becomes of
// their fires is worked out before it, so that they have only to be recorded when
// it has come, or a little before it if they are very many; see storms. What is
// worked out is kept in memory and binds nobody: the state takes a settlement only
// if nothing has happened to the job since it was read, so one that is changed,
// paused or deleted meanwhile is settled at the instant, as are those for which
// there was no time, and those that more has a say in than their spec.

const (
	// foresight is how long before they are due fires are worked out.
	foresight = 30 * time.Second
	// maxEarly bounds how many bytes wait, and aboutEarly is what those of a job
	// take beyond its fires. One whose fires take more than maxOneEarly, because
	// its input came with it, is left until it is due.
	maxEarly    = 96 << 20
	aboutEarly  = 200
	maxOneEarly = 64 << 10
	// maxBack bounds how many jobs are remembered that are to be looked at again.
	maxBack = 1 << 15
	// earlyPage is how many jobs are read together.
	earlyPage = 256
)

// ahead is the part of the clock that works out what is not due yet.
type ahead struct {
	c    *clock
	poke bell // rung if there may be more to work out

	mu    sync.Mutex
	early map[jobRef]early          // guarded by mu
	crowd map[int64]map[jobRef]bool // those of them that may be recorded ahead, by when they are due; guarded by mu
	bytes int                       // that those take; guarded by mu
	after state.Wake                // the last that was looked at; guarded by mu
	back  []state.Wake              // those that came before it since; guarded by mu
}

// jobRef names a job.
type jobRef struct{ namespace, name string }

// early is a settlement that was worked out before its time.
type early struct {
	firing    *state.Packed
	at, until time.Time      // when it is due, and up to when it holds
	processor wire.Processor // as it was planned for
	waits     bool           // it can't be recorded ahead
}

func newAhead(c *clock) *ahead {
	return &ahead{c: c, poke: newBell(), early: map[jobRef]early{}, crowd: map[int64]map[jobRef]bool{}}
}

// run works out what is about to be due, while the node leads.
func (a *ahead) run() {
	a.c.l.whenDue(a.look, "to work out fires ahead", a.poke, nil)
}

// look works out what is due within foresight and returns how long nothing else
// is.
func (a *ahead) look() (next time.Duration, err error) {
	l := a.c.l
	for l.ctx.Err() == nil {
		now := l.n.wall()
		wakes, err := a.next(now)
		if err != nil {
			return 0, err
		}
		for _, w := range wakes {
			e, ok, err := a.workOut(w)
			if err != nil {
				return 0, err
			}
			if ok {
				a.mu.Lock()
				a.keepLocked(jobRef{w.Namespace, w.Name}, e)
				a.mu.Unlock()
			}
		}
		if len(wakes) == 0 {
			break
		}
	}
	a.c.storms.gather.ring()
	a.mu.Lock()
	after, full := a.after, a.bytes >= maxEarly
	a.mu.Unlock()
	if full {
		return foresight, nil
	}
	wakes, err := l.state.WakesAfter(after, time.Unix(0, math.MaxInt64), 1)
	if err != nil || len(wakes) == 0 {
		return time.Hour, err
	}
	return max(wakes[0].At.Add(-foresight).Sub(l.n.wall()), 0), nil
}

// next returns the jobs to work out next, none if there is no room.
func (a *ahead) next(now time.Time) ([]state.Wake, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.roomLocked(now) {
		return nil, nil
	}
	if n := min(len(a.back), earlyPage); n > 0 {
		wakes := a.back[:n:n]
		a.back = a.back[n:]
		return wakes, nil
	}
	if a.after.At.Before(now) {
		a.after = state.Wake{At: now} // what is due is settled
	}
	wakes, err := a.c.l.state.WakesAfter(a.after, now.Add(foresight), earlyPage)
	if len(wakes) > 0 {
		a.after = wakes[len(wakes)-1]
	}
	return wakes, err
}

// roomLocked reports whether more may wait. What does not hold any more is let go
// of when there is no room.
func (a *ahead) roomLocked(now time.Time) bool {
	if a.bytes >= maxEarly {
		for of, e := range a.early {
			if now.After(e.until) {
				a.dropLocked(of)
			}
		}
	}
	return a.bytes < maxEarly
}

func (a *ahead) keepLocked(of jobRef, e early) {
	a.dropLocked(of)
	a.early[of] = e
	a.bytes += e.firing.Size() + aboutEarly
	if at := e.at.UnixNano(); !e.waits {
		if a.crowd[at] == nil {
			a.crowd[at] = map[jobRef]bool{}
		}
		a.crowd[at][of] = true
	}
}

func (a *ahead) dropLocked(of jobRef) {
	e, ok := a.early[of]
	if !ok {
		return
	}
	a.bytes -= e.firing.Size() + aboutEarly
	delete(a.early, of)
	at := e.at.UnixNano()
	if delete(a.crowd[at], of); len(a.crowd[at]) == 0 {
		delete(a.crowd, at)
	}
}

// nextCrowd returns the first instant that so many jobs or more are due at, of
// those that may be recorded ahead, and how many they are; zero if there is none.
func (a *ahead) nextCrowd(least int) (at time.Time, jobs int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for instant, of := range a.crowd {
		if t := time.Unix(0, instant).UTC(); len(of) >= least && (jobs == 0 || t.Before(at)) {
			at, jobs = t, len(of)
		}
	}
	return at, jobs
}

// takeCrowd takes what was worked out of some of the jobs that are due at an
// instant.
func (a *ahead) takeCrowd(at time.Time, most int) map[jobRef]early {
	taken := map[jobRef]early{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for of := range a.crowd[at.UnixNano()] {
		if len(taken) == most {
			break
		}
		taken[of] = a.early[of]
		a.dropLocked(of)
	}
	return taken
}

// giveBack keeps what can't be recorded ahead until it is due.
func (a *ahead) giveBack(of jobRef, e early) {
	e.waits = true
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepLocked(of, e)
}

// workOut settles a job at the time at which it is to be looked at. It reports
// false if that has to wait until then.
func (a *ahead) workOut(w state.Wake) (e early, ok bool, err error) {
	l := a.c.l
	d, err := l.state.Job(w.Namespace, w.Name)
	if is(err, state.ErrNoJob) || err == nil && !d.Fires.Wake.Equal(w.At) {
		return e, false, nil // something has happened to it
	}
	if err != nil {
		return e, false, err
	}
	processor, ok := l.n.known(d.Spec.Processor)
	if !ok {
		return e, false, nil
	}
	table, err := a.c.tables.of(&d, l.state.Origin(), l.n.cfg.Calendars)
	if err != nil {
		return e, false, nil //nolint:nilerr // it is said when it is due
	}
	s, until, ok := scheduler.Ahead(&d, table)
	if !ok || len(s.Runs) > firesTogether(&d.Spec, 0) {
		return e, false, nil
	}
	f := state.Firing{
		Namespace: w.Namespace, Name: w.Name, Revision: d.Revision, Seq: d.Fires.Seq, Cursor: s.Cursor, Wake: s.Wake, Ended: s.Ended,
		Runs: a.c.prepareAll(s.Runs, d.Inline),
	}
	for i := range f.Runs {
		if run := &f.Runs[i].Run; run.Unplanned != "" || !timeless(&run.Spec) {
			return e, false, nil
		}
	}
	packed, err := l.state.Pack(&f)
	if err != nil || packed.Size() > maxOneEarly {
		return e, false, nil //nolint:nilerr // it is said when it is due
	}
	return early{firing: packed, at: w.At, until: until, processor: processor}, true, nil
}

// timeless reports whether the plan of a run, as its spec says by now, is the same
// whenever it is made: it depends on no files and no members.
func timeless(spec *job.Spec) bool {
	return (spec.Mode == job.Standalone || spec.Mode == job.Map) && len(spec.Input.Globs) == 0 && spec.Output.Dir == ""
}

// take returns what was worked out of jobs that are due and still holds, and the
// jobs of which nothing was.
func (a *ahead) take(wakes []state.Wake) (ready []*state.Packed, rest []state.Wake) {
	now, processors := a.c.l.n.wall(), map[string]wire.Processor{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range wakes {
		of := jobRef{w.Namespace, w.Name}
		e, ok := a.early[of]
		a.dropLocked(of)
		if !ok || !e.at.Equal(w.At) || now.After(e.until) {
			rest = append(rest, w)
			continue
		}
		p, asked := processors[e.processor.Name]
		if !asked {
			p, _ = a.c.l.n.known(e.processor.Name)
			processors[e.processor.Name] = p
		}
		if p != e.processor {
			rest = append(rest, w)
			continue
		}
		ready = append(ready, e.firing)
	}
	return ready, rest
}

// unpack returns a settlement that was taken, by which runs are created now.
func (a *ahead) unpack(p *state.Packed) (state.Firing, error) {
	f, err := p.Unpack()
	for i := range f.Runs {
		f.Runs[i].Run.Created = a.c.l.n.wall().UTC() // which is later than it was due
	}
	return f, err
}

// comes notes when jobs are due next whose fires were recorded.
func (a *ahead) comes(all []state.Firing) {
	a.mu.Lock()
	for i := range all {
		w := state.Wake{Namespace: all[i].Namespace, Name: all[i].Name, At: all[i].Wake}
		if !w.At.IsZero() && !w.At.After(a.after.At) && len(a.back) < maxBack {
			a.back = append(a.back, w)
		}
	}
	a.mu.Unlock()
	a.poke.ring()
}
