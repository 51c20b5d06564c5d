package telemetry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The names of the spans, in the order of the story.
const (
	SpanFire    = "muster.fire"
	SpanRun     = "muster.run"
	SpanTask    = "muster.task"
	SpanAttempt = "muster.attempt"
)

// The keys of what spans say of themselves.
const (
	keyJob       = attribute.Key("muster.job")
	keyRun       = attribute.Key("muster.run")
	keyTask      = attribute.Key("muster.task")
	keyAttempt   = attribute.Key("muster.attempt")
	keyProcessor = attribute.Key("muster.processor")
	keyNode      = attribute.Key("muster.node")
	keyMember    = attribute.Key("muster.member")
	keyTasks     = attribute.Key("muster.tasks")
	keyDue       = attribute.Key("muster.due")
)

// Spans starts the spans of the story. Where work waits in a queue, what it came
// from is not its parent, which would look as if it had waited, but a link: an
// attempt's, and that of a run which waited for its turn. A run that begins at
// once has what it came from for its parent. See Inject and AtOnce.
//
// What starts a span ends it, with End.
type Spans struct {
	tracer   trace.Tracer
	untraced *atomic.Uint32 // runs; see Heed
}

// NewSpans returns spans of p. A nil p is the global provider.
func NewSpans(p trace.TracerProvider) Spans { return Spans{Tracer(p), new(atomic.Uint32)} }

// Fire starts the span of one instant, due, at which a trigger of job was due:
// from when it is settled to when its run is recorded.
func (s Spans) Fire(ctx context.Context, job, run string, due time.Time) (context.Context, trace.Span) {
	return s.start(ctx, SpanFire, nil, producer, func() []attribute.KeyValue {
		return []attribute.KeyValue{keyJob.String(job), keyRun.String(run), keyDue.String(due.UTC().Format(time.RFC3339Nano))}
	})
}

// Run starts the span of a run at its master, which from came along with: the
// fire or the request that the run was made for. If it is marked AtOnce that is
// the parent of the run, for its first master, and else a link. In a program that
// traces nothing few of them are started; see Heed.
func (s Spans) Run(ctx context.Context, id, job string, epoch uint64, from map[string]string) (context.Context, trace.Span) {
	if _, now := from[atOnce]; now && epoch <= 1 {
		ctx, from = trace.ContextWithRemoteSpanContext(ctx, Extract(from)), nil
	}
	if !Heed(s.untraced) {
		return ctx, noSpan
	}
	ctx, span := s.start(ctx, SpanRun, from, consumer, func() []attribute.KeyValue {
		return []attribute.KeyValue{keyRun.String(id), keyJob.String(job)}
	})
	Heeded(s.untraced, span)
	return ctx, span
}

// noSpan is a span that records nothing and is part of no trace.
var noSpan = trace.SpanFromContext(context.Background())

// Task starts the span of n tasks, the first of them first, which go from their
// master to a member in one message: a child of the run's in ctx, from when they
// are sent to when the member has them. A run has a span of each message up to a
// bound, and none of each task.
func (s Spans) Task(ctx context.Context, run string, first fmt.Stringer, n int, member string) (context.Context, trace.Span) {
	return s.start(ctx, SpanTask, nil, producer, func() []attribute.KeyValue {
		return []attribute.KeyValue{keyRun.String(run), keyTask.String(first.String()), keyTasks.Int(n), keyMember.String(member)}
	})
}

// Heed reports whether the next of many spans of a kind is worth its start, of
// which idle counts for its callers. In a program that traces nothing, even the
// start of a span that records nothing is a good part of what a small attempt
// costs: when the last span was such a one, only one in heedEvery is started, to
// find out whether that is still so. It is followed by Heeded.
func Heed(idle *atomic.Uint32) bool {
	n := idle.Load()
	if n == 0 {
		return true
	}
	return idle.Add(1)%heedEvery == 0
}

// Heeded takes note of what has become of a span that Heed was in favour of. A
// span of an SDK has a valid context, sampled or not.
func Heeded(idle *atomic.Uint32, span trace.Span) {
	if span.SpanContext().IsValid() {
		idle.Store(0)
	} else {
		idle.CompareAndSwap(0, 1)
	}
}

const heedEvery = 64

// Attempt starts the span of one attempt at its worker, with a link to the
// span of the master that placed it.
func (s Spans) Attempt(ctx context.Context, id fmt.Stringer, processor, node string, from map[string]string) (context.Context, trace.Span) {
	return s.start(ctx, SpanAttempt, from, consumer, func() []attribute.KeyValue {
		return []attribute.KeyValue{keyAttempt.String(id.String()), keyProcessor.String(processor), keyNode.String(node)}
	})
}

// The options of spans without a link, made once: attempts are many.
var (
	producer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}
	consumer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
)

// start leaves it to describe to make the attributes, so that a program
// without an SDK, or a span that is not sampled, does not pay for them.
func (s Spans) start(ctx context.Context, name string, from map[string]string, options []trace.SpanStartOption, describe func() []attribute.KeyValue) (context.Context, trace.Span) {
	if link := Extract(from); link.IsValid() {
		options = append(slices.Clone(options), trace.WithLinks(trace.Link{SpanContext: link}))
	}
	ctx, span := s.tracer.Start(ctx, name, options...)
	if span.IsRecording() {
		span.SetAttributes(describe()...)
	}
	return ctx, span
}

// End ends span, as failed if err is not nil.
func End(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// propagator writes W3C trace context. It is not the global propagator, which
// is the embedder's: nodes of one cluster must understand each other.
var propagator propagation.TraceContext

// Inject returns the span in ctx in a form that fits a message to another
// node, to be linked to there. Without a span it returns nil.
func Inject(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return carrier
}

// Link returns ctx as it is for what has no span of its own: spans that are
// started in it belong to the one that Inject was given on another node.
func Link(ctx context.Context, carrier map[string]string) context.Context {
	if from := Extract(carrier); from.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, from)
	}
	return ctx
}

// atOnce is the key in a carrier that says that what goes with it does not wait.
const atOnce = "muster-at-once"

// AtOnce returns what Inject returned, as it is for a run that begins at once,
// or that waits for its turn. Older nodes do not see the difference.
func AtOnce(carrier map[string]string, now bool) map[string]string {
	if _, is := carrier[atOnce]; len(carrier) == 0 || is == now {
		return carrier
	}
	carrier = maps.Clone(carrier)
	delete(carrier, atOnce)
	if now {
		carrier[atOnce] = "1"
	}
	return carrier
}

// Extract returns the span that Inject was given on another node. What is not
// understood is no span: a message is not refused for its trace.
func Extract(carrier map[string]string) trace.SpanContext {
	if len(carrier) == 0 {
		return trace.SpanContext{}
	}
	ctx := propagator.Extract(context.Background(), propagation.MapCarrier(carrier))
	return trace.SpanContextFromContext(ctx)
}
