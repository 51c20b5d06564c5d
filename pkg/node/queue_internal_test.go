package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// holds is a processor whose attempts say which run they are of, and wait.
type holds struct {
	at   chan job.RunID
	open chan struct{}
}

func newHolds() holds { return holds{make(chan job.RunID, 64), make(chan struct{})} }

func (h holds) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	h.at <- job.RunID(t.Run)
	select {
	case <-h.open:
	case <-ctx.Done():
	}
	return nil, context.Cause(ctx)
}

// holding starts a node that executes so many attempts of holds.
func holding(t *testing.T, slots int, configure func(cfg *Config)) (*Node, *leader, holds) {
	t.Helper()
	h := newHolds()
	nodes := servers(t, 1, func(_ int, cfg *Config) {
		cfg.Slots, cfg.Processors["hold"] = slots, h
		if configure != nil {
			configure(cfg)
		}
	})
	t.Cleanup(func() { close(h.open) })
	n, l := leads(t, nodes)
	return n, l, h
}

func accept(t *testing.T, n *Node, spec job.Spec, options ...Option) *Run {
	t.Helper()
	spec.Processor = "hold"
	r, err := n.Submit(t.Context(), spec, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h holds) next(t *testing.T, want *Run) {
	t.Helper()
	if got := <-h.at; got != want.ID() {
		t.Fatalf("run %s began, want %s", got, want.ID())
	}
}

func stopRun(t *testing.T, r *Run) {
	t.Helper()
	if err := r.Stop(t.Context(), "next"); err != nil {
		t.Fatal(err)
	}
}

// TestRunsBeginByPriorityAndJobsTakeTurns fills a cluster of one run at a
// time, with runs of two jobs.
func TestRunsBeginByPriorityAndJobsTakeTurns(t *testing.T) {
	n, _, h := holding(t, 4, func(cfg *Config) { cfg.MaxRuns = 1 })
	first := accept(t, n, job.Spec{Name: "a"})
	h.next(t, first)
	low := accept(t, n, job.Spec{Name: "a", Priority: -1})
	older := accept(t, n, job.Spec{Name: "b"})
	newer := accept(t, n, job.Spec{Name: "b"})
	newest := accept(t, n, job.Spec{Name: "a"})
	high := accept(t, n, job.Spec{Name: "b", Priority: 9})
	if run, err := low.Get(t.Context()); err != nil || run.Reason != "waits: 1 runs go on, and Config.MaxRuns is 1" {
		t.Errorf("got %q, %v", run.Reason, err)
	}
	stopRun(t, first)
	for _, r := range []*Run{high, newest, older, newer, low} {
		h.next(t, r)
		stopRun(t, r)
	}
}

// TestANewRunDoesNotOvertakeThoseThatWait has the leader asked for a new one
// when there is room, but has not been given to those that wait yet.
func TestANewRunDoesNotOvertakeThoseThatWait(t *testing.T) {
	n, l, h := holding(t, 4, func(cfg *Config) { cfg.MaxRuns = 2 })
	first := accept(t, n, job.Spec{Name: "a", MaxRuns: 1})
	h.next(t, first)
	accept(t, n, job.Spec{Name: "a", MaxRuns: 1})
	may := func(name string) bool {
		run := &job.Run{ID: job.RunID("default/" + name + "@new"), Spec: job.Spec{Namespace: "default", Name: name}}
		begins := l.reserveAll([]*job.Run{run})[0]
		if begins {
			l.release(run.ID)
		}
		return begins
	}
	if may("a") {
		t.Error("a run may overtake one of its job")
	}
	if !may("b") {
		t.Error("a run waits behind one of another job, which waits for its own")
	}
	l.choosing.Lock() // the leader looks at those that wait when it gets round to it
	l.mu.Lock()
	l.crowded = true // somebody was refused for want of room
	l.mu.Unlock()
	if may("b") {
		t.Error("a run may overtake those that wait for room")
	}
	l.choosing.Unlock()
	if _, err := l.beginPending(); err != nil {
		t.Fatal(err)
	}
	if !may("b") {
		t.Error("a run may not begin when all that wait were looked at and there is room")
	}
}

// TestAPausedBacklogIsNotPassedOver lets no run of a job begin that is paused,
// and those of another job as ever.
func TestAPausedBacklogIsNotPassedOver(t *testing.T) {
	n, l, h := holding(t, 4, nil)
	if err := n.PauseJob(t.Context(), "", "a", "why not"); err != nil {
		t.Fatal(err)
	}
	if err := n.PauseJob(t.Context(), "", "a", "another reason"); err != nil {
		t.Fatal(err)
	}
	waits := accept(t, n, job.Spec{Name: "a"})
	h.next(t, accept(t, n, job.Spec{Name: "b"}))
	if behind := l.behind(&job.Run{Spec: job.Spec{Namespace: "default", Name: "b"}}); behind {
		t.Error("a run waits behind those of a job that is paused")
	}
	if run, err := waits.Get(t.Context()); err != nil || run.State != job.Pending {
		t.Errorf("got %v, %v", run.State, err)
	} else if !strings.HasSuffix(run.Reason, ": why not") {
		t.Errorf("got the reason %q, want the first", run.Reason)
	}
	if err := n.ResumeJob(t.Context(), "", "a"); err != nil {
		t.Fatal(err)
	}
	h.next(t, waits)
}

// TestARefusalSaysHowLongThoseTakeThatWait is refused by the limit of a job,
// and by that of the cluster.
func TestARefusalSaysHowLongThoseTakeThatWait(t *testing.T) {
	n, l, h := holding(t, 4, func(cfg *Config) { cfg.MaxQueued = 2 })
	spec := job.Spec{Processor: "hold", Name: "a", MaxRuns: 1, MaxQueued: 1}
	first := accept(t, n, spec)
	h.next(t, first)
	second := accept(t, n, spec)
	refused := func(spec job.Spec, want string) {
		t.Helper()
		_, err := n.Submit(t.Context(), spec)
		if !errors.Is(err, ErrOverloaded) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrOverloaded and %q", err, want)
		}
	}
	refused(spec, "1 runs of job default/a wait, the limit of the job is 1; how long those take is not known yet")
	stopRun(t, first)
	h.next(t, second)
	accept(t, n, spec)
	l.mu.Lock()
	*l.paces["default/a"] = pace{time.Now().Add(-20 * time.Second)}
	l.mu.Unlock()
	refused(spec, "the limit of the job is 1; at the present rate those take about 20s")
	spec.Name = "b"
	h.next(t, accept(t, n, spec))
	accept(t, n, spec)
	spec.MaxQueued = 0
	refused(spec, "2 runs wait, the limit of the cluster is 2; at the present rate those take about ")
}

// TestARunWhoseRecordIsAskedForAgainIsCountedOnce repeats a create whose
// answer was lost, at the same time and when the run is over.
func TestARunWhoseRecordIsAskedForAgainIsCountedOnce(t *testing.T) {
	n, l, h := holding(t, 4, nil)
	now := time.Now().UTC()
	run := job.Run{ID: "default/a@1", Spec: job.Spec{Namespace: "default", Name: "a", Processor: "hold", MaxRuns: 1}, Fire: now, Created: now}
	p, err := n.plan(t.Context(), &run)
	if err != nil {
		t.Fatal(err)
	}
	c := wire.Create{Run: run, Chunks: p.entries}
	create := func() {
		t.Helper()
		made, err := l.create(t.Context(), c)
		if err != nil || made.ID != run.ID {
			t.Fatalf("got %s, %v", made.ID, err)
		}
	}
	for range 3 {
		create()
	}
	h.next(t, n.Run(run.ID))
	stopRun(t, n.Run(run.ID))
	create()
	l.mu.Lock()
	defer l.mu.Unlock()
	if ofJob, all := l.admit.Running("default", "a"); ofJob != 0 || all != 0 || l.runs.Len() > 0 {
		t.Errorf("%d runs of the job and %d in all are said to go on, %d of them begun", ofJob, all, l.runs.Len())
	}
}

// TestAMasterThatHearsOfARunTooLateLetsGoOfIt has the word that a run should
// begin overtaken by its end.
func TestAMasterThatHearsOfARunTooLateLetsGoOfIt(t *testing.T) {
	n, l, h := holding(t, 4, nil)
	r := accept(t, n, job.Spec{})
	h.next(t, r)
	run, err := r.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopRun(t, r)
	n.masters.wait(t.Context())
	l.tell(run.Master, []*job.Run{&run})
	n.masters.wait(t.Context())
}

// TestACancelledRunThatDoesNotEndIsEndedWithoutItsMaster cancels a run whose
// attempts ignore that, and whose master waits for them.
func TestACancelledRunThatDoesNotEndIsEndedWithoutItsMaster(t *testing.T) {
	deaf := make(chan struct{})
	began := make(chan struct{})
	nodes := servers(t, 1, func(_ int, cfg *Config) {
		cfg.Grace = time.Hour
		cfg.Processors["deaf"] = mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
			close(began)
			<-deaf
			return nil, nil
		})
	})
	n, l := leads(t, nodes)
	defer close(deaf)
	r, err := n.Submit(t.Context(), job.Spec{Processor: "deaf"})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	run, err := l.state.Cancel(t.Context(), r.ID(), "enough")
	if err != nil || run.State != job.Running {
		t.Fatalf("got %v, %v, want a run that is cancelled and goes on", run.State, err)
	}
	l.enforce(run, 10*time.Millisecond)
	if run, err = r.Get(t.Context()); err != nil || run.State != job.Canceled || run.Reason != "enough" {
		t.Errorf("got %v %q, %v", run.State, run.Reason, err)
	}
}
