package node_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/certs"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// issued returns the files of a node that an authority in dir issued, which is made
// if there is none.
func issued(t *testing.T, dir, name string) node.TLS {
	t.Helper()
	a, err := certs.OpenAuthority(dir)
	if err != nil {
		a, err = certs.NewAuthority(dir, "muster")
	}
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), name)
	if err := a.Issue(own, name, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	return node.TLS(certs.InDir(own))
}

// TestNodesOfAnAuthorityWorkAndOthersReachNothing has a cluster of three with
// certificates, and strangers that know its key of gossip.
func TestNodesOfAnAuthorityWorkAndOthersReachNothing(t *testing.T) {
	ours, key := t.TempDir(), [][]byte{[]byte("0123456789abcdef")}
	cfg := func(name string, tls node.TLS, join ...string) node.Config {
		return node.Config{
			Name: name, Logger: quiet, Keys: key, TLS: tls, Join: join, Slots: 2, Servers: 3, Dir: filepath.Join(t.TempDir(), name),
			Gossip: "0.0.0.0:0", RPC: "0.0.0.0:0", // which takes both
			Processors: mapreduce.Registry{"echo": echo},
		}
	}
	a := start(t, cfg("a", issued(t, ours, "a")))
	b := start(t, cfg("b", issued(t, ours, "b"), a.Gossip()))
	c := start(t, cfg("c", issued(t, ours, "c"), a.Gossip()))
	for _, n := range []*node.Node{a, b, c} {
		if err := n.WaitMembers(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
	}
	spec := job.Spec{Processor: "echo", Mode: job.Broadcast}
	if got := values[string](t, do(t, c, spec)); len(got) != 3 {
		t.Errorf("the run returned %q, want something of each node", got)
	}

	for name, tls := range map[string]node.TLS{"none": {}, "another": issued(t, t.TempDir(), "d")} {
		t.Run(name, func(t *testing.T) {
			log := make(hears, 10_000)
			d := cfg("d", tls, a.Gossip())
			d.Gossip, d.RPC, d.Client, d.Servers, d.Logger = "127.0.0.1:0", "127.0.0.1:0", true, 0, slog.New(log)
			stranger := start(t, d)
			log.wait(t, "member does not describe itself")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := stranger.Submit(ctx, job.Spec{Processor: "echo"}); err == nil {
				t.Error("a stranger submitted a run")
			}
		})
	}
}

func TestCertificatesThatCantBeAreRefused(t *testing.T) {
	whole := issued(t, t.TempDir(), "a")
	part, gone := whole, whole
	part.Key, gone.Cert = "", whole.Cert+".gone"
	says(t, (node.Config{TLS: part}).Validate(), "TLS has CA", `Key ""`, "all three, or none")
	_, err := node.Start(t.Context(), node.Config{TLS: gone, Logger: quiet})
	says(t, err, "TLS", "node.pem.gone")
	for _, c := range []struct {
		cfg  node.Config
		text string
	}{
		{node.Config{TLS: whole}, "gossip is not encrypted: set Keys"},
		{node.Config{Keys: [][]byte{make([]byte, 16)}}, "RPC is not encrypted: set TLS"},
		{node.Config{}, "neither RPC nor gossip is encrypted"},
	} {
		c.cfg.Gossip = "0.0.0.0:0"
		says(t, c.cfg.Validate(), `Gossip "0.0.0.0:0"`, c.text, "127.0.0.1", "Insecure")
	}
}
