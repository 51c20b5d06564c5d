// Package telemetrytest keeps what the house reports, for tests to look at. It
// takes the place of an SDK, samples everything, and exports nothing.
package telemetrytest

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Spans is a provider of tracers that keeps the spans of all of them. The zero
// value is ready.
type Spans struct {
	noop.TracerProvider
	// Deaf says that nothing is sampled.
	Deaf bool

	mu  sync.Mutex
	all []*Span // guarded by mu
}

// All returns the spans that were started, the first first.
func (s *Spans) All() []*Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// Named returns those of All that have a name.
func (s *Spans) Named(name string) []*Span {
	return slices.DeleteFunc(s.All(), func(k *Span) bool { return k.Name != name })
}

// Tracer returns a tracer whose spans are kept.
func (s *Spans) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{of: s} }

// last is the number of the last span: those of several providers, as nodes in
// one test have them, differ too.
var last atomic.Uint64

type tracer struct {
	noop.Tracer
	of *Spans
}

// Start starts a span, in the trace of its parent if it has one.
func (t tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	c := trace.NewSpanStartConfig(options...)
	k := &Span{Name: name, Parent: trace.SpanContextFromContext(ctx), Links: c.Links(), of: t.of, attrs: map[attribute.Key]string{}}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.all = append(t.of.all, k)
	self, n := trace.SpanContextConfig{TraceID: k.Parent.TraceID()}, last.Add(1)
	binary.BigEndian.PutUint64(self.SpanID[:], n)
	if !self.TraceID.IsValid() {
		binary.BigEndian.PutUint64(self.TraceID[8:], n)
	}
	if !t.of.Deaf {
		self.TraceFlags = trace.FlagsSampled
	}
	k.Self = trace.NewSpanContext(self)
	return trace.ContextWithSpan(ctx, k), k
}

// Span is a span that was started.
type Span struct {
	noop.Span
	Name         string
	Self, Parent trace.SpanContext
	Links        []trace.Link

	of     *Spans
	attrs  map[attribute.Key]string // guarded by of.mu
	err    error                    // guarded by of.mu
	status codes.Code               // guarded by of.mu
	ended  bool                     // guarded by of.mu
}

// Attrs returns what the span says of itself.
func (k *Span) Attrs() map[attribute.Key]string {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	out := map[attribute.Key]string{}
	for key, v := range k.attrs {
		out[key] = v
	}
	return out
}

// Ended reports whether the span has ended, and with which error.
func (k *Span) Ended() (ended bool, err error) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	return k.ended, k.err
}

// Failed reports whether the span's status is an error.
func (k *Span) Failed() bool {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	return k.status == codes.Error
}

// IsRecording reports whether the span is sampled.
func (k *Span) IsRecording() bool { return !k.of.Deaf }

// SpanContext returns what others know the span by.
func (k *Span) SpanContext() trace.SpanContext { return k.Self }

// RecordError keeps err.
func (k *Span) RecordError(err error, _ ...trace.EventOption) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	k.err = err
}

// SetStatus keeps c.
func (k *Span) SetStatus(c codes.Code, _ string) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	k.status = c
}

// End ends the span.
func (k *Span) End(...trace.SpanEndOption) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	k.ended = true
}

// SetAttributes keeps what the span says of itself, as text.
func (k *Span) SetAttributes(kvs ...attribute.KeyValue) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	for _, kv := range kvs {
		k.attrs[kv.Key] = kv.Value.String()
	}
}
