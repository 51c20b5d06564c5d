package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/node"
)

// configured writes a file of settings.
func configured(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// printed returns the settings that config print shows, by name.
func printed(t *testing.T, args ...string) map[string]settled {
	t.Helper()
	out, _, err := execute(t, append([]string{"config", "print", "--origin", "-o", "json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var all []settled
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	by := map[string]settled{}
	for _, s := range all {
		by[s.Setting] = s
	}
	return by
}

// TestFlagsComeBeforeTheEnvironmentTheFileAndDefaults says each of four settings
// in one place more.
func TestFlagsComeBeforeTheEnvironmentTheFileAndDefaults(t *testing.T) {
	path := configured(t, `# of node a
name: file
slots: 3
join: ["10.0.0.1:7946", "10.0.0.2:7946"]
grace: 1m
insecure: true
key: 00112233445566778899aabbccddeeff
`)
	t.Setenv("MUSTER_NAME", "environment")
	t.Setenv("MUSTER_SLOTS", "5")
	t.Setenv("MUSTER_TAG", "gpu,ssd")
	got := printed(t, "--config", path, "--name", "flag")
	for _, want := range []settled{
		{"name", "flag", "flag"},
		{"slots", "5", "MUSTER_SLOTS"},
		{"tag", "gpu,ssd", "MUSTER_TAG"},
		{"join", "10.0.0.1:7946,10.0.0.2:7946", path + ":4"},
		{"grace", "1m0s", path + ":5"},
		{"insecure", "true", path + ":6"},
		{"key", "(not shown)", path + ":7"},
		{"cluster", "muster", "default"},
	} {
		if got[want.Setting] != want {
			t.Errorf("got %+v, want %+v", got[want.Setting], want)
		}
	}
	t.Setenv("MUSTER_CONFIG", path)
	if got := printed(t)["grace"]; got.Origin != path+":5" {
		t.Errorf("got %+v, want it of the file that MUSTER_CONFIG names", got)
	}
	out, _, err := execute(t, "config", "print")
	if err != nil || strings.Contains(out, "00112233") || strings.Contains(out, "ORIGIN") {
		t.Errorf("got %q, %v, want neither keys nor origins", out, err)
	}
}

func TestSettingsThatMakeNoSenseAreRefusedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\nsolts: 3\n":           `:2: there is no setting "solts": was it to be "slots"?`,
		"frobnicate: 3\n":               `there is no setting "frobnicate": see muster agent --help`,
		"config: x\n":                   `there is no setting "config"`,
		"name: a\nslots: many\n":        ":2: ",
		"name: a\nname: b\n":            ":2: name is said before",
		"name: [a, b]\n":                ":1: ",
		"name: {a: b}\n":                ":1: name: want a value or a list",
		"join: [[a]]\n":                 ":1: join: want a list of plain values",
		"- name\n":                      "want settings",
		"name: \"a\n":                   "--config",
		"slots: 3\nlog-space: \"1g\"\n": ":2: ",
	} {
		_, _, err := execute(t, "config", "print", "--config", configured(t, text))
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want a usage error with %q", text, err, want)
		}
	}
	t.Setenv("MUSTER_SLOTS", "many")
	if _, _, err := execute(t, "config", "print"); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "MUSTER_SLOTS") {
		t.Errorf("got %v, want a usage error that names the variable", err)
	}
	if _, _, err := execute(t, "config", "print", "--config", "/nowhere/agent.yaml"); !errors.Is(err, errUsage) {
		t.Errorf("got %v of a file that is not there, want a usage error", err)
	}
}

// TestVerbsFindTheClusterBySettings joins and asks as the environment and a file
// say, and not with the name and addresses that are an agent's.
func TestVerbsFindTheClusterBySettings(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	t.Setenv("MUSTER_JOIN", n.Gossip())
	t.Setenv("MUSTER_GOSSIP", n.Gossip()) // which is taken
	t.Setenv("MUSTER_KEY", "0011")        // which is no filter of runs
	t.Setenv("MUSTER_ADDR", served(t, n, gateway.Config{}))
	t.Setenv("MUSTER_CONFIG", configured(t, "servers: 3\nname: a\nnamespace: reports\naddr: http://nowhere\n"))
	for _, c := range []struct{ args, want string }{
		{"node list", "alice"},
		{"job put nightly --processor sleep --params 1ms", "reports/nightly"},
		{"job run nightly --wait", "reports/nightly@"},
		{"run list", "succeeded"},
	} {
		out, _, err := execute(t, strings.Fields(c.args)...)
		if err != nil {
			t.Fatalf("%s: %v", c.args, err)
		}
		shows(t, out, c.want)
	}
	t.Setenv("MUSTER_KEY", "")
	out, _, err := execute(t, "doctor")
	if err != nil {
		t.Fatal(err)
	}
	shows(t, out, "alice leads")
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"slots", "slots", 0}, {"solts", "slots", 2}, {"slot", "slots", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
