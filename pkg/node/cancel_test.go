package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// waits is a processor whose attempts say that they are there, and wait for
// the end of their context.
type waits struct {
	at     chan int   // the number of each shard that waits
	causes chan error // and why it waits no more
}

func newWaits() waits { return waits{make(chan int, 16), make(chan error, 16)} }

func (w waits) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	w.at <- t.Shard.Index
	<-ctx.Done()
	w.causes <- context.Cause(ctx)
	return "too late", nil
}

// TestACancelledRunStaysCancelled cancels it while two of its attempts execute
// and more wait, and once more.
func TestACancelledRunStaysCancelled(t *testing.T) {
	w := newWaits()
	n := one(t, mapreduce.Registry{"echo": echo, "waits": w})
	r := submit(t, n, job.Spec{Processor: "waits", Mode: job.Sharded, Shards: 5})
	<-w.at
	<-w.at
	if err := r.Cancel(t.Context(), "changed my mind"); err != nil {
		t.Fatal(err)
	}
	fails(t, r, job.Canceled, "changed my mind")
	for range 2 {
		if err := <-w.causes; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the cause was %v, want that the attempt was called off", err)
		} else {
			says(t, err, "called off")
		}
	}
	if err := r.Cancel(t.Context(), "again"); err != nil {
		t.Errorf("cancelling what is cancelled: %v", err)
	}
	run, err := r.Get(t.Context())
	if err != nil || run.State != job.Canceled || run.Reason != "changed my mind" {
		t.Errorf("got %v %q, %v, want canceled for the first reason", run.State, run.Reason, err)
	}
	stillWorks(t, n)
	if len(w.at) > 0 {
		t.Errorf("%d more attempts have begun", len(w.at))
	}
}

// TestCancelOfWhatIsOverOrNeverWas changes nothing, and says so if there is
// nothing.
func TestCancelOfWhatIsOverOrNeverWas(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	r := submit(t, n, job.Spec{Processor: "echo"})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Cancel(t.Context(), "too late"); err != nil {
		t.Errorf("cancelling what is over: %v", err)
	}
	if run, err := r.Get(t.Context()); err != nil || run.State != job.Succeeded {
		t.Errorf("got %v, %v, want it to have succeeded still", run.State, err)
	}
	none := n.Run("default/echo@never")
	says(t, none.Cancel(t.Context(), "why not"), "default/echo@never", "no such run")
	_, err := none.Get(t.Context())
	says(t, err, "default/echo@never", "no such run")
	_, err = none.Wait(t.Context())
	says(t, err, "default/echo@never", "no such run")
	_, err = none.Progress(t.Context())
	says(t, err, "default/echo@never", "no such run")
}

// TestARunThatTakesTooLongFails calls its attempts off.
func TestARunThatTakesTooLongFails(t *testing.T) {
	w := newWaits()
	n := one(t, mapreduce.Registry{"echo": echo, "waits": w})
	r := submit(t, n, job.Spec{Processor: "waits", RunTimeout: 50 * time.Millisecond})
	fails(t, r, job.Failed, "longer than its RunTimeout of 50ms")
	says(t, <-w.causes, "called off")
	stillWorks(t, n)
}

// TestStopDrains lets what executes come to its end, and refuses what is new.
func TestStopDrains(t *testing.T) {
	at, open := make(chan struct{}), make(chan struct{})
	n, err := node.Start(t.Context(), node.Config{Dir: t.TempDir(), Logger: quiet, Processors: mapreduce.Registry{
		"echo": echo,
		"slow": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			close(at)
			select {
			case <-open:
				return "came to its end", nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := submit(t, n, job.Spec{Processor: "slow"})
	<-at
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(context.Background()) }()
	for err = nil; err == nil; { // until the stop has begun
		_, err = n.Submit(t.Context(), job.Spec{Processor: "echo"})
	}
	if !errors.Is(err, node.ErrStopped) {
		t.Errorf("a node that stops refuses with %v, want ErrStopped", err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("the stop did not wait: %v", err)
	default:
	}
	close(open)
	out, err := r.Wait(t.Context())
	if err != nil {
		t.Errorf("the run that was drained: %v", err)
	} else if got, err := mapreduce.Value[string](t.Context(), out); err == nil && got != "came to its end" {
		t.Errorf("got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestAStopThatMayNotWaitGivesTheRunToTheNextLife calls off what executes; the
// run goes on when the node is started again.
func TestAStopThatMayNotWaitGivesTheRunToTheNextLife(t *testing.T) {
	w := newWaits()
	cfg := node.Config{Dir: t.TempDir(), Logger: quiet, Grace: time.Second, Processors: mapreduce.Registry{"task": w}}
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	id := submit(t, n, job.Spec{Processor: "task"}).ID()
	<-w.at
	stopNow(t, n)
	says(t, <-w.causes, "stopping")
	if _, err := n.Submit(t.Context(), job.Spec{Processor: "task"}); !errors.Is(err, node.ErrStopped) {
		t.Errorf("a node that has stopped refuses with %v, want ErrStopped", err)
	}
	cfg.Processors = mapreduce.Registry{"task": echo}
	n = start(t, cfg)
	if _, err := n.Run(id).Wait(t.Context()); err != nil {
		t.Errorf("the run did not go on: %v", err)
	}
}

// TestAfterAStopEveryMethodSaysSo has one who waits when the stop begins, and
// others who come later.
func TestAfterAStopEveryMethodSaysSo(t *testing.T) {
	w := newWaits()
	n, err := node.Start(t.Context(), node.Config{Logger: quiet, Grace: time.Second, Processors: mapreduce.Registry{"task": w}})
	if err != nil {
		t.Fatal(err)
	}
	r := submit(t, n, job.Spec{Processor: "task"})
	<-w.at
	waited := make(chan error, 1)
	go func() { _, err := r.Wait(context.Background()); waited <- err }()
	stopNow(t, n)
	wait := func() error { _, err := r.Wait(t.Context()); return err }
	get := func() error { _, err := r.Get(t.Context()); return err }
	progress := func() error { _, err := r.Progress(t.Context()); return err }
	runs := func() error { _, err := n.Runs(t.Context(), "", 0); return err }
	for name, err := range map[string]error{
		"the Wait that was there": <-waited, "Wait": wait(), "Get": get(), "Progress": progress(), "Runs": runs(), "Cancel": r.Cancel(t.Context(), ""),
	} {
		if !errors.Is(err, node.ErrStopped) {
			t.Errorf("%s: got %v, want ErrStopped", name, err)
			continue
		}
		says(t, err)
	}
}

func stopNow(t *testing.T, n *node.Node) {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Stop(over); err != nil {
		t.Logf("stop: %v", err)
	}
}

// TestAStopIsNoFailedAttempt stops a node in a hurry while it makes the only
// attempt that a task has.
func TestAStopIsNoFailedAttempt(t *testing.T) {
	w := newWaits()
	cfg := node.Config{Dir: t.TempDir(), Logger: quiet, Processors: mapreduce.Registry{"task": w}}
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	id := submit(t, n, job.Spec{Processor: "task", Retry: job.Retry{Attempts: 1}}).ID()
	<-w.at
	stopNow(t, n)
	cfg.Processors = mapreduce.Registry{"task": echo}
	if _, err := start(t, cfg).Run(id).Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
