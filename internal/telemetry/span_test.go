package telemetry

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/musterhq/muster/internal/telemetry/telemetrytest"
)

func TestAnAttemptIsLinkedToTheTasksOnAnotherNode(t *testing.T) {
	var all telemetrytest.Spans
	spans := NewSpans(&all)
	calls := 0

	// One node ...
	ctx, _ := spans.Fire(t.Context(), "nightly", "reports/nightly@x", time.Unix(0, 0))
	ctx, _ = spans.Run(context.Background(), "reports/nightly@x", "nightly", 1, AtOnce(Inject(ctx), true))
	ctx, _ = spans.Task(ctx, "reports/nightly@x", counting{&calls}, 100, "n2")
	message := Inject(ctx)

	// ... and another, that gets the message.
	_, span := spans.Attempt(context.Background(), counting{&calls}, "wordcount", "n2", message)
	End(span, errors.New("boom"))

	kept := all.All()
	fire, run, task, attempt := kept[0], kept[1], kept[2], kept[3]
	if run.Parent.SpanID() != fire.Self.SpanID() || !task.Parent.Equal(run.Self) || len(run.Links) != 0 {
		t.Error("the story is broken: want fire, run and task each the parent of the next")
	}
	if attempt.Parent.IsValid() {
		t.Error("the attempt has a parent, want a link")
	}
	if len(attempt.Links) != 1 || attempt.Links[0].SpanContext.SpanID() != task.Self.SpanID() || !attempt.Links[0].SpanContext.IsRemote() {
		t.Errorf("got links %v, want one to the task", attempt.Links)
	}
	for _, c := range []struct {
		span *telemetrytest.Span
		want map[attribute.Key]string
	}{
		{fire, map[attribute.Key]string{"muster.job": "nightly", "muster.run": "reports/nightly@x", "muster.due": "1970-01-01T00:00:00Z"}},
		{run, map[attribute.Key]string{"muster.job": "nightly", "muster.run": "reports/nightly@x"}},
		{task, map[attribute.Key]string{"muster.run": "reports/nightly@x", "muster.task": "m12", "muster.tasks": "100", "muster.member": "n2"}},
		{attempt, map[attribute.Key]string{"muster.attempt": "m12", "muster.processor": "wordcount", "muster.node": "n2"}},
	} {
		if got := c.span.Attrs(); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.span.Name, got, c.want)
		}
	}
	if ended, err := attempt.Ended(); !attempt.Failed() || err == nil || !ended {
		t.Error("the failed attempt does not say so")
	}
}

func TestARunThatWaitedOrHasAnotherMasterIsLinkedToWhatItCameFrom(t *testing.T) {
	for _, c := range []struct {
		name  string
		now   bool
		epoch uint64
	}{{"waited", false, 1}, {"another master", true, 2}} {
		t.Run(c.name, func(t *testing.T) {
			var all telemetrytest.Spans
			spans := NewSpans(&all)
			ctx, span := spans.Fire(t.Context(), "nightly", "default/nightly@x", time.Now())
			End(span, nil)
			if ended, _ := all.All()[0].Ended(); all.All()[0].Failed() || !ended {
				t.Error("a span without error: want it ended and its status unset")
			}
			spans.Run(context.Background(), "default/nightly@x", "nightly", c.epoch, AtOnce(Inject(ctx), c.now))
			if got := all.All()[1]; got.Parent.IsValid() || len(got.Links) != 1 {
				t.Errorf("got parent %v and links %v, want a link only", got.Parent, got.Links)
			}
		})
	}
}

func TestWhetherARunWaitsIsSaidAnew(t *testing.T) {
	first := map[string]string{"traceparent": "x"}
	now := AtOnce(first, true)
	if len(first) != 1 || len(now) != 2 {
		t.Errorf("got %v of %v, want another map that says so", now, first)
	}
	if again := AtOnce(now, false); !maps.Equal(again, first) {
		t.Errorf("got %v, want %v", again, first)
	}
	if none := AtOnce(nil, true); none != nil {
		t.Errorf("got %v of no span, want none", none)
	}
}

func TestWhatHasNoSpanOfItsOwnIsPartOfAnother(t *testing.T) {
	var all telemetrytest.Spans
	spans := NewSpans(&all)
	ctx, _ := spans.Run(t.Context(), "r", "j", 1, nil)
	there := Link(context.Background(), Inject(ctx))
	spans.Fire(there, "user", "", time.Now())
	if got := all.All()[1].Parent; got.SpanID() != all.All()[0].Self.SpanID() || !got.IsRemote() {
		t.Errorf("got parent %v, want the run", got)
	}
	if Link(t.Context(), nil) != t.Context() {
		t.Error("without a span there is nothing to be part of")
	}
}

func TestASpanThatIsNotSampledFormatsNothing(t *testing.T) {
	calls := 0
	spans := NewSpans(&telemetrytest.Spans{Deaf: true})
	_, span := spans.Attempt(t.Context(), counting{&calls}, "p", "n", nil)
	End(span, errors.New("boom"))
	if calls != 0 {
		t.Errorf("got %d calls of String, want none", calls)
	}
}

func TestThereIsNothingToInjectWithoutASpan(t *testing.T) {
	if got := Inject(t.Context()); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	_, span := NewSpans(nil).Run(t.Context(), "r", "j", 1, nil) // the global provider has no SDK here
	End(span, nil)
	if span.SpanContext().IsValid() {
		t.Error("got a span without an SDK")
	}
}

func TestGarbageIsNoSpan(t *testing.T) {
	for _, carrier := range []map[string]string{
		nil,
		{},
		{"traceparent": ""},
		{"traceparent": "00-zz-yy-01"},
		{"other": "x"},
		{"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"},
	} {
		if got := Extract(carrier); got.IsValid() {
			t.Errorf("%v: got span %v, want none", carrier, got)
		}
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=value")
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "=,=")
	f.Fuzz(func(t *testing.T, parent, state string) {
		span := Extract(map[string]string{"traceparent": parent, "tracestate": state})
		if !span.IsValid() {
			return
		}
		again := Extract(Inject(trace.ContextWithRemoteSpanContext(context.Background(), span)))
		if again.TraceID() != span.TraceID() || again.SpanID() != span.SpanID() {
			t.Errorf("got %v after a round trip, want %v", again, span)
		}
	})
}

func BenchmarkAttemptWithoutSDK(b *testing.B) {
	spans := NewSpans(nil)
	calls := 0
	for b.Loop() {
		_, span := spans.Attempt(context.Background(), counting{&calls}, "p", "n", nil)
		End(span, nil)
	}
}

// TestARunThatNobodyTracesCostsNothing counts what the spans of runs take in a
// program that traces nothing, in which what another node traced still passes
// through; and has a program that begins to trace see its runs soon.
func TestARunThatNobodyTracesCostsNothing(t *testing.T) {
	var all telemetrytest.Spans
	quiet := NewSpans(noop.NewTracerProvider())
	got := testing.AllocsPerRun(10*heedEvery, func() {
		_, span := quiet.Run(t.Context(), "reports/nightly@x", "nightly", 1, nil)
		End(span, nil)
	})
	if got >= 1 {
		t.Errorf("a span takes %v allocations, want none but now and then", got)
	}

	traced := NewSpans(&all)
	traced.untraced = quiet.untraced
	for range heedEvery {
		_, span := traced.Run(t.Context(), "reports/nightly@x", "nightly", 1, nil)
		End(span, nil)
	}
	before := len(all.All())
	_, span := traced.Run(t.Context(), "reports/nightly@x", "nightly", 1, nil)
	End(span, nil)
	if before == 0 || len(all.All()) != before+1 {
		t.Errorf("a program that traces has %d and then %d spans, want some and each from then on", before, len(all.All()))
	}

	from := Inject(trace.ContextWithSpanContext(t.Context(), all.All()[0].Self))
	ctx, _ := quiet.Run(t.Context(), "reports/nightly@x", "nightly", 1, AtOnce(from, true))
	if got := Inject(ctx); got["traceparent"] != from["traceparent"] {
		t.Errorf("what passes through is %v, want %v", got, from)
	}
}
