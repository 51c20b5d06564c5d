package simulation_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/musterhq/muster/internal/transport/transporttest"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
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
