package node

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// leader is a term of leadership: it sees to it that every run that was
// accepted begins, and that every run that has begun has a master.
type leader struct {
	n      *Node
	state  *state.State
	ctx    context.Context // ends when the node leads no more
	wg     sync.WaitGroup
	leases *leases
	clock  *clock
	teller *teller
	began  time.Time
	poke   bell // rung if a run may begin that could not before
	litter bell // rung if a run has ended since it was cleared away

	audited atomic.Int64 // how much of what was asked for this leader has recorded

	declares   sync.RWMutex // held for itself by who declares a job only if there is none
	retries    locks        // of runs whose next attempt is written
	operations operations

	mu      sync.Mutex
	runs    roll.Of[string]               // who conducts what has begun, by ID, or "" between two; guarded by mu
	loads   map[string]int                // how many runs each conducts; guarded by mu
	admit   *scheduler.Admission          // of what has begun; guarded by mu
	crowded bool                          // runs may wait for those of other jobs to end; guarded by mu
	paces   map[string]*pace              // of each job whose runs ended of late, and of all under ""; guarded by mu
	limits  map[string][]job.Limit        // of namespaces; guarded by mu
	heads   map[job.RunID]scheduler.Claim // of runs that are first in their line and have to wait, as far as known; guarded by mu
	waiters *scheduler.Waiters            // what runs wait for that have not begun; guarded by mu
	wanted  []*wanted                     // room that is waited for; guarded by mu
	swept   time.Time                     // when rates that nothing is left of were removed; guarded by mu

	choosing sync.Mutex
	turns    *scheduler.Turns // guarded by choosing
}

func newLeader(ctx context.Context, s *server) *leader {
	l := &leader{
		n: s.n, state: s.state, ctx: ctx, leases: newLeases(), began: time.Now(), poke: newBell(), litter: newBell(),
		loads: map[string]int{}, paces: map[string]*pace{},
		admit: scheduler.NewAdmission(s.n.cfg.MaxRuns), turns: scheduler.NewTurns(), waiters: scheduler.NewWaiters(), limits: map[string][]job.Limit{},
	}
	l.clock, l.teller, l.operations = newClock(l), newTeller(l), newOperations()
	return l
}

// establish takes over the runs that have begun, and begins to see to all.
func (l *leader) establish() error {
	if err := l.remember(); err != nil {
		return err
	}
	runs, err := l.state.Unfinished()
	if err != nil {
		return err
	}
	begun := map[string][]job.Run{}
	for _, run := range runs {
		l.begun(&run)
		begun[run.Master] = append(begun[run.Master], run)
		if run.CancelReason != "" {
			l.wg.Go(func() { l.enforce(run, cancelGrace) })
		}
	}
	_, stop := l.n.peers.watch(func(peer) {}, func(p peer) { l.left(p.member.ID, p.member.Incarnation) })
	context.AfterFunc(l.ctx, stop)
	for master, runs := range begun {
		l.wg.Go(func() { l.confirm(master, runs) })
	}
	l.wg.Go(l.watchLeases)
	l.wg.Go(l.tend)
	l.wg.Go(l.beginAll)
	l.wg.Go(l.clock.run)
	l.wg.Go(l.clock.ahead.run)
	l.wg.Go(l.clock.storms.run)
	l.wg.Go(l.clock.storms.beginAll)
	l.wg.Go(l.clean)
	l.wg.Go(l.operate)
	l.wg.Go(l.watchNodes)
	return nil
}

// end waits for what the leader began.
func (l *leader) end() { l.wg.Wait() }

// confirm asks a master which of the runs it is said to conduct it does, and
// gives the others another. One that the pool has lost, or that does not answer in
// the time of a lease, is taken to be gone.
func (l *leader) confirm(master string, runs []job.Run) {
	ctx, cancel := context.WithTimeout(l.ctx, leaseTime)
	defer cancel()
	conducts := map[job.RunID]uint64{}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		refs, err := call[[]wire.RunRef](ctx, l.n, master, wire.MethodConducts, wire.Nothing{})
		for _, r := range refs {
			conducts[r.Run] = r.Epoch
		}
		if err == nil || broken(err) && !l.n.peers.knows(master) || !pause(ctx, wait) {
			break
		}
	}
	for _, run := range runs {
		if conducts[run.ID] != run.Epoch {
			l.appoint(run.ID, master, "its master "+l.n.nameOf(master)+" is gone")
		}
	}
}

// appoint gives a run that has begun another master, in the next epoch.
func (l *leader) appoint(id job.RunID, not, why string) {
	l.wg.Go(func() {
		if run, ok := l.assign(id, not, why); ok {
			l.teller.tell(run)
		}
	})
}

// assign records another master for a run, and reports whether that one is
// still to be told.
func (l *leader) assign(id job.RunID, not, why string) (run job.Run, news bool) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		run, err := l.state.Run(id)
		switch {
		case err == nil && run.State.Done():
			err = state.ErrFinal
		case err == nil && run.Master != not: // it has another already
			l.note(&run)
			return run, news
		case err == nil:
			run, err = l.state.Assign(l.ctx, id, run.Epoch, l.choose(not), why)
		}
		switch {
		case err == nil:
			l.note(&run)
			return run, true
		case is(err, state.ErrFinal), is(err, state.ErrNoRun):
			l.release(id)
			return run, false
		case is(err, state.ErrUncertain):
			news = true // if it has one when it is looked at next
		}
		if l.ctx.Err() == nil && !is(err, state.ErrFenced) {
			l.n.log.Warn("run could not be given a master yet", telemetry.Run(id), telemetry.Err(err))
		}
		if !pause(l.ctx, wait) {
			return run, false
		}
	}
}

// choose returns the member that conducts the fewest runs, this one if it is
// among them. It returns not only if there is no other.
func (l *leader) choose(not string) string { return l.chooser(not)() }

// chooser returns a choose that counts what it has chosen.
func (l *leader) chooser(not string) func() string {
	load := map[string]int{l.n.id: 0}
	for _, p := range l.n.peers.list() {
		if p.member.Has(roleWorker) && !p.member.Has(roleDraining) && !l.suspects(p.member.ID) {
			load[p.member.ID] = 0
		}
	}
	l.mu.Lock()
	for id := range load {
		load[id] = l.loads[id]
	}
	l.mu.Unlock()
	if len(load) > 1 {
		delete(load, not)
	}
	if len(load) > 1 && l.n.isDraining() {
		delete(load, l.n.id)
	}
	ids := slices.Sorted(maps.Keys(load))
	return func() string {
		best := l.n.id
		for _, id := range ids {
			if n, ok := load[best]; !ok || load[id] < n {
				best = id
			}
		}
		load[best]++
		return best
	}
}

// settled is how long after its beginning a leader has heard of all that are
// there: they renew their leases every renewEvery, and look for it if need be.
const settled = renewEvery + renewEvery/2

// suspects reports whether a member may be gone, though nobody knows that yet:
// it has not been heard of for longer than it should be.
func (l *leader) suspects(id string) bool {
	quiet, ok := l.n.transport.Silent(id)
	return ok && quiet > settled && time.Since(l.began) > settled
}

// begun counts a run as begun.
func (l *leader) begun(run *job.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admit.Resume(run.ID, l.claimLocked(run))
	l.masterLocked(run.ID, run.Master)
}

// note remembers who conducts a run that has begun and not ended meanwhile.
func (l *leader) note(runs ...*job.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, run := range runs {
		if _, ok := l.runs.Get(run.ID); ok {
			l.masterLocked(run.ID, run.Master)
		}
	}
}

// masterLocked remembers who conducts a run: nobody, for now, if master is "".
func (l *leader) masterLocked(id job.RunID, master string) {
	l.unloadLocked(id)
	l.runs.Put(id, master)
	l.loads[master]++
}

func (l *leader) unloadLocked(id job.RunID) {
	if old, begun := l.runs.Get(id); begun {
		if l.loads[old]--; l.loads[old] == 0 {
			delete(l.loads, old)
		}
	}
}

// mastersAt returns the nodes that conduct runs. Those that are about to get a
// master have none that could be gone.
func (l *leader) mastersAt() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.loads)), func(id string) bool { return id == "" })
}

// left finds other masters for the runs of a life of a member that is gone.
func (l *leader) left(id string, life uint64) {
	l.leases.giveUp(id, life)
	l.mu.Lock()
	var orphans []job.RunID
	for run, master := range l.runs.All() {
		if master == id {
			orphans = append(orphans, run)
			l.masterLocked(run, "") // until it has another
		}
	}
	l.mu.Unlock()
	slices.Sort(orphans)
	for _, run := range orphans {
		l.n.log.Warn("the master of a run is gone; it gets another", telemetry.Run(run), telemetry.Member(l.n.nameOf(id)))
		l.appoint(run, id, "its master "+l.n.nameOf(id)+" is gone")
	}
}

// resign gives a run another master because its own asks for that. It returns when
// that is recorded: until then the one that asks is the only one to know that nobody
// conducts the run, and asks the next leader if this one goes.
func (l *leader) resign(ctx context.Context, r wire.RunRef) (none wire.Nothing, err error) {
	run, err := l.state.Run(r.Run)
	if err != nil || run.Epoch != r.Epoch || run.State.Done() {
		return none, err
	}
	return outlive(ctx, l, func() (none wire.Nothing, err error) {
		next, news := l.assign(run.ID, run.Master, "its master "+l.n.nameOf(run.Master)+" handed it over: "+r.Reason)
		if news {
			l.teller.tell(next)
		}
		if l.ctx.Err() != nil {
			err = state.ErrNotLeader
		}
		return none, err
	})
}

// input takes in the first part of what a run is going to be created with.
func (l *leader) input(ctx context.Context, j wire.Journal) (none wire.Nothing, err error) {
	for i, b := range j.Entries {
		if err = l.state.Stage(ctx, j.Run, j.First+uint64(i), b); err != nil {
			break
		}
	}
	return none, err
}

func (l *leader) append(ctx context.Context, j wire.Journal) (wire.Nothing, error) {
	return wire.Nothing{}, l.state.Append(ctx, j.Run, j.Epoch, j.First, j.Entries)
}

func (l *leader) finish(ctx context.Context, f wire.Finish) (wire.Nothing, error) {
	err := l.state.Finish(ctx, f.Run, f.Epoch, f.State, f.Reason, f.Progress)
	if err == nil {
		l.ended(f.Run)
	}
	return wire.Nothing{}, err
}

// record adds a line to the history of a run.
func (l *leader) record(ctx context.Context, n wire.Note) (wire.Nothing, error) {
	return wire.Nothing{}, l.state.Note(ctx, n.Run, n.Epoch, n.Text)
}

// run returns a run as people see it: one that waits says what it waits for.
func (l *leader) run(id job.RunID) (job.Run, error) {
	run, err := l.state.Run(id)
	if err == nil && run.State == job.Pending {
		run.Reason = l.waitsFor(&run)
	}
	return run, err
}

func (l *leader) renew(_ context.Context, r wire.Renew) (wire.Renewed, error) {
	return wire.Renewed{Fenced: l.leases.renew(r.Node, r.Life), Now: l.n.wall()}, nil
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
