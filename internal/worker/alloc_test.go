package worker

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestAnAttemptAllocatesLittle counts what an attempt at nothing takes, in a
// program that traces nothing: itself, its context and the name of its task.
func TestAnAttemptAllocatesLittle(t *testing.T) {
	spans := telemetry.NewSpans(nil)
	w, _ := start(t, Config{Processors: processors(noop), Spans: &spans}, nil)
	of := newTestRun("default/small@1", "p")
	r := newRun(of.ID, of.Epoch, of.Created)
	b := &batch{Batch: job.Batch{Run: of}, processor: w.processors["p"]}
	task := job.Task{ID: job.TaskID{Kind: job.KindMap, N: 7}, Attempt: 1}
	const most = 3
	got := testing.AllocsPerRun(640, func() {
		a := newAttempt(w)
		a.run, a.batch, a.what = r, b, &task
		a.execute()
	})
	if got > most {
		t.Errorf("an attempt takes %v allocations, want at most %d", got, most)
	}
}

// TestARunOfOneTaskAllocatesLittle counts what a worker takes for runs of one task
// each, a thousand at a time, from Take to Forget: what it keeps of the run, its
// task and its report, and the attempt. The list of tasks is made here.
func TestARunOfOneTaskAllocatesLittle(t *testing.T) {
	const n, most = 1000, 8
	spans := telemetry.NewSpans(nil)
	all := make(reports, n)
	w, _ := start(t, Config{Processors: processors(noop), Spans: &spans}, nil)
	w.host = all
	runs, ids := make([]*job.Run, n), make([]job.RunID, n)
	for i := range runs {
		ids[i] = job.RunID(fmt.Sprintf("default/small@%d", i))
		runs[i] = newTestRun(ids[i], "p")
	}
	got := testing.AllocsPerRun(10, func() {
		for i := range runs {
			runs[i].Created = runs[i].Created.Add(1) // so that it is another run
			w.Take(job.Batch{Run: runs[i], Tasks: []job.Task{{ID: job.TaskID{Kind: job.KindMap}, Attempt: 1}}})
		}
		for range n {
			if got := len((<-all).Outcomes()); got != 1 {
				t.Fatalf("a report has %d outcomes, want 1", got)
			}
		}
		w.Forget(ids...)
	})
	if got /= n; got > most {
		t.Errorf("a run takes %v allocations, want at most %d", got, most)
	}
}

// reports is a host that takes reports and never says that they are done.
type reports chan *Report

func (c reports) Report(r *Report) { c <- r }

func (reports) Emit(context.Context, job.AttemptID, int, []job.Subtask) error { return nil }

func (reports) Output(context.Context, job.AttemptID, int, []byte, int) error { return nil }

func (reports) Results(context.Context, job.RunID) iter.Seq2[mapreduce.Result, error] { return nil }
