package worker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestDrainFinishesWhatRunsAndGivesBackWhatWaits(t *testing.T) {
	began, gate := make(chan struct{}), make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(context.Context, *mapreduce.Task) (any, error) {
		close(began)
		<-gate
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 3))
	<-began
	drained := make(chan error)
	go func() { drained <- w.Drain(context.Background()) }()
	for _, o := range h.await("r", 2) {
		if o.Task.N == 0 || !o.Failure.Refused || o.Failure.Reason != mapreduce.ErrStopping.Error() {
			t.Errorf("got %+v with %+v, want a task that waited", o, o.Failure)
		}
	}
	if refused := w.Take(job.Batch{Run: r, Tasks: mapTasks(9, 1)}); len(refused) != 1 || refused[0].Failure.Reason != mapreduce.ErrStopping.Error() {
		t.Errorf("got %+v, want new work to be refused", refused)
	}
	if got := w.Window("r"); got != 0 {
		t.Errorf("got a window of %d, want none", got)
	}
	close(gate)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if o := h.await("r", 3)[2]; o.Task.N != 0 || o.Failure != nil {
		t.Errorf("got %+v, want the task that ran to succeed", o)
	}
}

func TestDrainCancelsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		w, h := start(t, Config{Slots: 1, Processors: processors(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return nil, ctx.Err()
		})}, nil)
		take(t, w, newTestRun("r", "p"), mapTasks(0, 1))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Drain(ctx); err != nil {
			t.Error(err)
		}
		if got := <-causes; !errors.Is(got, mapreduce.ErrStopping) {
			t.Errorf("got cause %v, want %v", got, mapreduce.ErrStopping)
		}
		if o := h.await("r", 1)[0]; o.Failure == nil || !o.Failure.Refused || o.Failure.Reason != mapreduce.ErrStopping.Error() {
			t.Errorf("got %+v", o)
		}
	})
}

func TestDrainTellsWhatItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, answer := make(chan struct{}), make(chan struct{})
		h := newHost()
		h.report = func(job.RunID, uint64, []job.Outcome) { <-answer }
		w, err := newWorker(Config{Slots: 1, Host: h, Logger: slog.New(slog.DiscardHandler), Processors: processors(func(context.Context, *mapreduce.Task) (any, error) {
			<-release
			return nil, nil
		})}, nil)
		if err != nil {
			t.Fatal(err)
		}
		take(t, w, newTestRun("r", "p"), mapTasks(0, 1))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 {
			if err := w.Drain(ctx); err == nil || !strings.Contains(err.Error(), "1 attempts abandoned and 1 outcomes") {
				t.Errorf("got %v, want it to tell of the attempt and the outcome", err)
			}
		}
		close(release)
		close(answer)
		synctest.Wait()
		if s := w.Stats(); s.Abandoned != 0 {
			t.Errorf("got %+v after its return", s)
		}
	})
}
