// Package telemetry names the spans, metrics and log attributes of the house.
//
// Names are declared here once, so that a dashboard, a trace and a log search
// find the same word. Only the OpenTelemetry API is used: a program that
// installs no SDK pays next to nothing and exports nothing. Who embeds a node
// hands its providers over; nil stands for the global ones.
//
// IDs of jobs, runs and tasks are in logs and spans, never in metrics, where
// each new value would be a new series for ever.
package telemetry

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of everything the house reports.
const Scope = "github.com/musterhq/muster"

// Tracer returns the tracer of the house from p. A nil p is the global
// provider.
func Tracer(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return p.Tracer(Scope)
}

// Meter returns the meter of the house from p. A nil p is the global provider.
func Meter(p metric.MeterProvider) metric.Meter {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	return p.Meter(Scope)
}
