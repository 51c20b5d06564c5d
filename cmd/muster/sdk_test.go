package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
)

// BenchmarkAnAttemptThatIsMeasured is what the SDK adds to each attempt of an
// agent that shows its metrics.
func BenchmarkAnAttemptThatIsMeasured(b *testing.B) {
	e, err := newExporters(b.Context(), "n", true, "", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer e.stop(b.Context())
	m, err := telemetry.NewMetrics(e.meters)
	if err != nil {
		b.Fatal(err)
	}
	a := m.Attempts("p")
	for b.Loop() {
		a.Ended(b.Context(), telemetry.Succeeded, time.Millisecond)
	}
}
