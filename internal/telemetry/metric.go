package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The names of the metrics that are counted where things happen. Reading has
// those that are looked up.
const (
	MetricAttempts        = "muster.attempts"
	MetricAttemptDuration = "muster.attempt.duration"
	MetricTasksPlaced     = "muster.tasks.placed"
	MetricShuffleIO       = "muster.shuffle.io"
	MetricAbandoned       = "muster.goroutines.abandoned"
	MetricRunsEnded       = "muster.runs.ended"
	MetricRunDuration     = "muster.run.duration"
	MetricFires           = "muster.fires"
	MetricFireLateness    = "muster.fire.lateness"
	MetricLeaderChanges   = "muster.leader.changes"
	MetricBulkRuns        = "muster.bulk.runs"
	MetricCommitDuration  = "muster.state.commit.duration"
	MetricApplyDuration   = "muster.state.apply.duration"
	MetricCommands        = "muster.state.commands"
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
	meter metric.Meter

	attempts  metric.Int64Counter
	duration  metric.Float64Histogram
	placed    metric.Int64Counter
	shuffle   metric.Int64Counter
	abandoned metric.Int64UpDownCounter
	flow      [flows][]metric.AddOption

	runs     metric.Int64Counter
	lasted   metric.Float64Histogram
	fires    metric.Int64Counter
	lateness metric.Float64Histogram
	changes  metric.Int64Counter
	bulk     metric.Int64Counter

	commits  metric.Float64Histogram
	applies  metric.Float64Histogram
	commands metric.Int64Counter
}

// The bounds of the histograms, in seconds: of what users wrote, of what waits
// for a clock, and of what waits for disks.
var (
	ofWork  = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600}
	ofRuns  = []float64{0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
	ofFires = []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 3600}
	ofDisks = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}
)

// NewMetrics makes the instruments from p. A nil p is the global provider.
// The error is the provider's, if it refuses one of them.
func NewMetrics(p metric.MeterProvider) (*Metrics, error) {
	m := Metrics{meter: Meter(p)}
	k := maker{meter: m.meter}
	m.attempts = k.counter(MetricAttempts, "{attempt}", "Attempts that ended, by processor and outcome.")
	m.duration = k.histogram(MetricAttemptDuration, "How long attempts executed, by processor and outcome.", ofWork)
	m.placed = k.counter(MetricTasksPlaced, "{task}", "Tasks that masters on this node placed on a member.")
	m.shuffle = k.counter(MetricShuffleIO, "By", "Bytes that the shuffle of this node spilled, served and fetched.")
	m.abandoned = k.upDown(MetricAbandoned, "{goroutine}", "Goroutines of attempts that were given up and still run.")
	m.runs = k.counter(MetricRunsEnded, "{run}", "Runs whose end this node recorded, by state and origin.")
	m.lasted = k.histogram(MetricRunDuration, "How long runs took from their creation to their end, by state.", ofRuns)
	m.fires = k.counter(MetricFires, "{fire}", "Fires that this node settled as the leader, by what became of them.")
	m.lateness = k.histogram(MetricFireLateness, "How long after a fire was due its run was recorded.", ofFires)
	m.changes = k.counter(MetricLeaderChanges, "{term}", "Terms for which this node has come to lead.")
	m.bulk = k.counter(MetricBulkRuns, "{run}", "Runs that bulk operations got to on this node as the leader, by verb and outcome.")
	m.commits = k.histogram(MetricCommitDuration, "From when the leader hands over an entry of the log to when it is on a majority's disks and carried out.", ofDisks)
	m.applies = k.histogram(MetricApplyDuration, "How long this server takes to carry out entries of the log that came together.", ofDisks)
	m.commands = k.counter(MetricCommands, "{command}", "Commands that the leader has recorded.")
	if k.err != nil {
		return nil, k.err
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
