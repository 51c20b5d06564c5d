package simulation_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport/transporttest"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
)

// bubbled lives through a story in which nothing happens by chance.
func bubbled(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	transporttest.Bubble(t, func(t *testing.T) {
		w := begin(t, 1, io.Discard)
		f(t, w)
	})
}

// TestANodeThatIsCutOffEndsWhatItExecutes cuts a worker off, once for less and
// once for more time than it may go on without a leader.
func TestANodeThatIsCutOffEndsWhatItExecutes(t *testing.T) {
	bubbled(t, func(t *testing.T, w *world) {
		began, ended := make(chan struct{}, 10), make(chan error, 10)
		w.held = func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, context.Cause(ctx)
		}
		r, err := w.c.Node(0).Submit(t.Context(), job.Spec{Processor: "held", Placement: job.Placement{Nodes: []string{"n4"}}})
		if err != nil {
			t.Fatal(err)
		}
		<-began
		w.c.Isolate(4)
		_ = pass(t.Context(), simulation.FenceAfter/2)
		if len(ended) > 0 {
			t.Errorf("it ended at once: %v", <-ended)
		}
		cut := time.Now()
		if cause := <-ended; !errors.Is(cause, mapreduce.ErrFenced) {
			t.Errorf("it ended because of %v, want %v", cause, mapreduce.ErrFenced)
		}
		if took := time.Since(cut) + simulation.FenceAfter/2; took < simulation.FenceAfter || took > 2*simulation.FenceAfter {
			t.Errorf("it ended after %v, want about %v", took, simulation.FenceAfter)
		}
		w.c.Heal()
		<-began // it is placed again
		if err := r.Stop(t.Context(), "enough"); err != nil {
			t.Error(err)
		}
	})
}

// TestAWorkerDoesNotWaitForAMasterThatIsGone has a run end while the one worker
// that has a task of it is cut off, and its master never come back. The worker
// has nobody to report to then, which must not keep it from stopping.
func TestAWorkerDoesNotWaitForAMasterThatIsGone(t *testing.T) {
	bubbled(t, func(t *testing.T, w *world) {
		began := make(chan struct{}, 1)
		w.held = func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		r, err := w.c.Node(4).Submit(t.Context(), job.Spec{Processor: "held", Placement: job.Placement{Nodes: []string{"n4"}}})
		if err != nil {
			t.Fatal(err)
		}
		<-began
		run, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		master := 0
		for w.c.Node(master).ID() != run.Master {
			master++
		}
		w.kill(master)
		w.c.Heal()
		w.c.Isolate(4)
		other := (master + 1) % servers
		if err := w.c.Node(other).Run(r.ID()).Stop(t.Context(), "nobody needs it"); err != nil {
			t.Fatal(err)
		}
		w.c.Heal()
		w.c.Wipe(master)
		w.restart(master)
		w.c.Settle()
		w.c.Stop(4) // or it complains
	})
}
