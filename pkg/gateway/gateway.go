// Package gateway puts the HTTP API of a cluster before a node in your process.
//
//	n, err := node.Start(ctx, node.Config{Processors: mine})
//	h, err := gateway.Handler(n, gateway.Config{})
//	err = http.ListenAndServe("127.0.0.1:8080", h)
//
// Any node will do, whatever it holds: what is asked of one it asks the others.
// docs/API.md shows the API, and package client speaks it.
package gateway

import (
	"cmp"
	"log/slog"
	"net/http"

	"github.com/musterhq/muster/internal/httpapi"
	"github.com/musterhq/muster/pkg/node"
)

// Config says how the API is served. The zero value lets everybody do
// everything, which is for addresses on loopback.
type Config struct {
	// BasePath is what the paths of the API begin with from outside, as in
	// "/muster", if a proxy in front has it under such. It makes no difference
	// whether the proxy takes it away. Empty means nothing.
	BasePath string
	// TrustProxy believes X-Forwarded-Prefix, which any caller can send unless a
	// proxy in front sets it. Links are relative and need neither.
	TrustProxy bool
	// Hosts are the names under which the API is reached, besides addresses and
	// localhost. While everybody may do everything requests to other names are
	// refused: with one that leads here, a page that somebody's browser shows
	// could do so too.
	Hosts []string
	// Tokens lets in only who shows a token of the cluster, as node.CreateToken
	// makes them. Without it everybody who reaches the API may do everything.
	// What is changed is recorded either way.
	Tokens bool
	// Metrics is mounted under /metrics, if it is not nil.
	Metrics http.Handler
	// Logger receives what fails by a fault of the server. Nil means
	// slog.Default.
	Logger *slog.Logger
}

// Handler returns the API of the cluster that n is a member of.
func Handler(n *node.Node, cfg Config) (http.Handler, error) {
	c := httpapi.Config{
		Pool: pool{n}, BasePath: cfg.BasePath, TrustProxy: cfg.TrustProxy, Hosts: cfg.Hosts, Metrics: cfg.Metrics, Log: cfg.Logger,
	}
	known := &tokens{n, cmp.Or(cfg.Logger, slog.Default())}
	if c.Access = known; !cfg.Tokens {
		c.Access, c.Open = everybody{known}, true
	}
	return httpapi.New(c)
}
