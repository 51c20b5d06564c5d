package telemetry

import (
	"context"
	"errors"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// recorder is a tracer that keeps its spans.
type recorder struct {
	noop.Tracer
	deaf  bool // nothing is sampled
	spans []*recorded
}

type recorded struct {
	noop.Span
	name   string
	parent trace.SpanContext
	links  []trace.Link
	attrs  map[attribute.Key]string
	err    error
	status codes.Code
	ended  bool
	self   trace.SpanContext
	deaf   bool
}

type recorders struct {
	noop.TracerProvider
	r *recorder
}

func (p recorders) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.r }

func (r *recorder) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	c := trace.NewSpanStartConfig(options...)
	s := &recorded{
		name: name, parent: trace.SpanContextFromContext(ctx), links: c.Links(),
		attrs: map[attribute.Key]string{}, deaf: r.deaf,
		self: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{byte(len(r.spans) + 1)}}),
	}
	r.spans = append(r.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

func (s *recorded) IsRecording() bool                             { return !s.deaf }
func (s *recorded) SpanContext() trace.SpanContext                { return s.self }
func (s *recorded) RecordError(err error, _ ...trace.EventOption) { s.err = err }
func (s *recorded) SetStatus(c codes.Code, _ string)              { s.status = c }
func (s *recorded) End(...trace.SpanEndOption)                    { s.ended = true }
func (s *recorded) SetAttributes(kvs ...attribute.KeyValue) {
	for _, kv := range kvs {
		s.attrs[kv.Key] = kv.Value.AsString()
	}
}

func TestAnAttemptIsLinkedToTheTaskOnAnotherNode(t *testing.T) {
	var r recorder
	spans := NewSpans(recorders{r: &r})
	calls := 0

	// One node ...
	ctx, _ := spans.Fire(t.Context(), "reports/nightly")
	ctx, _ = spans.Run(ctx, "reports/nightly@x", "reports/nightly", nil)
	ctx, _ = spans.Task(ctx, "reports/nightly@x", counting{&calls})
	message := Inject(ctx)

	// ... and another, that gets the message.
	_, span := spans.Attempt(context.Background(), counting{&calls}, "wordcount", "n2", message)
	End(span, errors.New("boom"))

	fire, run, task, attempt := r.spans[0], r.spans[1], r.spans[2], r.spans[3]
	if !run.parent.Equal(fire.self) || !task.parent.Equal(run.self) {
		t.Error("the story is broken: want fire, run and task each the parent of the next")
	}
	if attempt.parent.IsValid() {
		t.Error("the attempt has a parent, want a link")
	}
	if len(attempt.links) != 1 || attempt.links[0].SpanContext.SpanID() != task.self.SpanID() || !attempt.links[0].SpanContext.IsRemote() {
		t.Errorf("got links %v, want one to the task", attempt.links)
	}
	want := map[attribute.Key]string{"muster.attempt": "m12", "muster.processor": "wordcount", "muster.node": "n2"}
	if !maps.Equal(attempt.attrs, want) {
		t.Errorf("got attributes %v, want %v", attempt.attrs, want)
	}
	if attempt.status != codes.Error || attempt.err == nil || !attempt.ended {
		t.Error("the failed attempt does not say so")
	}
}

func TestARunIsLinkedToWhatQueuedIt(t *testing.T) {
	var r recorder
	spans := NewSpans(recorders{r: &r})
	ctx, span := spans.Fire(t.Context(), "nightly")
	End(span, nil)
	if r.spans[0].status != codes.Unset || !r.spans[0].ended {
		t.Error("a span without error: want it ended and its status unset")
	}
	spans.Run(t.Context(), "default/nightly@x", "nightly", Inject(ctx))
	if got := r.spans[1]; got.parent.IsValid() || len(got.links) != 1 {
		t.Errorf("got parent %v and links %v, want a link only", got.parent, got.links)
	}
}

func TestASpanThatIsNotSampledFormatsNothing(t *testing.T) {
	calls := 0
	spans := NewSpans(recorders{r: &recorder{deaf: true}})
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
	_, span := NewSpans(nil).Run(t.Context(), "r", "j", nil) // the global provider has no SDK here
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
