package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// leader holds the state for the cluster: it answers for it, and sees to it
// that every run that has not ended has a master.
type leader struct {
	n      *Node
	state  *state.State
	ctx    context.Context // ends when the node leads no more
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	runs map[job.RunID]string // who conducts what has not ended, by ID; guarded by mu
}

// newLeader makes a leader that answers but does nothing by itself yet.
func newLeader(n *Node) *leader {
	l := &leader{n: n, state: n.state, runs: map[job.RunID]string{}}
	l.ctx, l.cancel = context.WithCancelCause(n.ctx)
	l.serve()
	l.serveJournal()
	return l
}

// openLeader begins to see to the runs.
func (n *Node) openLeader(context.Context) error {
	l := n.leader
	if l == nil {
		return nil
	}
	_, stop := n.peers.watch(func(peer) {}, func(id string) { l.left(id) })
	context.AfterFunc(l.ctx, stop)
	// Whoever conducted these may have gone with the last life of this node.
	runs, err := l.state.Unfinished()
	for _, run := range runs {
		l.appoint(run)
	}
	return err
}

func (n *Node) closeLeader(context.Context) error {
	if n.leader != nil {
		n.leader.cancel(ErrStopped)
		n.leader.wg.Wait()
	}
	return nil
}

// create records a run and has it begun.
func (l *leader) create(ctx context.Context, c wire.Create) (job.Run, error) {
	run := c.Run
	run.Epoch, run.Master = 0, l.choose("")
	run, err := l.state.Create(ctx, run, c.Chunks)
	if err != nil || run.ID != c.Run.ID || run.State.Done() {
		return run, err
	}
	l.note(run.ID, run.Master)
	l.wg.Go(func() { l.tell(run) })
	return run, nil
}

// appoint gives a run another master, in the next epoch.
func (l *leader) appoint(run job.Run) {
	l.wg.Go(func() {
		if run, ok := l.assign(run.ID, run.Master); ok {
			l.tell(run)
		}
	})
}

func (l *leader) assign(id job.RunID, not string) (job.Run, bool) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		run, err := l.state.Run(id)
		if err == nil {
			run, err = l.state.Assign(l.ctx, id, run.Epoch, l.choose(not), "")
		}
		if err == nil {
			l.note(id, run.Master)
			return run, true
		}
		if is(err, state.ErrFinal) || is(err, state.ErrNoRun) || l.ctx.Err() != nil {
			return run, false
		}
		l.n.log.Error("run could not be given a master", telemetry.Run(id), telemetry.Err(err))
		if !pause(l.ctx, wait) {
			return run, false
		}
	}
}

// tell makes a run's master begin, and finds another if it can't.
func (l *leader) tell(run job.Run) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
		_, err := call[wire.Nothing](ctx, l.n, run.Master, wire.MethodConduct, wire.Create{Run: run})
		cancel()
		if err == nil {
			return
		}
		l.n.log.Warn("a master did not take its run", telemetry.Run(run.ID), telemetry.Member(run.Master), telemetry.Err(err))
		if !pause(l.ctx, wait) {
			return
		}
		var ok bool
		if run, ok = l.assign(run.ID, run.Master); !ok {
			return
		}
	}
}

// choose returns the member that conducts the fewest runs, this one if it is
// among them. It returns not only if there is no other.
func (l *leader) choose(not string) string {
	load := map[string]int{l.n.id: 0}
	for _, p := range l.n.peers.list() {
		if p.member.Has(roleWorker) {
			load[p.member.ID] = 0
		}
	}
	l.mu.Lock()
	for _, id := range l.runs {
		if _, alive := load[id]; alive {
			load[id]++
		}
	}
	l.mu.Unlock()
	if len(load) > 1 {
		delete(load, not)
	}
	return slices.MinFunc(slices.Collect(maps.Keys(load)), func(a, b string) int {
		if c := cmp.Compare(load[a], load[b]); c != 0 {
			return c
		}
		if a == l.n.id || b == l.n.id {
			return map[bool]int{true: -1, false: 1}[a == l.n.id]
		}
		return cmp.Compare(a, b)
	})
}

func (l *leader) note(id job.RunID, master string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[id] = master
}

// left finds other masters for the runs of a member that is gone.
func (l *leader) left(id string) {
	l.mu.Lock()
	var orphans []job.RunID
	for run, master := range l.runs {
		if master == id {
			orphans = append(orphans, run)
		}
	}
	l.mu.Unlock()
	for _, run := range orphans {
		l.n.log.Warn("the master of a run is gone; it gets another", telemetry.Run(run), telemetry.Member(id))
		l.appoint(job.Run{ID: run, Master: id})
	}
}

// resign gives a run another master because its own asks for that.
func (l *leader) resign(r wire.RunRef) (wire.Nothing, error) {
	run, err := l.state.Run(r.Run)
	if err == nil && run.Epoch == r.Epoch && !run.State.Done() {
		l.appoint(run)
	}
	return wire.Nothing{}, err
}

// end records that a run should end early, and tells its master.
func (l *leader) end(ctx context.Context, r wire.RunRef) (job.Run, error) {
	run, err := l.state.Cancel(ctx, r.Run, r.Reason)
	if err != nil || run.State.Done() {
		return run, err
	}
	l.wg.Go(func() {
		for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
			ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
			_, err := call[wire.Nothing](ctx, l.n, run.Master, wire.MethodCancel, wire.RunRef{Run: r.Run, Reason: r.Reason})
			cancel()
			if err == nil || !pause(l.ctx, wait) {
				return
			}
			// A master that comes after the record sees it by itself.
			if now, err := l.state.Run(r.Run); err != nil || now.State.Done() || now.Epoch != run.Epoch {
				return
			}
		}
	})
	return run, nil
}

// serve answers for the state.
func (l *leader) serve() {
	handle(l.n, wire.MethodCreate, func(ctx context.Context, _ string, c wire.Create) (job.Run, error) { return l.create(ctx, c) })
	handle(l.n, wire.MethodInput, func(ctx context.Context, _ string, j wire.Journal) (none wire.Nothing, err error) {
		for i, b := range j.Entries {
			if err = l.state.Stage(ctx, j.Run, j.First+uint64(i), b); err != nil {
				break
			}
		}
		return none, err
	})
	handle(l.n, wire.MethodAppend, func(ctx context.Context, _ string, j wire.Journal) (wire.Nothing, error) {
		return wire.Nothing{}, l.state.Append(ctx, j.Run, j.Epoch, j.First, j.Entries)
	})
	handle(l.n, wire.MethodFinish, func(ctx context.Context, _ string, f wire.Finish) (wire.Nothing, error) {
		err := l.state.Finish(ctx, f.Run, f.Epoch, f.State, f.Reason, f.Progress)
		if err == nil {
			l.mu.Lock()
			delete(l.runs, f.Run)
			l.mu.Unlock()
		}
		return wire.Nothing{}, err
	})
	handle(l.n, wire.MethodEnd, func(ctx context.Context, _ string, r wire.RunRef) (job.Run, error) { return l.end(ctx, r) })
	handle(l.n, wire.MethodResign, func(_ context.Context, _ string, r wire.RunRef) (wire.Nothing, error) { return l.resign(r) })
	handle(l.n, wire.MethodRun, func(_ context.Context, _ string, r wire.RunRef) (job.Run, error) { return l.state.Run(r.Run) })
	handle(l.n, wire.MethodRuns, func(_ context.Context, _ string, p wire.Page) ([]job.Run, error) {
		return l.state.Runs(p.After, min(cmp.Or(max(p.Limit, 0), 100), 1000))
	})
	handle(l.n, wire.MethodAwait, func(ctx context.Context, _ string, r wire.RunRef) (job.Run, error) { return l.state.Await(ctx, r.Run) })
	handle(l.n, wire.MethodEntry, func(_ context.Context, _ string, e wire.EntryRef) ([]byte, error) { return l.state.Entry(e.Run, e.Seq) })
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
