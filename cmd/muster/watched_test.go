package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// watchedNode starts a node that is watched as the flags say, and has done one run.
func watchedNode(t *testing.T, f watchFlags) *watchman {
	t.Helper()
	cfg := node.Config{Name: "seen", Processors: processors(), Logger: slog.New(slog.DiscardHandler)}
	w, err := f.begin(t.Context(), &cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	if w.addr != "" {
		if code, body := get(t, w, "/readyz"); code != http.StatusServiceUnavailable {
			t.Errorf("got %d %q before the node is up", code, body)
		}
	}
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.node.Store(n)
	t.Cleanup(func() {
		if err := errors.Join(n.Stop(t.Context()), w.stop(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if _, err := n.Do(t.Context(), job.Spec{Processor: "fanout", Params: `{"tasks":10}`}); err != nil {
		t.Fatal(err)
	}
	return w
}

func get(t *testing.T, w *watchman, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAWatchedNodeShowsItsMetricsAndThatItIsReady(t *testing.T) {
	w := watchedNode(t, watchFlags{metrics: "127.0.0.1:0"})
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n"} {
		if code, body := get(t, w, path); code != http.StatusOK || body != want {
			t.Errorf("%s: got %d %q", path, code, body)
		}
	}
	if _, _, err := execute(t, "ready", w.addr); err != nil {
		t.Errorf("got %v from a node that is ready", err)
	}
	n := w.node.Swap(nil)
	if _, _, err := execute(t, "ready", w.addr); err == nil || !strings.Contains(err.Error(), "the node starts, or stops") {
		t.Errorf("got %v from a node that is not ready, want the reason", err)
	}
	w.node.Store(n)
	code, body := get(t, w, "/metrics")
	for _, want := range []string{
		"\nmuster_attempts_total{outcome=\"succeeded\",processor=\"fanout\"} ",
		"\nmuster_leader 1\n", "\nmuster_members 1\n", "\ngo_goroutines ",
		`target_info{`, `service_instance_id="seen"`, `service_name="muster"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %q in %d: %s", want, code, body)
		}
	}
	if code, _ := get(t, w, "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("got %d for profiles that nobody asked for", code)
	}
}

func TestProfilesAreThereForWhoAsksForThem(t *testing.T) {
	w := watchedNode(t, watchFlags{metrics: "127.0.0.1:0", pprof: true})
	if code, body := get(t, w, "/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("got %d %.80q", code, body)
	}
}

// collector takes what comes by OTLP.
type collector struct {
	mu    sync.Mutex
	paths map[string][]byte // guarded by mu
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths[r.URL.Path] = append(c.paths[r.URL.Path], body...)
}

func TestSpansAndMetricsGoToACollector(t *testing.T) {
	for _, by := range []string{"flag", "environment"} {
		t.Run(by, func(t *testing.T) {
			c := &collector{paths: map[string][]byte{}}
			at := httptest.NewServer(c)
			defer at.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
			f := watchFlags{otlp: at.URL + "/"}
			if by == "environment" {
				f.otlp = ""
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", at.URL)
			}
			w := watchedNode(t, f)
			w.exporters.stop(t.Context())
			c.mu.Lock()
			defer c.mu.Unlock()
			for path, want := range map[string]string{"/v1/traces": "muster.attempt", "/v1/metrics": "muster.state.commit.duration"} {
				if !bytes.Contains(c.paths[path], []byte(want)) {
					t.Errorf("%s got %d bytes without %s", path, len(c.paths[path]), want)
				}
			}
		})
	}
}

func TestACollectorThatIsAwayIsNoReasonNotToStop(t *testing.T) {
	w := watchedNode(t, watchFlags{otlp: "http://127.0.0.1:1"})
	w.exporters.stop(t.Context())
}

func TestWatchFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range []struct {
		f    watchFlags
		want string
	}{
		{watchFlags{metrics: "9464"}, `--metrics "9464"`},
		{watchFlags{pprof: true}, "want --metrics too"},
		{watchFlags{metrics: "0.0.0.0:9464", pprof: true}, "want an address on loopback"},
		{watchFlags{otlp: "collector:4317"}, `--otlp "collector:4317"`},
	} {
		if _, err := c.f.begin(t.Context(), &node.Config{}, false); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.f, err, c.want)
		}
	}
	if addr, err := (&watchFlags{metrics: ":9464", pprof: true}).addr(false); err != nil || addr != "127.0.0.1:9464" {
		t.Errorf("got %s, %v, want loopback", addr, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := destination("http://127.0.0.1:4318"); err == nil || !strings.Contains(err.Error(), "http/protobuf") {
		t.Errorf("got %v, want what is understood", err)
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if to, err := destination("http://127.0.0.1:4318"); err != nil || to != (sends{}) {
		t.Errorf("got %+v, %v of an SDK that is switched off", to, err)
	}
}
