package node

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

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

	crowd   *crowd
	standby *standby
}

// coded is an error that keeps its meaning on its way to another node.
type coded struct{ code, text string }

func (e *coded) Error() string     { return e.text }
func (e *coded) ErrorCode() string { return e.code }

// Is reports whether target is of the same code: on this node as on another what
// is said beside it makes no other error of it.
func (e *coded) Is(target error) bool {
	o, ok := target.(*coded)
	return ok && o.code == e.code
}

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
	m.crowd, m.standby = newCrowd(m), newStandby(m)
	return m
}

// conductAll begins to conduct runs, unless this node takes no more work. It is
// asked for by the leader, which has recorded that this node is their master in
// this epoch.
func (m *masters) conductAll(runs []*job.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Under mu, so that no run slips in behind handOver.
	if m.n.isStopping() || m.n.isDraining() && m.n.othersWork() || m.ctx.Err() != nil {
		return ErrStopped
	}
	now := time.Now()
	for _, run := range runs {
		if !m.crowd.takeLocked(run, now) {
			m.conductLocked(*run, nil)
		}
	}
	m.crowd.placeLocked()
	return nil
}

// started is what a run brings along that was one of the crowd.
type started struct {
	span   trace.Span
	placed *peer // see conductor.placed
	there  bool  // see conductor.there
}

// conductLocked gives a run a conductor. What it brings along may be nil.
func (m *masters) conductLocked(run job.Run, s *started) *conductor {
	if old := m.runs[run.ID]; old != nil {
		if old.run.Epoch >= run.Epoch {
			return old
		}
		old.cancel(errNoMaster)
	}
	c := newConductor(m, run, s)
	m.runs[run.ID] = c
	if s != nil && m.n.isDraining() && m.n.othersWork() {
		c.cancel(errHandedOver) // what has just left the crowd goes where all went
	}
	m.wg.Go(func() {
		c.conduct()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.runs[run.ID] == c {
			delete(m.runs, run.ID)
		}
	})
	return c
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
	m.crowd.giveAwayLocked()
	for _, c := range m.runs {
		c.cancel(errHandedOver)
	}
	return true
}

// dismiss stops to conduct a run that was ended without its master.
func (m *masters) dismiss(r wire.RunRef) {
	if c, err := m.find(r.Run); err == nil && c.run.Epoch <= r.Epoch {
		c.inbox.put(func() { c.dismissed(r.Reason) })
	}
}

// list names the runs that are conducted here, without those that are being given
// back.
func (m *masters) list() []wire.RunRef {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := make([]wire.RunRef, 0, len(m.runs)+m.crowd.runs.Len())
	for id, s := range m.crowd.runs.All() {
		refs = append(refs, wire.RunRef{Run: id, Epoch: s.run.Epoch})
	}
	for id, c := range m.runs { // which has come later, if it is in both
		if c.ctx.Err() == nil {
			refs = append(refs, wire.RunRef{Run: id, Epoch: c.run.Epoch})
		}
	}
	return refs
}

// find returns the conductor of a run. One of the crowd gets one: whoever asks
// wants more of it than the crowd does.
func (m *masters) find(id job.RunID) (*conductor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.findLocked(id)
}

func (m *masters) findLocked(id job.RunID) (*conductor, error) {
	if s := m.crowd.runs.At(id); s != nil {
		if s.outcome != nil || m.ctx.Err() != nil {
			return nil, errNoMaster // it is as good as over
		}
		return m.crowd.leaveLocked(s), nil
	}
	if c := m.runs[id]; c != nil {
		return c, nil
	}
	return nil, errNoMaster
}

func (m *masters) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.runs) + m.crowd.runs.Len()
}

// wait returns when nothing that is conducted here is under way any more, or
// when ctx ends.
func (m *masters) wait(ctx context.Context) {
	m.mu.Lock()
	quiet := m.crowd.quietLocked()
	m.mu.Unlock()
	if quiet != nil {
		select {
		case <-quiet:
		case <-ctx.Done():
			return
		}
	}
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
	m.standby.stop()
	m.wg.Wait()
}

// serve answers the workers and the leader.
func (m *masters) serve() {
	share(m.n, wire.MethodReport, func(ctx context.Context, from string, r wire.Report) (wire.Nothing, error) {
		c, err := m.find(r.Run)
		if err != nil {
			return wire.Nothing{}, err
		}
		return wire.Nothing{}, c.report(ctx, from, r)
	})
	share(m.n, wire.MethodStage, func(ctx context.Context, _ string, s wire.Staged) (wire.Nothing, error) {
		m.crowd.heard(s.Run)
		c, err := m.find(s.Run)
		if err != nil {
			return wire.Nothing{}, err
		}
		return wire.Nothing{}, c.stage(ctx, s)
	})
	share(m.n, wire.MethodConduct, func(_ context.Context, _ string, c wire.Conduct) (wire.Nothing, error) {
		return wire.Nothing{}, m.conductAll(c.Runs)
	})
	share(m.n, wire.MethodHold, func(_ context.Context, from string, h wire.Hold) (wire.Nothing, error) {
		return wire.Nothing{}, m.standby.take(from, h)
	})
	handle(m.n, wire.MethodBegin, func(_ context.Context, from string, b wire.BeginHeld) (wire.Nothing, error) {
		return wire.Nothing{}, m.standby.begin(from, b)
	})
	share(m.n, wire.MethodReports, m.crowd.reports)
	handle(m.n, wire.MethodConducts, func(context.Context, string, wire.Nothing) ([]wire.RunRef, error) { return m.list(), nil })
	handle(m.n, wire.MethodDismiss, func(_ context.Context, _ string, r wire.RunRef) (wire.Nothing, error) {
		m.dismiss(r)
		return wire.Nothing{}, nil
	})
	handle(m.n, wire.MethodProgress, func(ctx context.Context, _ string, r wire.RunRef) (job.Progress, error) {
		if p, ok := m.crowd.progress(r.Run); ok {
			return p, nil
		}
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
