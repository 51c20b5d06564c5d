package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// maker makes instruments and remembers what the meter refused.
type maker struct {
	meter metric.Meter
	err   error
}

func made[T any](k *maker, instrument T, err error) T {
	k.err = errors.Join(k.err, err)
	return instrument
}

func (k *maker) counter(name, unit, text string) metric.Int64Counter {
	i, err := k.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(text))
	return made(k, i, err)
}

func (k *maker) upDown(name, unit, text string) metric.Int64UpDownCounter {
	i, err := k.meter.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	return made(k, i, err)
}

// histogram is of durations, in seconds.
func (k *maker) histogram(name, text string, bounds []float64) metric.Float64Histogram {
	i, err := k.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(text), metric.WithExplicitBucketBoundaries(bounds...))
	return made(k, i, err)
}

func (k *maker) gauge(name, unit, text string) metric.Int64ObservableGauge {
	i, err := k.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
	return made(k, i, err)
}

func (k *maker) seconds(name, text string) metric.Float64ObservableGauge {
	i, err := k.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(text))
	return made(k, i, err)
}

func (k *maker) total(name, unit, text string) metric.Int64ObservableCounter {
	i, err := k.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	return made(k, i, err)
}
