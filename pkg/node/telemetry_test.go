package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/telemetry/telemetrytest"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// observed starts a node whose spans and measurements are kept.
func observed(t *testing.T, r mapreduce.Registry) (*node.Node, *telemetrytest.Spans, *telemetrytest.Metrics) {
	t.Helper()
	spans, metrics := new(telemetrytest.Spans), new(telemetrytest.Metrics)
	n, err := node.Start(t.Context(), node.Config{
		Processors: r, Slots: 2, Logger: quiet, Grace: 50 * time.Millisecond, TracerProvider: spans, MeterProvider: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop(context.Background()) })
	return n, spans, metrics
}

// stopped stops n, after which all that it does is done.
func stopped(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestSpansTellTheStoryFromTheCallerToTheAttempt(t *testing.T) {
	inside := make(chan trace.SpanContext, 1)
	n, spans, _ := observed(t, mapreduce.Registry{"p": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
		inside <- trace.SpanContextFromContext(ctx)
		return nil, errors.New("no")
	})})
	ctx, caller := spans.Tracer("").Start(t.Context(), "caller")
	r, err := n.Submit(ctx, job.Spec{Processor: "p", Input: job.Values("a"), Retry: job.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wait(t.Context()); err == nil {
		t.Fatal("the run succeeded, want it failed")
	}
	stopped(t, n)
	run, task, attempt := spans.Named(telemetry.SpanRun), spans.Named(telemetry.SpanTask), spans.Named(telemetry.SpanAttempt)
	if len(run) != 1 || len(task) != 1 || len(attempt) != 1 {
		t.Fatalf("got %d, %d and %d spans of runs, tasks and attempts, want one each", len(run), len(task), len(attempt))
	}
	if run[0].Parent.SpanID() != caller.SpanContext().SpanID() {
		t.Error("the run began at once and is not part of the caller's span")
	}
	if task[0].Parent.SpanID() != run[0].Self.SpanID() {
		t.Error("the tasks are not part of the run's span")
	}
	if l := attempt[0].Links; len(l) != 1 || l[0].SpanContext.SpanID() != task[0].Self.SpanID() {
		t.Errorf("got links %v of the attempt, want one to its task", l)
	}
	if got := <-inside; !got.Equal(attempt[0].Self) {
		t.Errorf("got %v in the processor's context, want the attempt's span", got)
	}
	for _, k := range spans.All() {
		if ended, _ := k.Ended(); k.Name != "caller" && !ended {
			t.Errorf("%s has not ended", k.Name)
		}
		if fails := k.Name == telemetry.SpanRun || k.Name == telemetry.SpanAttempt; k.Failed() != fails {
			t.Errorf("%s failed: %v, want %v", k.Name, k.Failed(), fails)
		}
	}
}

func TestSpansOfAttemptsAreBoundedAndTheOthersArePartOfTheirTasks(t *testing.T) {
	const tasks, spanned = 1000, 128
	inside := make(chan trace.SpanContext, tasks)
	n, spans, _ := observed(t, mapreduce.Registry{"p": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
		inside <- trace.SpanContextFromContext(ctx)
		return nil, nil
	})})
	r, err := n.Submit(t.Context(), job.Spec{Processor: "p", Mode: job.Sharded, Shards: tasks})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, n)
	known := map[trace.SpanID]bool{}
	for _, k := range spans.All() {
		known[k.Self.SpanID()] = true
	}
	for range tasks {
		if got := <-inside; !known[got.SpanID()] {
			t.Fatalf("got %v in a processor's context, want a span of the run", got)
		}
	}
	// Two slots may pass the bound at the same time.
	if got := len(spans.Named(telemetry.SpanAttempt)); got < spanned || got > spanned+2 {
		t.Errorf("got %d spans of attempts, want about %d", got, spanned)
	}
	if got := len(spans.Named(telemetry.SpanRun)); got != 1 {
		t.Errorf("got %d spans of runs, want 1", got)
	}
}

func TestAFireHasASpanAndIsCounted(t *testing.T) {
	at := make(chan time.Time, 8)
	n, spans, metrics := observed(t, fired(at))
	if _, err := n.PutJob(t.Context(), job.Spec{Name: "often", Processor: "fired", Schedule: trigger.Schedule{When: "every 1s"}}, 0); err != nil {
		t.Fatal(err)
	}
	<-at
	stopped(t, n)
	fires, runs := spans.Named(telemetry.SpanFire), spans.Named(telemetry.SpanRun)
	if len(fires) == 0 || len(runs) == 0 || runs[0].Parent.SpanID() != fires[0].Self.SpanID() {
		t.Errorf("got %d fires and %d runs, want the first run part of the first fire", len(fires), len(runs))
	}
	sums, err := metrics.Sums(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := sums["muster.fires{outcome=run}"]; got < 1 || got > float64(len(fires)) {
		t.Errorf("got %v fires counted, want at least one of %d", got, len(fires))
	}
	if late := sums["muster.fire.lateness{}"]; late < 0 || late > 10 {
		t.Errorf("got %v s of lateness", late)
	}
}

func TestMetricsSayHowRunsEndedAndWhatTheNodeIs(t *testing.T) {
	n, _, metrics := observed(t, mapreduce.Registry{"p": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		if task.Key == "bad" {
			return nil, mapreduce.Permanent(errors.New("no"))
		}
		return nil, nil
	})})
	for _, key := range []string{"good", "bad"} {
		r, err := n.Submit(t.Context(), job.Spec{Processor: "p"}, node.Key(key))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Wait(t.Context()); (err == nil) != (key == "good") {
			t.Fatal(err)
		}
	}
	now, err := metrics.Sums(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"muster.members{}": 1, "muster.leader{}": 1, "muster.slots{}": 2, "muster.leader.changes{}": 1,
		"muster.runs.waiting{}": 0,
	} {
		if got, ok := now[name]; !ok || got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if skew, ok := now["muster.clock.skew{}"]; !ok || skew < -1 || skew > 1 {
		t.Errorf("got a skew of %v s from its own clock", skew)
	}
	if now["muster.disk.size{}"] < now["muster.disk.free{}"] {
		t.Errorf("got %v bytes free of %v", now["muster.disk.free{}"], now["muster.disk.size{}"])
	}
	stopped(t, n)
	sums, err := metrics.Sums(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, looked := sums["muster.members{}"]; looked {
		t.Error("a node that has stopped is still looked at")
	}
	for _, name := range []string{"muster.runs.ended{origin=submit,state=succeeded}", "muster.runs.ended{origin=submit,state=failed}"} {
		if sums[name] != 1 {
			t.Errorf("%s: got %v, want 1", name, sums[name])
		}
	}
	if sums["muster.state.commands{}"] < 4 {
		t.Errorf("got %v commands, want those of two runs at least", sums["muster.state.commands{}"])
	}
}
