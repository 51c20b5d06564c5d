package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestBackupVerbsBringAClusterBack writes a backup, looks at it, makes a
// directory of it, and starts an agent there.
func TestBackupVerbsBringAClusterBack(t *testing.T) {
	dir := t.TempDir()
	n := agent(t, node.Config{Name: "alice", Dir: filepath.Join(dir, "a")})
	muster(t, n, "job", "put", "nightly", "--processor", "sleep", "--params", "1ms")
	file := filepath.Join(dir, "muster.backup")
	var m job.Manifest
	out := visits(t, n, "backup", file, "-o", "json")
	if err := json.Unmarshal([]byte(out), &m); err != nil || m.Index == 0 || m.SHA256 == "" {
		t.Fatalf("got %+v, %v", m, err)
	}
	check, _, err := execute(t, "restore", file, "--check")
	if err != nil {
		t.Fatal(err)
	}
	shows(t, check, m.Cluster, m.SHA256)

	for what, args := range map[string][]string{
		"is there already": {"backup", file, "--join", n.Gossip()},
		"in use":           {"backup", filepath.Join(dir, "other"), "--dir", filepath.Join(dir, "a")},
		"holds no state":   {"backup", filepath.Join(dir, "other"), "--dir", dir},
	} {
		if _, _, err := execute(t, args...); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: got %v, want that it %s", args, err, what)
		}
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := execute(t, "restore", file, "--dir", filepath.Join(dir, "a")); err == nil || !strings.Contains(err.Error(), "move this one away") {
		t.Errorf("got %v, want that the directory holds a state", err)
	}
	last := filepath.Join(dir, "last.backup")
	if _, _, err := execute(t, "backup", last, "--dir", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	for i, file := range []string{file, last} {
		to := filepath.Join(dir, []string{"b", "c"}[i])
		out, _, err := execute(t, "restore", file, "--dir", to, "-o", "json")
		var made node.Restored
		if err != nil || json.Unmarshal([]byte(out), &made) != nil || made.NewCluster == m.Cluster || made.Cluster != m.Cluster {
			t.Fatalf("got %q, %v, want a new cluster of %s", out, err, m.Cluster)
		}
		shows(t, muster(t, agent(t, node.Config{Name: "bob", Dir: to}), "job", "list"), "nightly")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("got %q, %v, want nothing left over", left, err)
	}
}

func TestADamagedBackupIsRefusedByName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "muster.backup")
	if err := os.WriteFile(file, []byte("muster backup 1\n and then something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a")
	for _, args := range [][]string{{"restore", file, "--check"}, {"restore", file, "--dir", dir}} {
		if _, _, err := execute(t, args...); err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%q: got %v, want that the backup is damaged", args, err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a damaged backup left a directory")
	}
	for args, want := range map[string]string{
		"restore":                     "FILE",
		"restore x":                   "--dir is missing",
		"restore x --check --dir y":   "want one of them",
		"backup x":                    "--join is missing",
		"backup x y --join 127.0.0.1": "FILE",
	} {
		if _, _, err := execute(t, strings.Fields(args)...); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a usage error about %q", args, err, want)
		}
	}
}
