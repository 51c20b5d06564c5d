package worker

import (
	"context"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestRestFinishesWhatRunsGivesBackWhatWaitsAndEndsWithResume(t *testing.T) {
	began, gate := make(chan struct{}, 1), make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(context.Context, *mapreduce.Task) (any, error) {
		began <- struct{}{}
		<-gate
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 2))
	<-began
	rested := make(chan error)
	go func() { rested <- w.Rest(context.Background()) }()
	if o := h.await("r", 1)[0]; o.Task.N != 1 || !o.Failure.Refused || o.Failure.Reason != ErrResting.Error() {
		t.Errorf("got %+v with %+v, want the task that waited", o, o.Failure)
	}
	if refused := w.Take(job.Batch{Run: r, Tasks: mapTasks(9, 1)}); len(refused) != 1 || refused[0].Failure.Reason != ErrResting.Error() {
		t.Errorf("got %+v, want new work to be refused", refused)
	}
	if got := w.Window("r"); got != 0 {
		t.Errorf("got a window of %d, want none", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Rest(over); err == nil {
		t.Error("got no error although an attempt executes")
	}
	close(gate)
	if err := <-rested; err != nil {
		t.Error(err)
	}
	w.Resume()
	take(t, w, r, mapTasks(10, 1))
	<-began
	if o := h.await("r", 3)[2]; o.Task.N != 10 || o.Failure != nil {
		t.Errorf("got %+v, want the task that came after", o)
	}
}

func TestRestOfAnIdleWorkerReturnsAtOnce(t *testing.T) {
	w, _ := start(t, Config{Slots: 1, Processors: processors(nil)}, nil)
	if err := w.Rest(t.Context()); err != nil {
		t.Error(err)
	}
}
