package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// RunEnded counts a run that ended in a state, took after it was created. Its
// origin is why there was the run; empty means that somebody submitted it.
func (m *Metrics) RunEnded(ctx context.Context, state, origin string, took time.Duration) {
	if m == nil || !m.runs.Enabled(ctx) {
		return
	}
	if origin == "" {
		origin = "submit"
	}
	of := attribute.String("state", state)
	m.runs.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(of, attribute.String("origin", origin))))
	m.lasted.Record(ctx, max(took, 0).Seconds(), metric.WithAttributeSet(attribute.NewSet(of)))
}

// Late records how long after a fire was due its run was recorded.
func (m *Metrics) Late(ctx context.Context, late time.Duration) {
	if m != nil {
		m.lateness.Record(ctx, max(late, 0).Seconds())
	}
}

// Settled counts n fires of which the same has become: "run", or a cause why
// they made none, of which there are few.
func (m *Metrics) Settled(ctx context.Context, n int, outcome string) {
	if m != nil && n > 0 && m.fires.Enabled(ctx) {
		m.fires.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", outcome))))
	}
}

// Led counts a term for which the node has come to lead.
func (m *Metrics) Led(ctx context.Context) {
	if m != nil {
		m.changes.Add(ctx, 1)
	}
}

// Bulk counts runs that a bulk operation got to: how many its verb was carried
// out on, and how many that was refused for.
func (m *Metrics) Bulk(ctx context.Context, verb string, done, refused int) {
	if m == nil || !m.bulk.Enabled(ctx) {
		return
	}
	of := attribute.String("verb", verb)
	for outcome, n := range map[string]int{"done": done, "refused": refused} {
		if n > 0 {
			m.bulk.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(of, attribute.String("outcome", outcome))))
		}
	}
}

// Stopwatch is when something began that is timed, if anybody wants to know.
type Stopwatch struct{ began time.Time }

// Begin begins to time an entry of the log. It looks at the clock in place of
// those who must not: what it says goes nowhere but into metrics.
func (m *Metrics) Begin(ctx context.Context) Stopwatch {
	if m == nil || !m.applies.Enabled(ctx) {
		return Stopwatch{}
	}
	return Stopwatch{time.Now()}
}

// Committed counts an entry of so many commands that was on its way since w.
func (m *Metrics) Committed(ctx context.Context, w Stopwatch, commands int) {
	if m != nil && !w.began.IsZero() {
		m.commits.Record(ctx, time.Since(w.began).Seconds())
		m.commands.Add(ctx, int64(commands))
	}
}

// Applied counts entries that were carried out since w.
func (m *Metrics) Applied(ctx context.Context, w Stopwatch) {
	if m != nil && !w.began.IsZero() {
		m.applies.Record(ctx, time.Since(w.began).Seconds())
	}
}
