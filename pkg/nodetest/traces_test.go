package nodetest_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/telemetry/telemetrytest"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// TestATraceLeadsFromTheCallerToEveryNode has a caller, a master and workers that
// know of each other's spans by what their messages carry alone.
func TestATraceLeadsFromTheCallerToEveryNode(t *testing.T) {
	spans := make([]telemetrytest.Spans, 3)
	p := mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return nil, nil })
	c := nodetest.Start(t, 3, func(i int, cfg *node.Config) {
		cfg.Processors, cfg.TracerProvider = mapreduce.Registry{"p": p}, &spans[i]
	})
	c.Settle()
	caller := new(telemetrytest.Spans)
	ctx, asked := caller.Tracer("").Start(t.Context(), "caller")
	run, err := c.Node(1).Submit(ctx, job.Spec{Processor: "p", Mode: job.Broadcast})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range spans {
		c.Stop(i)
	}
	named := func(name string) (all []*telemetrytest.Span) {
		for i := range spans {
			all = append(all, spans[i].Named(name)...)
		}
		return all
	}
	runs, tasks := named(telemetry.SpanRun), map[trace.SpanID]bool{}
	if len(runs) != 1 || runs[0].Parent.SpanID() != asked.SpanContext().SpanID() {
		t.Fatalf("got %d spans of the run, want one that is part of the caller's", len(runs))
	}
	for _, k := range named(telemetry.SpanTask) {
		if k.Parent.SpanID() != runs[0].Self.SpanID() {
			t.Error("tasks are not part of the run's span")
		}
		tasks[k.Self.SpanID()] = true
	}
	for i := range spans {
		attempts := spans[i].Named(telemetry.SpanAttempt)
		if len(attempts) == 0 {
			t.Errorf("node %d has no span of an attempt", i)
		}
		for _, k := range attempts {
			if len(k.Links) != 1 || !tasks[k.Links[0].SpanContext.SpanID()] {
				t.Errorf("got links %v of an attempt on node %d, want one to its tasks", k.Links, i)
			}
		}
	}
}
