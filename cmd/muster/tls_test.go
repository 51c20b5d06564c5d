package main

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestAKeyIsReplacedInThreeSteps(t *testing.T) {
	keys, step := []string{"old"}, func(keys []string, drop bool) []string {
		t.Helper()
		next, _, err := rotate(keys, drop)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	both := step(keys, false)
	if len(both) != 2 || both[0] != "old" || len(both[1]) != 64 {
		t.Fatalf("first it is %q: want the old key to encrypt", both)
	}
	swapped := step(both, false)
	if len(swapped) != 2 || swapped[0] != both[1] || swapped[1] != "old" {
		t.Fatalf("then it is %q: want the new key to encrypt", swapped)
	}
	if last := step(swapped, true); !slices.Equal(last, both[1:]) {
		t.Errorf("last it is %q: want the new key alone", last)
	}
	if _, _, err := rotate([]string{"only"}, true); err == nil {
		t.Error("the key that encrypts was dropped")
	}
}

func TestWhatIsIssuedStartsANode(t *testing.T) {
	dir := t.TempDir()
	authority, own := filepath.Join(dir, "authority"), filepath.Join(dir, "a")
	for _, args := range [][]string{
		{"tls", "init", authority},
		{"tls", "rotate", authority},
		{"tls", "issue", authority, "a", "--out", own, "--host", "10.0.0.1"},
		{"tls", "show", own},
	} {
		c := command()
		c.SetArgs(args)
		if err := c.Execute(); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	f := nodeFlags{tls: own, log: "info"}
	f.cfg.Gossip, f.cfg.RPC = "0.0.0.0:0", "0.0.0.0:0"
	cfg, err := f.config()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Keys) != 2 || cfg.TLS.Cert != filepath.Join(own, "node.pem") {
		t.Errorf("the node has %d keys and the certificate %s", len(cfg.Keys), cfg.TLS.Cert)
	}
}
