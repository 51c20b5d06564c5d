package telemetrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Metrics is a provider of meters that adds up what their instruments are told.
// The zero value is ready.
type Metrics struct {
	noop.MeterProvider
	// Refuse is the name of an instrument that there can't be.
	Refuse string

	mu    sync.Mutex
	sums  map[string]float64      // guarded by mu
	looks map[int]metric.Callback // guarded by mu
	next  int                     // guarded by mu
}

// Sums returns the sum of each counter, the sum of what each histogram was told,
// and what each gauge shows, by name and attributes as in "muster.fires{outcome=run}".
func (m *Metrics) Sums(ctx context.Context) (map[string]float64, error) {
	m.mu.Lock()
	looks := maps.Clone(m.looks)
	m.mu.Unlock()
	o := observer{of: map[string]float64{}}
	errs := make([]error, 0, len(looks))
	for _, look := range looks {
		errs = append(errs, look(ctx, o))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(o.of, m.sums)
	return o.of, errors.Join(errs...)
}

// Meter returns a meter whose instruments are added up.
func (m *Metrics) Meter(string, ...metric.MeterOption) metric.Meter { return meter{of: m} }

func (m *Metrics) add(name string, n float64, set attribute.Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums == nil {
		m.sums = map[string]float64{}
	}
	m.sums[key(name, set)] += n
}

func key(name string, set attribute.Set) string {
	return name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
}

type meter struct {
	noop.Meter
	of *Metrics
}

func (m meter) made(name string) error {
	if name == m.of.Refuse {
		return fmt.Errorf("no %s", name)
	}
	return nil
}

type (
	counter struct {
		noop.Int64Counter
		of   *Metrics
		name string
	}
	upDown struct {
		noop.Int64UpDownCounter
		of   *Metrics
		name string
	}
	histogram struct {
		noop.Float64Histogram
		of   *Metrics
		name string
	}
	gauge struct {
		noop.Int64ObservableGauge
		name string
	}
	seconds struct {
		noop.Float64ObservableGauge
		name string
	}
	total struct {
		noop.Int64ObservableCounter
		name string
	}
)

func (c counter) Enabled(context.Context) bool   { return true }
func (c histogram) Enabled(context.Context) bool { return true }

func (c counter) Add(_ context.Context, n int64, o ...metric.AddOption) {
	c.of.add(c.name, float64(n), metric.NewAddConfig(o).Attributes())
}

func (c upDown) Add(_ context.Context, n int64, o ...metric.AddOption) {
	c.of.add(c.name, float64(n), metric.NewAddConfig(o).Attributes())
}

func (c histogram) Record(_ context.Context, n float64, o ...metric.RecordOption) {
	c.of.add(c.name, n, metric.NewRecordConfig(o).Attributes())
}

func (g gauge) instrument() string   { return g.name }
func (s seconds) instrument() string { return s.name }
func (t total) instrument() string   { return t.name }

func (m meter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{of: m.of, name: name}, m.made(name)
}

func (m meter) Int64UpDownCounter(name string, _ ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return upDown{of: m.of, name: name}, m.made(name)
}

func (m meter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{of: m.of, name: name}, m.made(name)
}

func (m meter) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return gauge{name: name}, m.made(name)
}

func (m meter) Float64ObservableGauge(name string, _ ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return seconds{name: name}, m.made(name)
}

func (m meter) Int64ObservableCounter(name string, _ ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return total{name: name}, m.made(name)
}

func (m meter) RegisterCallback(look metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	if m.of.looks == nil {
		m.of.looks = map[int]metric.Callback{}
	}
	m.of.next++
	m.of.looks[m.of.next] = look
	return registration{of: m.of, at: m.of.next}, nil
}

type registration struct {
	noop.Registration
	of *Metrics
	at int
}

func (r registration) Unregister() error {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.looks, r.at)
	return nil
}

// observer keeps what one look shows.
type observer struct {
	noop.Observer
	of map[string]float64
}

type named interface{ instrument() string }

func (o observer) ObserveInt64(i metric.Int64Observable, n int64, options ...metric.ObserveOption) {
	o.of[key(i.(named).instrument(), metric.NewObserveConfig(options).Attributes())] = float64(n)
}

func (o observer) ObserveFloat64(i metric.Float64Observable, n float64, options ...metric.ObserveOption) {
	o.of[key(i.(named).instrument(), metric.NewObserveConfig(options).Attributes())] = n
}
