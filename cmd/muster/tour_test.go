package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestTheTourOfTheAPIGoesAsItSays carries out what docs/API.md says, word by word
// but for the address. One request is refused, and it says which.
func TestTheTourOfTheAPIGoesAsItSays(t *testing.T) {
	if out, err := exec.Command("curl", "--help", "all").Output(); err != nil || !strings.Contains(string(out), "--json") {
		t.Skip("there is no curl that knows --json")
	}
	page, err := os.ReadFile("../../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, _ := strings.Cut(string(page), "## A tour")
	tour, _, _ = strings.Cut(tour, "## What holds")
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(tour, -1)[1:] { // the first is the cluster
		script.WriteString(block[1])
	}
	d := dev{web: httpFlags{addr: "127.0.0.1:0"}, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	ctx, cancel := context.WithCancel(t.Context())
	err = d.run(ctx, io.Discard, func(url string) {
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(script.String(), "http://127.0.0.1:8080", url))
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		refused := regexp.MustCompile(`"type":"urn:muster:problem:([a-z-]+)"`).FindAllStringSubmatch(string(out), -1)
		if len(refused) != 1 || refused[0][1] != "revision" {
			t.Errorf("got %q refused, want one:\n%s", refused, out)
		}
		for _, want := range []string{`"value":"hello you"`, "event: end", "event: reset", `"state":"failed","reason":"m0: it was told to fail"`, `"cancel_reason":"changed my mind"`, `"count":1`, `"state":"done"`, `"health":"healthy"`} {
			if !strings.Contains(string(out), want) {
				t.Errorf("got no %s:\n%s", want, out)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTheTourOfTheCommandLineGoesAsItSays carries out what docs/CLI.md says, word
// by word.
func TestTheTourOfTheCommandLineGoesAsItSays(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	page, err := os.ReadFile("../../docs/CLI.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "muster() { " + asMain + "=1 \"$MUSTER\" \"$@\"; }\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)[1:] { // the first is the cluster
		script += block[1]
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := dev{web: httpFlags{addr: "127.0.0.1:0"}, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	ctx, cancel := context.WithCancel(t.Context())
	err = d.run(ctx, io.Discard, func(url string) {
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "MUSTER="+binary, "MUSTER_ADDR="+url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		shows(t, string(out), "would be new", "default/report  1         new", "hello to=you line=5 of=5", "succeeded", "m0: it was told to fail",
			"next       paused", "the source is down", "What changes in namespace default from now on:", "anybody", "jobs.import", "run.retry", "health   healthy")
	})
	if err != nil {
		t.Error(err)
	}
}
