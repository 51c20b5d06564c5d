package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/musterhq/muster/internal/telemetry"
)

// report has each instrument of m told something.
func report(t *testing.T, m *telemetry.Metrics) {
	t.Helper()
	ctx := t.Context()
	m.Attempts("p").Ended(ctx, telemetry.Succeeded, time.Second)
	m.Placed(ctx, 1)
	m.Shuffled(ctx, telemetry.Spilled, 1)
	m.Abandoned(ctx, 1)
	m.RunEnded(ctx, "succeeded", "", time.Second)
	m.Bulk(ctx, "cancel", 1, 1)
	m.Late(ctx, time.Second)
	m.Settled(ctx, 1, "run")
	m.Led(ctx)
	m.Committed(ctx, m.Begin(ctx), 1)
	m.Applied(ctx, m.Begin(ctx))
	if _, err := m.Watch(func() telemetry.Reading { return telemetry.Reading{Leads: true, Size: 1} }); err != nil {
		t.Fatal(err)
	}
}

// names returns what in the file at path looks like what re says.
func names(t *testing.T, path string, re *regexp.Regexp) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, found := range re.FindAll(b, -1) {
		all[string(found)] = true
	}
	if len(all) == 0 {
		t.Errorf("%s names nothing like %s", path, re)
	}
	return all
}

func TestDashboardsAndAlertsNameMetricsThatThereAre(t *testing.T) {
	e, err := newExporters(t.Context(), "n", true, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop(t.Context())
	m, err := telemetry.NewMetrics(e.meters)
	if err != nil {
		t.Fatal(err)
	}
	report(t, m)
	page := httptest.NewRecorder()
	e.metrics().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	// Those of a counter and a gauge as they are, those of a histogram in parts.
	shown := map[string]bool{}
	for line := range strings.Lines(page.Body.String()) {
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		shown[name] = true
	}
	for _, path := range []string{"deploy/grafana/muster.json", "deploy/prometheus/alerts.yaml"} {
		for name := range names(t, path, regexp.MustCompile(`\b(muster|process|go)_[a-z_]+\b`)) {
			if !shown[name] {
				t.Errorf("%s names %s, which there is not", path, name)
			}
		}
	}
}

func TestThePageForOperatorsHasEveryMetric(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	m, err := telemetry.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	report(t, m)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	said := names(t, "docs/OPERATING.md", regexp.MustCompile("`muster\\.[a-z.]+`"))
	for _, name := range []string{telemetry.SpanFire, telemetry.SpanRun, telemetry.SpanTask, telemetry.SpanAttempt} {
		if !said["`"+name+"`"] {
			t.Errorf("span %s is not in docs/OPERATING.md", name)
		}
		delete(said, "`"+name+"`")
	}
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if !said["`"+metric.Name+"`"] {
				t.Errorf("metric %s is not in docs/OPERATING.md", metric.Name)
			}
			delete(said, "`"+metric.Name+"`")
		}
	}
	delete(said, "`muster.service`") // that of systemd
	for name := range said {
		t.Errorf("docs/OPERATING.md names %s, which there is not", name)
	}
}
