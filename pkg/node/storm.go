package node

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// To record a fire takes longer than to execute most. Where many are due at one
// instant, those that only their job has a say in are recorded ahead of it, with
// their masters, and these are told of the runs that they are going to conduct.
// When the instant comes the state hears that it has, in one command for all, and
// each master that those it holds begin. Who was not told ahead, or has forgotten,
// is told as of any other run.

const (
	// manyAtOnce is from how many jobs on the fires of an instant are recorded ahead
	// of it.
	manyAtOnce = 64
	// leadOfEach is how much earlier that begins for each of them, and leastLead how
	// much at least. What is as near as tooNear waits for the instant.
	leadOfEach = 400 * time.Microsecond
	leastLead  = 500 * time.Millisecond
	tooNear    = 50 * time.Millisecond
	// maxHeld bounds how large one of them is that masters hold.
	maxHeld = 8 << 10
	// partRuns is about how many begin together, see partOf.
	partRuns = 8 << 10
)

// storms is what this leader has recorded ahead of instants that have not come.
type storms struct {
	c      *clock
	gather bell // rung if more may be due together
	due    bell // rung if an instant may have come nearer

	mu       sync.Mutex
	came     time.Time        // the last instant that has; guarded by mu
	instants map[int64]*storm // in nanoseconds since 1970; guarded by mu
	runs     int              // of all instants; guarded by mu
	number   uint64           // of the last that are held; guarded by mu
}

// storm is the runs that were recorded ahead of one instant.
type storm struct {
	groups []*held
	of     map[job.RunID]*held
}

// held is runs of a storm that have one master.
type held struct {
	number uint64
	master string
	runs   []job.RunID
	told   bool        // the master holds them; guarded by the mu of storms
	begin  []job.RunID // those that were not withdrawn, once that is known
}

func newStorms(c *clock) *storms {
	return &storms{c: c, gather: newBell(), due: newBell(), instants: map[int64]*storm{}, number: uint64(c.l.began.UnixNano())}
}

// run records what many are due for together, some time before it is, while the
// node leads.
func (s *storms) run() {
	s.c.l.whenDue(s.recordDue, "to record fires ahead", s.gather, nil)
}

// recordDue records what is to be by now, and returns how long nothing else is.
func (s *storms) recordDue() (next time.Duration, err error) {
	for {
		at, jobs := s.c.ahead.nextCrowd(manyAtOnce)
		if jobs == 0 {
			return time.Hour, nil
		}
		lead := leastLead + time.Duration(jobs)*leadOfEach
		if wait := at.Add(-lead).Sub(s.c.l.n.wall()); wait > 0 {
			return wait, nil
		}
		if err := s.recordAll(at); err != nil {
			return 0, err
		}
	}
}

// recordAll records what is due at an instant, as long as there is time for that.
// What is not waits for it.
func (s *storms) recordAll(at time.Time) error {
	var records sync.WaitGroup
	var failed failure
	for range recorders {
		records.Go(func() {
			for s.c.l.ctx.Err() == nil {
				taken := s.c.ahead.takeCrowd(at, firesInEntry)
				if len(taken) == 0 {
					return
				}
				failed.note(s.record(at, taken))
			}
		})
	}
	records.Wait()
	return failed.err
}

// record records some settlements ahead of the instant that they are due at.
func (s *storms) record(at time.Time, taken map[jobRef]early) (err error) {
	at = s.partOf(at)
	firings := s.reserve(at, taken)
	runs, waits := make([]*job.Run, len(firings)), map[job.RunID]bool{}
	for i := range firings {
		runs[i] = &firings[i].Runs[0].Run
		waits[runs[i].ID] = true
	}
	spans := s.c.trace(runs)
	fired, errs := s.c.record(firings)
	of := map[string][]*job.Run{} // by master
	for i := range fired {
		for _, run := range fired[i].Begun {
			delete(waits, run.ID)
			of[run.Master] = append(of[run.Master], run)
		}
		telemetry.End(spans[i], errs[i])
		if is(errs[i], state.ErrStale) { // its run before goes on, perhaps
			s.giveBack(&firings[i], taken)
		}
		err = cmp.Or(err, unsettled(errs[i]))
	}
	for master, runs := range of {
		s.hold(at, master, runs)
	}
	s.c.release(waits)
	s.c.ahead.comes(firings)
	s.due.ring()
	return err
}

// partOf returns the instant of those that are recorded next of an instant. Very
// many begin in parts, each a nanosecond behind the one before it, so that the first
// are executed while the state hears of the others.
func (s *storms) partOf(at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		due := s.instants[at.UnixNano()]
		if due == nil || len(due.of) < partRuns {
			return at
		}
		at = at.Add(1)
	}
}

// reserve returns those settlements that can be recorded ahead, whose runs are
// counted as begun: there must be room for them when they do. That is at most about
// half of what may go on, for nobody else has it until then.
func (s *storms) reserve(at time.Time, taken map[jobRef]early) (firings []state.Firing) {
	l := s.c.l
	s.mu.Lock()
	room := l.n.cfg.MaxRuns/2 - s.runs
	s.mu.Unlock()
	if at.Sub(l.n.wall()) < tooNear {
		room = 0
	}
	runs := make([]*job.Run, 0, len(taken))
	for of, e := range taken {
		f, err := e.firing.Unpack()
		if err == nil && len(runs) < room && s.takes(&f, e.processor) {
			f.Ahead = at
			firings = append(firings, f)
			runs = append(runs, &f.Runs[0].Run)
			continue
		}
		s.c.ahead.giveBack(of, e)
	}
	n := 0
	for i, begins := range l.reserveAll(runs) {
		if begins {
			firings[n] = firings[i]
			n++
			continue
		}
		s.giveBack(&firings[i], taken)
	}
	return firings[:n]
}

// giveBack has a settlement that was taken wait for its instant.
func (s *storms) giveBack(f *state.Firing, taken map[jobRef]early) {
	of := jobRef{f.Namespace, f.Name}
	s.c.ahead.giveBack(of, taken[of])
}

// takes reports whether a settlement can be recorded ahead: nothing has a say in
// its run but its job, and how many go on in all.
func (s *storms) takes(f *state.Firing, as wire.Processor) bool {
	if p, _ := s.c.l.n.known(as.Name); p != as || !s.c.l.state.MayFireAhead(f) || sizeOf(&f.Runs[0].Run) > maxHeld {
		return false
	}
	s.c.l.mu.Lock()
	defer s.c.l.mu.Unlock()
	claim := s.c.l.claimLocked(&f.Runs[0].Run)
	return claim.Unbound()
}

// hold has a master told of runs that it is going to conduct.
func (s *storms) hold(at time.Time, master string, runs []*job.Run) {
	if h := (&held{master: master, runs: idsOf(runs)}); s.add(at, h) {
		s.c.l.wg.Go(func() { s.tellAhead(at, h, runs) })
	}
}

func (s *storms) tellAhead(at time.Time, h *held, runs []*job.Run) {
	l := s.c.l
	ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
	defer cancel()
	_, err := call[wire.Nothing](ctx, l.n, h.master, wire.MethodHold, wire.Hold{
		Number: h.number, Instant: at.UnixMicro(), For: at.Sub(l.n.wall()), Runs: runs,
	})
	if err != nil {
		l.n.log.Debug("a master is not told ahead of runs that it is to conduct", slog.Int("runs", len(runs)), telemetry.Member(l.n.nameOf(h.master)), telemetry.Err(err))
		return
	}
	s.mu.Lock()
	h.told = true
	s.mu.Unlock()
}

// add takes in runs that wait for an instant. It reports false if that has come
// meanwhile: then they have begun.
func (s *storms) add(at time.Time, h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !at.After(s.came) {
		return false
	}
	s.number++
	h.number = s.number
	due := s.instants[at.UnixNano()]
	if due == nil {
		due = &storm{of: map[job.RunID]*held{}}
		s.instants[at.UnixNano()] = due
	}
	due.groups = append(due.groups, h)
	for _, id := range h.runs {
		due.of[id] = h
	}
	s.runs += len(h.runs)
	return true
}
