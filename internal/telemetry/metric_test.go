package telemetry

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// ledger is a meter that adds up what its instruments are told.
type ledger struct {
	noop.Meter
	sums   map[string]float64
	refuse string
}

type ledgers struct {
	noop.MeterProvider
	l *ledger
}

func (p ledgers) Meter(string, ...metric.MeterOption) metric.Meter { return p.l }

func (l *ledger) add(name string, n float64, set attribute.Set) {
	l.sums[name+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] += n
}

func (l *ledger) made(name string) error {
	if name == l.refuse {
		return fmt.Errorf("no %s", name)
	}
	return nil
}

type (
	counter struct {
		noop.Int64Counter
		l    *ledger
		name string
	}
	upDown struct {
		noop.Int64UpDownCounter
		l    *ledger
		name string
	}
	gauge struct {
		noop.Int64Gauge
		l    *ledger
		name string
	}
	histogram struct {
		noop.Float64Histogram
		l    *ledger
		name string
	}
)

func (c counter) Add(_ context.Context, n int64, o ...metric.AddOption) {
	c.l.add(c.name, float64(n), metric.NewAddConfig(o).Attributes())
}

func (c upDown) Add(_ context.Context, n int64, o ...metric.AddOption) {
	c.l.add(c.name, float64(n), metric.NewAddConfig(o).Attributes())
}

func (c gauge) Record(_ context.Context, n int64, o ...metric.RecordOption) {
	c.l.add(c.name, float64(n), metric.NewRecordConfig(o).Attributes())
}

func (c histogram) Record(_ context.Context, n float64, o ...metric.RecordOption) {
	c.l.add(c.name, n, metric.NewRecordConfig(o).Attributes())
}

func (l *ledger) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{l: l, name: name}, l.made(name)
}

func (l *ledger) Int64UpDownCounter(name string, _ ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return upDown{l: l, name: name}, l.made(name)
}

func (l *ledger) Int64Gauge(name string, _ ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	return gauge{l: l, name: name}, l.made(name)
}

func (l *ledger) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{l: l, name: name}, l.made(name)
}

func TestMetricsAddUpByProcessorAndOutcomeAndNothingElse(t *testing.T) {
	l := &ledger{sums: map[string]float64{}}
	m, err := NewMetrics(ledgers{l: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	a := m.Attempts("wordcount")
	a.Ended(ctx, Succeeded, 2*time.Second)
	a.Ended(ctx, Succeeded, time.Second)
	a.Ended(ctx, TimedOut, time.Second)
	a.Ended(ctx, Refused, 0)
	a.Ended(ctx, Outcome(99), time.Second)
	m.Placed(ctx, 1000)
	m.Shuffled(ctx, Spilled, 10)
	m.Shuffled(ctx, Fetched, 20)
	m.Shuffled(ctx, Flow(-1), 20)
	m.Abandoned(ctx, 2)
	m.Abandoned(ctx, -1)
	m.Members(ctx, 3)
	want := map[string]float64{
		"muster.attempts{outcome=succeeded,processor=wordcount}":         2,
		"muster.attempts{outcome=timed_out,processor=wordcount}":         1,
		"muster.attempts{outcome=refused,processor=wordcount}":           1,
		"muster.attempt.duration{outcome=succeeded,processor=wordcount}": 3,
		"muster.attempt.duration{outcome=timed_out,processor=wordcount}": 1,
		"muster.tasks.placed{}":           1000,
		"muster.shuffle.io{flow=spilled}": 10,
		"muster.shuffle.io{flow=fetched}": 20,
		"muster.goroutines.abandoned{}":   1,
		"muster.members{}":                3,
	}
	if !maps.Equal(l.sums, want) {
		t.Errorf("got %v, want %v", l.sums, want)
	}
}

func TestAnInstrumentThatIsRefusedIsNamed(t *testing.T) {
	m, err := NewMetrics(ledgers{l: &ledger{refuse: MetricMembers}})
	if m != nil || err == nil || !strings.Contains(err.Error(), MetricMembers) {
		t.Errorf("got %v, %v, want an error about %s", m, err, MetricMembers)
	}
}

func TestWithoutMetricsNothingHappens(t *testing.T) {
	var m *Metrics
	m.Attempts("p").Ended(t.Context(), Failed, time.Second)
	m.Placed(t.Context(), 1)
	m.Shuffled(t.Context(), Served, 1)
	m.Abandoned(t.Context(), 1)
	m.Members(t.Context(), 1)
}

func TestEveryOutcomeHasAName(t *testing.T) {
	for o := range outcomes {
		if o.String() == "" || o.String() == "unknown" {
			t.Errorf("outcome %d has no name", o)
		}
	}
	if got := Outcome(-1).String(); got != "unknown" {
		t.Errorf("got %q, want unknown", got)
	}
}

func BenchmarkEndedWithoutSDK(b *testing.B) {
	m, err := NewMetrics(nil)
	if err != nil {
		b.Fatal(err)
	}
	a := m.Attempts("p")
	for b.Loop() {
		a.Ended(context.Background(), Succeeded, time.Second)
	}
}
