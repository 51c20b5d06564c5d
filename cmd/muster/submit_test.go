package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/node"
)

// pool starts a node that can run what every agent can, and returns its
// gossip address.
func pool(t *testing.T) string {
	t.Helper()
	n, err := node.Start(t.Context(), node.Config{Processors: processors(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop(t.Context()) })
	return n.Gossip()
}

func TestSubmitPrintsWhatTheRunReturns(t *testing.T) {
	join, file := pool(t), filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte("b a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{`fanout --params {"tasks":100}`, "map[sum:4950 tasks:100]\n"},
		{`fanout --params {"tasks":100} -o json`, `{"task":"r0","value":{"sum":4950,"tasks":100}}` + "\n"},
		{"wordcount --partitions 1 --lines " + file, "a\t1\nb\t2\n"},
		{"wordcount --partitions 1 -o json --lines " + file, `{"key":"a","value":1}` + "\n" + `{"key":"b","value":2}` + "\n"},
		{"index --partitions 1 --files " + file, "a\tmap[files:1 first:[" + file + "]]\nb\tmap[files:1 first:[" + file + "]]\n"},
		{"sleep --params 1ms", "1ms\n"},
	} {
		out, progress, err := execute(t, append([]string{"submit", "--join", join}, strings.Fields(c.args)...)...)
		if err != nil || out != c.want || !strings.Contains(progress, "100%") {
			t.Errorf("%s: got %q, %v, and progress %q, want %q", c.args, out, err, progress, c.want)
		}
	}
}

func TestSubmitThatMakesNoSenseIsAUsageError(t *testing.T) {
	for args, want := range map[string]string{
		"":                                      "submit PROCESSOR",
		"fanout":                                "--join is missing",
		"fanout --join here":                    `Join "here"`,
		"fanout --mode odd":                     `mode "odd"`,
		"fanout -o xml":                         `-o "xml"`,
		"fanout --key xyz --join x":             "--key",
		"fanout --join x:1 --value a --lines b": "three kinds of input",
		"wordcount --join x:1 --partitions -1":  "Partitions -1",
		"wordcount --join x:1 --log loud":       `--log "loud"`,
		"wordcount --join x:1 --format tsv --lines /x": "Output.Dir is empty",
	} {
		out, _, err := execute(t, append([]string{"submit"}, strings.Fields(args)...)...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: got %q, %v, want a usage error about %q", args, out, err, want)
		}
	}
}
