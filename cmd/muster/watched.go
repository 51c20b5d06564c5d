package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/node"
)

// watchFlags say how a node may be watched from outside.
type watchFlags struct {
	metrics, otlp string
	pprof         bool
}

func (f *watchFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.metrics, "metrics", "", "address for /metrics, /livez and /readyz over HTTP, as in 127.0.0.1:9464; :9464 is on loopback (default: none)")
	s.StringVar(&f.otlp, "otlp", "", "where spans and metrics go by OTLP over HTTP, as in http://127.0.0.1:4318 (default: where OTEL_EXPORTER_OTLP_ENDPOINT says)")
	s.BoolVar(&f.pprof, "pprof", false, "profiles of the process under /debug/pprof/ of --metrics, which is to be on loopback then")
}

// addr returns where to listen, or "" for nowhere.
func (f *watchFlags) addr(insecure bool) (string, error) {
	if f.metrics == "" {
		if f.pprof {
			return "", fmt.Errorf("--pprof: want --metrics too, which says where: %w", errUsage)
		}
		return "", nil
	}
	host, port, err := net.SplitHostPort(f.metrics)
	if err != nil {
		return "", fmt.Errorf("--metrics %q: want HOST:PORT, as in 127.0.0.1:9464: %w", f.metrics, errUsage)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); f.pprof && !insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("--pprof with --metrics %q: profiles tell what is in memory: want an address on loopback, or --insecure: %w", f.metrics, errUsage)
	}
	return net.JoinHostPort(host, port), nil
}

// watchman answers those who watch over a node, from before it starts until
// after it has stopped.
type watchman struct {
	node      atomic.Pointer[node.Node] // while it is up
	exporters *exporters
	server    http.Server
	addr      string
	done      chan error // nil if nobody can ask
}

// begin begins to watch over the node that cfg is going to be, whose metrics are
// shown elsewhere too if api says so.
func (f *watchFlags) begin(ctx context.Context, cfg *node.Config, api bool) (*watchman, error) {
	addr, err := f.addr(cfg.Insecure)
	if err != nil {
		return nil, err
	}
	w := &watchman{}
	if w.exporters, err = newExporters(ctx, cmp.Or(cfg.Name, hostname()), addr != "" || api, f.otlp, cfg.Logger); err != nil {
		return nil, err
	}
	w.exporters.provide(cfg)
	if addr == "" {
		return w, nil
	}
	if err := w.listen(ctx, addr, f.pprof); err != nil {
		w.exporters.stop(ctx)
		return nil, err
	}
	return w, nil
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

func (w *watchman) listen(ctx context.Context, addr string, profiles bool) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	log := w.exporters.log
	w.addr, w.done = l.Addr().String(), make(chan error, 1)
	w.server = http.Server{
		Handler: w.routes(profiles), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { w.done <- w.server.Serve(l) }()
	log.Info("metrics are shown", telemetry.Addr(w.addr))
	return nil
}

func (w *watchman) routes(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", w.exporters.metrics())
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", w.ready)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// readyTimeout bounds how long a node may take to find the leader before it is
// taken to be not ready.
const readyTimeout = 2 * time.Second

// ready answers whether the node takes work: it is up, stays, and knows who
// leads.
func (w *watchman) ready(rw http.ResponseWriter, r *http.Request) {
	n := w.node.Load()
	if n == nil {
		http.Error(rw, "the node starts, or stops", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := n.Leader(ctx); err != nil {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = rw.Write([]byte("ok\n"))
}

// stop ends the watch. Those who ask at that moment get their answer.
func (w *watchman) stop(ctx context.Context) error {
	w.exporters.stop(ctx)
	if w.done == nil {
		return nil
	}
	err := w.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, w.server.Close())
	}
	if served := <-w.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
