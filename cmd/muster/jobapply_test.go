package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/node"
)

// written writes a file of a directory of the test, and returns its path.
func written(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestApplyDeclaresWhatDiffers applies files in every form, again, and changed.
func TestApplyDeclaresWhatDiffers(t *testing.T) {
	n, dir := agent(t, node.Config{Name: "alice"}), t.TempDir()
	written(t, dir, "a.yaml", `# nightly
name: nightly
processor: sleep
params: 1ms
schedule: {when: 30 2 * * *, zone: Europe/Berlin, start: 2026-01-01T00:00:00Z}
---
# nothing but a comment
---
namespace: reports
processor: sleep
`)
	written(t, dir, "b.json", "{\n\t\"$schema\": \"x\",\n\t\"name\": \"third\", \"processor\": \"sleep\", \"input\": {\"values\": [1, \"two\"]}}")
	written(t, dir, "c.txt", "no job")
	shows(t, muster(t, n, "job", "apply", "-f", dir, "--dry-run"), "default/nightly", "would be new", "reports/sleep", "default/third", "  due ")
	if out := muster(t, n, "job", "list", "-A", "-o", "name"); out != "" {
		t.Errorf("got %q declared by a dry run", out)
	}
	shows(t, muster(t, n, "job", "apply", "-f", dir), "default/nightly  1         new", "reports/sleep    1         new")
	if out := muster(t, n, "job", "apply", "-f", dir); strings.Count(out, "unchanged") != 3 {
		t.Errorf("got %q of what was declared already", out)
	}
	changed := written(t, t.TempDir(), "a.yml", "jobs:\n- name: nightly\n  processor: sleep\n  schedule: {when: 0 3 * * *, zone: Europe/Berlin}\n  retry: {attempts: 2}\n")
	for _, dry := range []bool{true, false} {
		args := []string{"job", "apply", "-f", changed}
		if dry {
			args = append(args, "--dry-run")
		}
		shows(t, muster(t, n, args...), "changed", `params: "1ms" -> -`, "retry.attempts: - -> 2", `schedule.when: "30 2 * * *" -> "0 3 * * *"`, "schedule.start: ")
	}
	var made api.Imported
	if err := json.Unmarshal([]byte(muster(t, n, "job", "apply", "-f", changed, "-o", "json")), &made); err != nil || len(made.Jobs) != 1 || made.Jobs[0].Changed || made.Jobs[0].Revision != 2 {
		t.Errorf("got %+v, %v, want the answer of the API", made, err)
	}
	exported := written(t, t.TempDir(), "all.yaml", muster(t, n, "job", "export"))
	shows(t, muster(t, n, "job", "apply", "-f", exported, "--dry-run"), "default/nightly  2         unchanged")
}

// TestApplySaysWhereAFileIsWrong names the file, the line and the field, and
// declares nothing.
func TestApplySaysWhereAFileIsWrong(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	at := served(t, n, gateway.Config{})
	for text, want := range map[string]string{
		"processor: sleep\nschedule:\n  whenn: x\n":                         `:3: schedule.whenn: there is no such field: was it to be "when"?`,
		"processor: sleep\nlimits:\n- {by: job}\n- {runningg: 1}\n":         `:4: limits.runningg: there is no such field: was it to be "running"?`,
		"processor: sleep\nfrobnicate: 1\n":                                 ":2: frobnicate: there is no such field",
		"processor: sleep\nshards: many\n":                                  ":1: shards: want a number, not string",
		"processor: sleep\nrun_timeout: soon\n":                             `duration "soon"`,
		"- processor: sleep\n":                                              ":1: want a job",
		"processor: \"sleep\n":                                              "a.yaml: yaml",
		"processor: sleep\n---\nprocessor: sleep\n":                         ":3: job default/sleep is in ",
		"processor: sleep\n---\nname: x\nprocessor: s\nschedule: {when: y}": "a.yaml:3: schedule.when: ",
		"name: x\n": "a.yaml:1: processor: ",
	} {
		_, _, err := execute(t, "job", "apply", "-f", written(t, t.TempDir(), "a.yaml", text), "--addr", at)
		if exitCode(err, false) != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if out := muster(t, n, "job", "list", "-o", "name"); out != "" {
		t.Errorf("got %q declared", out)
	}
	for _, args := range []string{"job apply", "job apply -f /nowhere"} {
		if _, _, err := execute(t, append(strings.Fields(args), "--addr", at)...); !errors.Is(err, errUsage) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

// TestApplySaysThatValuesOfAnInputAreOthers and that those which were exported are
// not.
func TestApplySaysThatValuesOfAnInputAreOthers(t *testing.T) {
	n, dir := agent(t, node.Config{Name: "alice"}), t.TempDir()
	write := func(text string) { written(t, dir, "job.yaml", text) }
	file := filepath.Join(dir, "job.yaml")
	write("name: naps\nprocessor: sleep\ninput:\n  values: [1, 2.0]\n")
	shows(t, muster(t, n, "job", "apply", "-f", file), "new")
	write(muster(t, n, "job", "export"))
	shows(t, muster(t, n, "job", "apply", "-f", file, "--dry-run"), "unchanged")
	write("name: naps\nprocessor: sleep\ninput:\n  values: [1, 2.5]\n")
	shows(t, muster(t, n, "job", "apply", "-f", file, "--dry-run"), "would be changed", "input.values: [1,2.0] -> [1,2.5]")
	write("name: naps\nprocessor: sleep\n")
	shows(t, muster(t, n, "job", "apply", "-f", file, "--dry-run"), "would be changed", "input.values: [1,2.0] -> -")
}
