package check

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// helpOf returns what muster says of a verb.
func helpOf(t *testing.T, verb ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/muster"}, append(verb, "--help")...)...)
	c.Dir = "../.."
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", verb, err, out)
	}
	return string(out)
}

var flag = regexp.MustCompile(`(?:^|\s)--([a-z-]+)`)

// knows complains of flags in line that a verb does not have.
func knows(t *testing.T, where, help, line string) {
	t.Helper()
	found := flag.FindAllStringSubmatch(line, -1)
	if len(found) == 0 {
		t.Errorf("%s: there are no flags in %q", where, line)
	}
	for _, f := range found {
		if !regexp.MustCompile(`(?m)^ +(-\w, )?--` + f[1] + `\b`).MatchString(help) {
			t.Errorf("%s: muster knows no --%s", where, f[1])
		}
	}
}

func lines(t *testing.T, path, with string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, with) {
			all = append(all, line)
		}
	}
	return all
}

func TestFlagsAreThoseOfTheBinary(t *testing.T) {
	agent, drain, ready := helpOf(t, "agent"), helpOf(t, "agent", "drain"), helpOf(t, "ready")
	for name, p := range pods(decode(t)) {
		c := p.Spec.Containers[0]
		knows(t, name, agent, strings.Join(c.Args, " "))
		knows(t, name+" preStop", drain, strings.Join(c.Lifecycle.PreStop.Exec.Command, " "))
	}
	for _, line := range append(lines(t, "../systemd/muster.service", "ExecStart="), lines(t, "../systemd/muster.service", "MUSTER_AGENT=")...) {
		knows(t, "muster.service", agent, strings.ReplaceAll(line, "MUSTER_AGENT=", " "))
	}
	for _, line := range lines(t, "../../Dockerfile", `CMD ["agent"`) {
		knows(t, "Dockerfile", agent, strings.ReplaceAll(line, `"`, " "))
	}
	if len(lines(t, "../../Dockerfile", `CMD ["/muster", "ready", "127.0.0.1:9464"]`)) != 1 || !strings.Contains(ready, "muster ready [ADDR]") {
		t.Error("Dockerfile: the health check is not one that muster knows")
	}
}

func TestAServiceIsNotKilledBeforeItsGraceIsOver(t *testing.T) {
	b, err := os.ReadFile("../systemd/muster.service")
	if err != nil {
		t.Fatal(err)
	}
	duration := func(of *regexp.Regexp) time.Duration {
		t.Helper()
		found := of.FindSubmatch(b)
		if found == nil {
			t.Fatalf("there is no %s", of)
		}
		d, err := time.ParseDuration(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	stop, grace := duration(regexp.MustCompile(`(?m)^TimeoutStopSec=(\w+)$`)), duration(regexp.MustCompile(`--grace (\w+)`))
	if stop < grace+10*time.Second {
		t.Errorf("it is killed after %v, and its grace is %v", stop, grace)
	}
}

// TestSystemdKnowsWhatTheServiceSays asks systemd, where there is one.
func TestSystemdKnowsWhatTheServiceSays(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	b, err := os.ReadFile("../systemd/muster.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := t.TempDir() + "/muster.service"
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(b), "/usr/local/bin/muster", "/bin/sh")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
