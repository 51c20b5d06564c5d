package worker

import (
	"testing"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// TestAnAttemptAllocatesLittle counts what an attempt at nothing takes, in a
// program that traces nothing: itself, its contexts and the name of its task.
func TestAnAttemptAllocatesLittle(t *testing.T) {
	spans := telemetry.NewSpans(nil)
	w, _ := start(t, Config{Processors: processors(noop), Spans: &spans}, nil)
	of := newTestRun("default/small@1", "p")
	r := newRun(of.ID, of.Epoch, of.Created)
	b := &batch{Batch: job.Batch{Run: of}, processor: w.processors["p"]}
	task := job.Task{ID: job.TaskID{Kind: job.KindMap, N: 7}, Attempt: 1}
	const most = 7
	got := testing.AllocsPerRun(640, func() {
		a := newAttempt(w)
		a.run, a.batch, a.what = r, b, &task
		a.execute()
	})
	if got > most {
		t.Errorf("an attempt takes %v allocations, want at most %d", got, most)
	}
}
