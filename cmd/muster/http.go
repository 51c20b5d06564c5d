package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
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
	access     string
	cert, key  string
}

// The values of --http-access.
const (
	accessAuto   = auto
	accessTokens = "tokens"
	accessOpen   = "open"
)

func (f *httpFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.addr, "http", auto, "address for the HTTP API; port 0 picks a free one; auto is 127.0.0.1:8080, where verbs ask, or if that is taken any free port; none serves no API")
	c.Flags().StringVar(&f.base, "http-base", "", "path that the API is under from outside, as in /muster, if a proxy has it under one")
	c.Flags().StringSliceVar(&f.hosts, "http-host", nil, "name under which the API is reached, besides addresses and localhost; repeat for more")
	c.Flags().StringVar(&f.access, "http-access", accessAuto, "who is let in: tokens, only who shows one, see muster token; open, everybody; auto is open on loopback without --tls, where whoever reaches it could join the pool as well, and else tokens")
	c.Flags().StringVar(&f.cert, "http-cert", "", "file with the certificate of the HTTP API, which it needs beyond loopback")
	c.Flags().StringVar(&f.key, "http-key", "", "file with the key of --http-cert")
	c.Flags().BoolVar(&f.proxy, "http-proxy", false, "believe the header X-Forwarded-Prefix, which a proxy in front sets")
}

// The values of --http that are no addresses: what is best, and no API.
const (
	auto = "auto"
	none = "none"
)

// listen listens where it is told to. One agent of a machine can be asked
// without a word about where it is, others are to say it.
func (f *httpFlags) listen(ctx context.Context) (net.Listener, error) {
	var l net.ListenConfig
	if f.addr != auto {
		return l.Listen(ctx, "tcp", f.addr)
	}
	at, err := l.Listen(ctx, "tcp", strings.TrimPrefix(defaultAddr, "http://"))
	if err != nil {
		return l.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return at, nil
}

// check settles who is let in, and refuses to let in everybody who reaches an
// address from elsewhere, as he could run the processors, and to have tokens sent
// in the clear. Insecure says that the network is the operator's alone.
func (f *httpFlags) check(secured, insecure bool) error {
	if f.addr == none {
		return nil
	}
	switch f.access {
	case accessAuto, accessTokens, accessOpen:
	default:
		return fmt.Errorf("--http-access %q: want auto, tokens or open: %w", f.access, errUsage)
	}
	if (f.cert == "") != (f.key == "") {
		return fmt.Errorf("--http-cert %q and --http-key %q: want both, or none: %w", f.cert, f.key, errUsage)
	}
	local, err := f.local()
	if err != nil {
		return fmt.Errorf("--http %q: want HOST:PORT, auto or none: %w: %w", f.addr, err, errUsage)
	}
	if f.access == accessAuto {
		f.access = accessTokens
		if local && !secured {
			f.access = accessOpen
		}
	}
	switch {
	case local || insecure:
	case f.access == accessOpen:
		return fmt.Errorf("--http %q: everybody who reaches it could run the processors: want --http-access tokens, an address on loopback, or --insecure if the network is yours alone: %w", f.addr, errUsage)
	case f.cert == "":
		return fmt.Errorf("--http %q: tokens would be sent in the clear: want --http-cert and --http-key, an address on loopback with a proxy in front, or --insecure if the network is yours alone: %w", f.addr, errUsage)
	}
	return nil
}

// local reports whether the address is reached from this machine alone.
func (f *httpFlags) local() (bool, error) {
	if f.addr == auto {
		return true, nil
	}
	host, _, err := net.SplitHostPort(f.addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), err
}

// says tells people where the API is and who is let in.
func (f *httpFlags) says(s *apiServer, join, secrets string) string {
	if f.access == accessOpen {
		return fmt.Sprintf("The HTTP API is open to everybody who reaches it:\n  %s\nAsk it with\n  muster cluster status%s", s.openapi(), s.flag())
	}
	if secrets != "" {
		join += " --tls " + secrets
	}
	return fmt.Sprintf("The HTTP API is for who shows a token:\n  %s\nThe first is made, once, by\n  muster token bootstrap --join %s\nand shown by\n  MUSTER_TOKEN=... muster cluster status%s", s.openapi(), join, s.flag())
}

// apiServer is the HTTP API while it is served.
type apiServer struct {
	http  *http.Server
	hurry context.CancelFunc // ends the requests that go on
	url   string
	done  chan error
}

// serve begins to serve the API of a node.
func (f *httpFlags) serve(ctx context.Context, n *node.Node, metrics http.Handler, log *slog.Logger) (*apiServer, error) {
	if f.addr == none {
		return nil, nil
	}
	h, err := gateway.Handler(n, gateway.Config{Tokens: f.access == accessTokens, BasePath: f.base, TrustProxy: f.proxy, Hosts: f.hosts, Metrics: metrics, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--http-base: %w: %w", err, errUsage)
	}
	l, err := f.listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("--http %q: %w", f.addr, err)
	}
	scheme, serve := "http", (*http.Server).Serve
	if f.cert != "" {
		if _, err := tls.LoadX509KeyPair(f.cert, f.key); err != nil {
			return nil, errors.Join(fmt.Errorf("--http-cert: %w: %w", err, errUsage), l.Close())
		}
		scheme, serve = "https", func(s *http.Server, l net.Listener) error { return s.ServeTLS(l, f.cert, f.key) }
	}
	going, hurry := context.WithCancel(context.WithoutCancel(ctx))
	s := &apiServer{
		hurry: hurry,
		http: &http.Server{
			BaseContext: func(net.Listener) context.Context { return going },
			Handler:     h, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		url: scheme + "://" + l.Addr().String() + f.base, done: make(chan error, 1),
	}
	go func() { s.done <- serve(s.http, l) }()
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

// flag is what verbs are to be told to ask here, where they would not.
func (s *apiServer) flag() string {
	if s.url == defaultAddr {
		return ""
	}
	return " --addr " + s.url
}
