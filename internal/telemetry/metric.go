package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The names of the metrics.
const (
	MetricAttempts        = "muster.attempts"
	MetricAttemptDuration = "muster.attempt.duration"
	MetricTasksPlaced     = "muster.tasks.placed"
	MetricShuffleIO       = "muster.shuffle.io"
	MetricAbandoned       = "muster.goroutines.abandoned"
	MetricMembers         = "muster.members"
)

// Outcome is how an attempt ended, as metrics count it.
type Outcome int

// The outcomes.
const (
	Succeeded Outcome = iota
	Failed
	Canceled
	TimedOut
	Refused
	outcomes
)

var outcomeNames = [outcomes]string{"succeeded", "failed", "canceled", "timed_out", "refused"}

// String returns the outcome as metrics have it.
func (o Outcome) String() string {
	if o < 0 || o >= outcomes {
		return "unknown"
	}
	return outcomeNames[o]
}

// Flow is a way that the bytes of the shuffle take.
type Flow int

// The flows of the shuffle.
const (
	Spilled Flow = iota // to disk, because memory was full
	Served              // to other nodes
	Fetched             // from other nodes
	flows
)

var flowNames = [flows]string{"spilled", "served", "fetched"}

// Metrics is the instruments of one node. All methods may be called at the
// same time, and those of a nil *Metrics do nothing.
type Metrics struct {
	attempts  metric.Int64Counter
	duration  metric.Float64Histogram
	placed    metric.Int64Counter
	shuffle   metric.Int64Counter
	abandoned metric.Int64UpDownCounter
	members   metric.Int64Gauge
	flow      [flows][]metric.AddOption
}

// NewMetrics makes the instruments from p. A nil p is the global provider.
// The error is the provider's, if it refuses one of them.
func NewMetrics(p metric.MeterProvider) (*Metrics, error) {
	var m Metrics
	var errs [6]error
	meter := Meter(p)
	m.attempts, errs[0] = meter.Int64Counter(MetricAttempts, metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that ended, by processor and outcome."))
	m.duration, errs[1] = meter.Float64Histogram(MetricAttemptDuration, metric.WithUnit("s"),
		metric.WithDescription("How long attempts executed, by processor and outcome."),
		metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600))
	m.placed, errs[2] = meter.Int64Counter(MetricTasksPlaced, metric.WithUnit("{task}"),
		metric.WithDescription("Tasks that masters on this node placed on a member."))
	m.shuffle, errs[3] = meter.Int64Counter(MetricShuffleIO, metric.WithUnit("By"),
		metric.WithDescription("Bytes that the shuffle of this node spilled, served and fetched."))
	m.abandoned, errs[4] = meter.Int64UpDownCounter(MetricAbandoned, metric.WithUnit("{goroutine}"),
		metric.WithDescription("Goroutines of attempts that were given up and still run."))
	m.members, errs[5] = meter.Int64Gauge(MetricMembers, metric.WithUnit("{member}"),
		metric.WithDescription("Members of the cluster, as this node sees it."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	for f := range m.flow {
		m.flow[f] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("flow", flowNames[f])))}
	}
	return &m, nil
}

// Placed counts n tasks that were placed.
func (m *Metrics) Placed(ctx context.Context, n int) {
	if m != nil {
		m.placed.Add(ctx, int64(n))
	}
}

// Shuffled counts n bytes that took the way f.
func (m *Metrics) Shuffled(ctx context.Context, f Flow, n int64) {
	if m != nil && f >= 0 && f < flows {
		m.shuffle.Add(ctx, n, m.flow[f]...)
	}
}

// Abandoned counts delta goroutines more that no longer belong to an attempt,
// or, if it is negative, fewer because they returned after all.
func (m *Metrics) Abandoned(ctx context.Context, delta int) {
	if m != nil {
		m.abandoned.Add(ctx, int64(delta))
	}
}

// Members records how many members there are.
func (m *Metrics) Members(ctx context.Context, n int) {
	if m != nil {
		m.members.Record(ctx, int64(n))
	}
}

// Attempts returns what counts the attempts of one processor. Keep it: making
// it costs some memory, using it costs none.
func (m *Metrics) Attempts(processor string) *Attempts {
	if m == nil {
		return nil
	}
	a := &Attempts{m: m}
	for o := range outcomes {
		set := metric.WithAttributeSet(attribute.NewSet(
			attribute.String("processor", processor),
			attribute.String("outcome", o.String()),
		))
		a.add[o] = []metric.AddOption{set}
		a.record[o] = []metric.RecordOption{set}
	}
	return a
}

// Attempts counts the attempts of one processor. The methods of a nil
// *Attempts do nothing.
type Attempts struct {
	m      *Metrics
	add    [outcomes][]metric.AddOption
	record [outcomes][]metric.RecordOption
}

// Ended counts an attempt that ended with o after it executed for took. A
// refused attempt has not executed.
func (a *Attempts) Ended(ctx context.Context, o Outcome, took time.Duration) {
	if a == nil || o < 0 || o >= outcomes {
		return
	}
	a.m.attempts.Add(ctx, 1, a.add[o]...)
	if o != Refused {
		a.m.duration.Record(ctx, took.Seconds(), a.record[o]...)
	}
}
