package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/node"
)

// httpFlags say where the HTTP API is served.
type httpFlags struct {
	addr, base string
	proxy      bool
	hosts      []string
}

func (f *httpFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.addr, "http", "127.0.0.1:0", "address for the HTTP API, on loopback; port 0 picks a free one; none serves no API")
	c.Flags().StringVar(&f.base, "http-base", "", "path that the API is under from outside, as in /muster, if a proxy has it under one")
	c.Flags().StringSliceVar(&f.hosts, "http-host", nil, "name under which the API is reached, besides addresses and localhost; repeat for more")
	c.Flags().BoolVar(&f.proxy, "http-proxy", false, "believe the header X-Forwarded-Prefix, which a proxy in front sets")
}

// none is the --http of a node that serves no API.
const none = "none"

// check refuses to let everybody in: whoever reaches the address can run the
// processors.
func (f *httpFlags) check() error {
	if f.addr == none {
		return nil
	}
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return fmt.Errorf("--http %q: want HOST:PORT, or none: %w: %w", f.addr, err, errUsage)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--http %q: everybody who reaches it could run the processors: want an address on loopback, as in 127.0.0.1:8080, or a proxy in front of that which asks who comes: %w", f.addr, errUsage)
	}
	return nil
}

// apiServer is the HTTP API while it is served.
type apiServer struct {
	http  *http.Server
	hurry context.CancelFunc // ends the requests that go on
	url   string
	done  chan error
}

// serve begins to serve the API of a node.
func (f *httpFlags) serve(ctx context.Context, n *node.Node, log *slog.Logger) (*apiServer, error) {
	if f.addr == none {
		return nil, nil
	}
	h, err := gateway.Handler(n, gateway.Config{BasePath: f.base, TrustProxy: f.proxy, Hosts: f.hosts, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--http-base: %w: %w", err, errUsage)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.addr)
	if err != nil {
		return nil, fmt.Errorf("--http %q: %w", f.addr, err)
	}
	going, hurry := context.WithCancel(context.WithoutCancel(ctx))
	s := &apiServer{
		hurry: hurry,
		http: &http.Server{
			BaseContext: func(net.Listener) context.Context { return going },
			Handler:     h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		url: "http://" + l.Addr().String() + f.base, done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// patience is how long requests may go on when the node is to stop. Those that
// follow something would do so for ever.
const patience = time.Second

// stop lets requests come to their end.
func (s *apiServer) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	defer time.AfterFunc(patience, s.hurry).Stop()
	defer s.hurry()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// openapi is where the API describes itself.
func (s *apiServer) openapi() string { return s.url + api.Prefix + "/openapi.yaml" }
