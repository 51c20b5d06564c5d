package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/certs"
	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/pkg/node"
)

// has returns what the doctor found in a check.
func (f findings) has(t *testing.T, check string) finding {
	t.Helper()
	for _, x := range f {
		if x.Check == check {
			return x
		}
	}
	t.Fatalf("got %+v, want the check %q in it", f, check)
	return finding{}
}

// judged checks what the doctor found, and that what is wrong has a remedy.
func judged(t *testing.T, f findings, check, health, text string) {
	t.Helper()
	x := f.has(t, check)
	if x.Health != health || !strings.Contains(x.Found, text) {
		t.Errorf("got %+v, want it %s, with %q", x, health, text)
	}
	if bad := health == warning || health == failed; bad != (x.Remedy != "") {
		t.Errorf("got %+v, want a remedy if something is wrong, and none else", x)
	}
}

func TestTheDoctorLooksAtAMachineAndACluster(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	dir := filepath.Join(t.TempDir(), "not", "yet")
	var f findings
	if err := json.Unmarshal([]byte(visits(t, n, "doctor", "--dir", dir, "-o", "json")), &f); err != nil {
		t.Fatal(err)
	}
	judged(t, f, "configuration", healthy, "")
	judged(t, f, "pool", healthy, "1 nodes")
	judged(t, f, "quorum", healthy, "alice leads, and 0 of 1 voters")
	judged(t, f, "servers", warning, "alice alone")
	judged(t, f, "versions", healthy, node.Version)
	judged(t, f, "clocks", healthy, "")
	judged(t, f, "addresses", healthy, "")
	judged(t, f, "certificate", skipped, "--tls")
	if _, err := os.Stat(dir); err == nil {
		t.Error("the doctor has made the directory")
	}
	shows(t, visits(t, n, "doctor"), "CHECK", "remedy: give three nodes", "alice leads")
}

func TestTheDoctorFailsIfACheckDoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := execute(t, "doctor", "--dir", filepath.Join(file, "a"), "--gossip", "10.0.0.1:7946")
	if err == nil || !strings.Contains(err.Error(), "2 of ") {
		t.Errorf("got %v, want two checks that failed", err)
	}
	shows(t, out, "failed", "set Insecure", "no")
}

func TestTheDoctorLooksAtCertificates(t *testing.T) {
	authority, dir := filepath.Join(t.TempDir(), "authority"), filepath.Join(t.TempDir(), "a")
	for _, args := range [][]string{{"tls", "init", authority}, {"tls", "issue", authority, "a", "--out", dir, "--days", "30"}} {
		if _, _, err := execute(t, args...); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for health, at := range map[string]time.Time{healthy: now, warning: now.Add(20 * 24 * time.Hour), failed: now.Add(40 * 24 * time.Hour)} {
		var f findings
		f.trusted(dir, at)
		judged(t, f, "certificate", health, "20")
		judged(t, f, "secrets", healthy, "")
	}
	if err := os.Chmod(certs.InDir(dir).Key, 0o644); err != nil {
		t.Fatal(err)
	}
	var f findings
	f.trusted(dir, now)
	if fileSystem(dir) != "" {
		judged(t, f, "secrets", failed, "others")
	}
	f = nil
	f.trusted(authority, now)
	judged(t, f, "certificate", failed, "")
}

// TestTheDoctorJudges has findings that a test can't bring about.
func TestTheDoctorJudges(t *testing.T) {
	var f findings
	f.fileSystem("/x", "tmpfs")
	judged(t, f, "file system", warning, "in memory")
	f = nil
	f.fileSystem("/x", "nfs")
	judged(t, f, "file system", warning, "nfs")
	f = nil
	f.openFiles(512, true)
	judged(t, f, "open files", failed, "512")
	f = nil
	f.openFiles(65536, true)
	judged(t, f, "open files", healthy, "65536")

	member := func(name, version string, ahead time.Duration, disk int64, roles ...string) node.About {
		return node.About{Member: membership.Member{Name: name, Version: version, Roles: roles}, Ahead: ahead, Disk: disk}
	}
	all := []node.About{
		member("a", node.Version, 0, 1<<40, "worker", "server"),
		member("b", "0.0.9", -3*time.Second, 100<<20, "worker", "server"),
		member("c", node.Version, 0, 2<<30, "worker"),
	}
	f = nil
	f.servers(all)
	f.versions(all)
	f.clocks(all)
	f.disks(all)
	judged(t, f, "servers", warning, "2 hold the state: a, b")
	judged(t, f, "versions", warning, "0.0.9: b")
	judged(t, f, "clocks", failed, "b by -3s")
	judged(t, f, "disks", failed, "b has 100.0 MiB, c has 2.0 GiB")
	f = nil
	all[0].RPC = "127.0.0.1:1"
	f.reached(t.Context(), all[:1])
	judged(t, f, "addresses", failed, "a at 127.0.0.1:1")
	three := node.Cluster{Leader: "1", Voters: []node.Voter{{ID: "1", Name: "a", InPool: true}, {ID: "2", Name: "b", InPool: true}, {ID: "3", Name: "c"}}, Why: []string{"server c is not in the pool"}}
	f = nil
	f.quorum(&three, nil)
	judged(t, f, "quorum", warning, "a leads, 2 of 3 voters are there, and 0 more may be lost: server c")
	f = nil
	f.quorum(&node.Cluster{}, node.ErrNoLeader)
	judged(t, f, "quorum", failed, "no leader")
	f = nil
	f.servers(nil)
	judged(t, f, "servers", failed, "no member")
}
