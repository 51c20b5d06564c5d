package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/node"
)

// exporters is where the spans and measurements of a node go. What is nil goes
// nowhere.
type exporters struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	shown  *prometheus.Registry
	log    *slog.Logger
}

// newExporters shows metrics if show says so, and sends metrics and spans by
// OTLP to endpoint or, if that is empty, to where the environment says.
func newExporters(ctx context.Context, name string, show bool, endpoint string, log *slog.Logger) (*exporters, error) {
	e := &exporters{log: log}
	to, err := destination(endpoint)
	if err != nil || !show && to == (sends{}) {
		return e, err
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "muster"),
			attribute.String("service.version", node.Version),
			attribute.String("service.instance.id", name),
		),
		resource.WithFromEnv(), // which is the last word
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	var readers []sdkmetric.Option
	if show {
		reader, err := e.show()
		if err != nil {
			return nil, err
		}
		readers = append(readers, sdkmetric.WithReader(reader))
	}
	if to.metrics {
		exporter, err := otlpmetrichttp.New(ctx, to.metricOptions()...)
		if err != nil {
			return nil, fmt.Errorf("metrics by OTLP: %w", err)
		}
		readers = append(readers, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	if len(readers) > 0 {
		// Exemplars would need a span where something is counted, and cost more
		// than the counting.
		e.meters = sdkmetric.NewMeterProvider(append(readers, sdkmetric.WithResource(about), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))...)
	}
	if to.spans {
		exporter, err := otlptracehttp.New(ctx, to.spanOptions()...)
		if err != nil {
			e.stop(ctx)
			return nil, fmt.Errorf("spans by OTLP: %w", err)
		}
		e.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	}
	otel.SetErrorHandler(&troubles{log: log})
	return e, nil
}

// show has metrics kept for those who ask for them, those of the process itself
// among them.
func (e *exporters) show() (sdkmetric.Reader, error) {
	e.shown = prometheus.NewRegistry()
	e.shown.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := prometheusexporter.New(prometheusexporter.WithRegisterer(e.shown), prometheusexporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics for Prometheus: %w", err)
	}
	return reader, nil
}

// metrics answers with the metrics as Prometheus reads them, whatever path it is
// mounted under. It is nil if they are not kept for that.
func (e *exporters) metrics() http.Handler {
	if e.shown == nil {
		return nil
	}
	return promhttp.HandlerFor(e.shown, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 8, Timeout: 10 * time.Second, EnableOpenMetrics: true,
	})
}

// provide lets a node report to e.
func (e *exporters) provide(cfg *node.Config) {
	if e.traces != nil {
		cfg.TracerProvider = e.traces
	}
	if e.meters != nil {
		cfg.MeterProvider = e.meters
	}
}

// stopTimeout bounds how long the last spans and measurements may take to get to
// where they go: a collector that is away keeps no node from stopping.
const stopTimeout = 3 * time.Second

// stop sends what is left. What can't be sent is lost, which the log says.
func (e *exporters) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if e.traces != nil {
		err = e.traces.Shutdown(ctx)
	}
	if e.meters != nil {
		err = errors.Join(err, e.meters.Shutdown(ctx))
	}
	if err != nil {
		e.log.Warn("the last spans and measurements are lost", telemetry.Err(err))
	}
}

// sends is what is sent by OTLP. Without an endpoint it goes to where the
// environment says.
type sends struct {
	spans, metrics bool
	endpoint       string
}

// destination reads --otlp and the variables that OpenTelemetry knows for where
// to send what; those about headers, certificates and the like the exporters
// read themselves.
func destination(endpoint string) (to sends, err error) {
	if disabled := os.Getenv("OTEL_SDK_DISABLED"); strings.EqualFold(disabled, "true") {
		return sends{}, nil
	}
	all := endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
	to = sends{
		spans:    (all || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "") && os.Getenv("OTEL_TRACES_EXPORTER") != "none",
		metrics:  (all || os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != "") && os.Getenv("OTEL_METRICS_EXPORTER") != "none",
		endpoint: strings.TrimSuffix(endpoint, "/"),
	}
	if endpoint != "" {
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return to, fmt.Errorf("--otlp %q: want a URL, as in http://127.0.0.1:4318: %w", endpoint, errUsage)
		}
	}
	for _, of := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"} {
		if p := os.Getenv(of); (to.spans || to.metrics) && p != "" && p != "http/protobuf" {
			return to, fmt.Errorf("%s %q: want http/protobuf, which collectors take on port 4318: %w", of, p, errUsage)
		}
	}
	return to, nil
}

func (s sends) spanOptions() []otlptracehttp.Option {
	if s.endpoint == "" {
		return nil
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(s.endpoint + "/v1/traces")}
}

func (s sends) metricOptions() []otlpmetrichttp.Option {
	if s.endpoint == "" {
		return nil
	}
	return []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(s.endpoint + "/v1/metrics")}
}

// troubles logs what goes wrong on the way out, the same thing once a while: a
// collector that is away for a night is no reason to fill a disk.
type troubles struct {
	log *slog.Logger

	mu   sync.Mutex
	said time.Time // guarded by mu
}

const troubleEvery = time.Minute

// Handle logs err, unless another was a moment ago.
func (t *troubles) Handle(err error) {
	t.mu.Lock()
	now := time.Now()
	again := now.Sub(t.said) < troubleEvery
	if !again {
		t.said = now
	}
	t.mu.Unlock()
	if !again {
		t.log.Warn("spans or measurements are lost on their way out", telemetry.Err(err))
	}
}
