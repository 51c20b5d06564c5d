package node

import (
	"context"
	"sync"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// masters is the runs that this node conducts.
type masters struct {
	n      *Node
	ctx    context.Context // ends when the node conducts no more
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	works  *works

	mu   sync.Mutex
	runs map[job.RunID]*conductor // guarded by mu
}

// coded is an error that keeps its meaning on its way to another node.
type coded struct{ code, text string }

func (e *coded) Error() string     { return e.text }
func (e *coded) ErrorCode() string { return e.code }

var (
	// errNoMaster says that this node does not conduct the run, or not yet, or
	// no longer.
	errNoMaster = &coded{"no-master", "node: this node is not the run's master"}
	// errRefused says that what an attempt hands over does not count.
	errRefused = &coded{"refused", "node: the attempt does not count any more"}
	// errHandedOver is why a node stops to conduct a run that another can.
	errHandedOver = &coded{"handed-over", "node: this node takes no more work"}
)

func newMasters(n *Node) *masters {
	m := &masters{n: n, works: newWorks(), runs: map[job.RunID]*conductor{}}
	m.ctx, m.cancel = context.WithCancelCause(n.ctx)
	return m
}

// conduct begins to conduct a run, unless this node takes no more work. It is
// asked for by the leader, which has recorded that this node is the run's
// master in this epoch.
func (m *masters) conduct(run job.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Under mu, so that no run slips in behind handOver.
	if m.n.isStopping() || m.n.isDraining() && m.n.othersWork() || m.ctx.Err() != nil {
		return ErrStopped
	}
	if old := m.runs[run.ID]; old != nil {
		if old.run.Epoch >= run.Epoch {
			return nil
		}
		old.cancel(errNoMaster)
	}
	c := newConductor(m, run)
	m.runs[run.ID] = c
	m.wg.Go(func() {
		c.conduct()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.runs[run.ID] == c {
			delete(m.runs, run.ID)
		}
	})
	return nil
}

// handOver gives every run that is conducted here back to the leader, which
// finds it another master, if there is a member that can be one. It reports
// whether there is.
func (m *masters) handOver() bool {
	if !m.n.othersWork() {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.runs {
		c.cancel(errHandedOver)
	}
	return true
}

// dismiss stops to conduct a run that was ended without its master.
func (m *masters) dismiss(r wire.RunRef) {
	m.mu.Lock()
	c := m.runs[r.Run]
	m.mu.Unlock()
	if c != nil && c.run.Epoch <= r.Epoch {
		c.inbox.put(func() { c.dismissed(r.Reason) })
	}
}

// list names the runs that are conducted here.
func (m *masters) list() []wire.RunRef {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := make([]wire.RunRef, 0, len(m.runs))
	for id, c := range m.runs {
		refs = append(refs, wire.RunRef{Run: id, Epoch: c.run.Epoch})
	}
	return refs
}

// find returns the conductor of a run.
func (m *masters) find(id job.RunID) (*conductor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.runs[id]; c != nil {
		return c, nil
	}
	return nil, errNoMaster
}

func (m *masters) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.runs)
}

// wait returns when no run is conducted here any more, or when ctx ends.
func (m *masters) wait(ctx context.Context) {
	m.mu.Lock()
	ends := make([]<-chan struct{}, 0, len(m.runs))
	for _, c := range m.runs {
		ends = append(ends, c.ended)
	}
	m.mu.Unlock()
	for _, end := range ends {
		select {
		case <-end:
		case <-ctx.Done():
			return
		}
	}
}

// stop lets go of all runs; the leader finds them another master.
func (m *masters) stop() {
	m.mu.Lock()
	m.cancel(ErrStopped)
	m.mu.Unlock()
	m.wg.Wait()
}

// serve answers the workers and the leader.
func (m *masters) serve() {
	handle(m.n, wire.MethodReport, func(ctx context.Context, from string, r wire.Report) (wire.Nothing, error) {
		c, err := m.find(r.Run)
		if err != nil {
			return wire.Nothing{}, err
		}
		return wire.Nothing{}, c.report(ctx, from, r)
	})
	handle(m.n, wire.MethodStage, func(ctx context.Context, _ string, s wire.Staged) (wire.Nothing, error) {
		c, err := m.find(s.Run)
		if err != nil {
			return wire.Nothing{}, err
		}
		return wire.Nothing{}, c.stage(ctx, s)
	})
	handle(m.n, wire.MethodConduct, func(_ context.Context, _ string, c wire.Create) (wire.Nothing, error) {
		return wire.Nothing{}, m.conduct(c.Run)
	})
	handle(m.n, wire.MethodConducts, func(context.Context, string, wire.Nothing) ([]wire.RunRef, error) { return m.list(), nil })
	handle(m.n, wire.MethodDismiss, func(_ context.Context, _ string, r wire.RunRef) (wire.Nothing, error) {
		m.dismiss(r)
		return wire.Nothing{}, nil
	})
	handle(m.n, wire.MethodProgress, func(ctx context.Context, _ string, r wire.RunRef) (job.Progress, error) {
		c, err := m.find(r.Run)
		if err != nil {
			return job.Progress{}, err
		}
		return c.progress(ctx)
	})
	handle(m.n, wire.MethodCancel, func(ctx context.Context, _ string, r wire.RunRef) (wire.Nothing, error) {
		c, err := m.find(r.Run)
		if err != nil {
			return wire.Nothing{}, err
		}
		return wire.Nothing{}, c.cancelRun(ctx, r.Reason)
	})
}
