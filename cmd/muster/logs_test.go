package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestRunLogsShowsFollowsAndDownloadsLines asks for the lines of a run in every
// way.
func TestRunLogsShowsFollowsAndDownloadsLines(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{
		Name: "alice", Logger: slog.New(slog.DiscardHandler),
		Processors: mapreduce.Registry{"talks": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
			for _, text := range []string{"one", "two", "three"} {
				task.Log.Info(text, slog.Int("n", len(text))) //nolint:sloglint // the test reads it again
			}
			task.Log.Warn("four")
			return nil, nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop(t.Context()) })
	r, err := n.Submit(t.Context(), job.Spec{Processor: "talks"})
	if err == nil {
		_, err = r.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	id := string(r.ID())
	all := muster(t, n, "run", "logs", id)
	shows(t, all, "INFO  alice m0#1 one n=3\n", "WARN  alice m0#1 four\n")
	for _, c := range []struct {
		args string
		want []string
	}{
		{"-f", []string{"one", "two", "three", "four"}},
		{"--lines 2", []string{"three", "four"}},
		{"-f --lines 2", []string{"three", "four"}},
		{"--level warn", []string{"four"}},
		{"--grep ^t --task m0 --node alice --attempt 1", []string{"two", "three"}},
		{"--text n=5", []string{"three"}},
		{"--task m1", nil},
	} {
		out := muster(t, n, append([]string{"run", "logs", id, "-o", "json"}, strings.Fields(c.args)...)...)
		var got []string
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var l api.LogLine
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			if l.Task != "m0" || l.Seq == 0 || l.Cursor == "" {
				t.Errorf("got %+v", l)
			}
			got = append(got, l.Text)
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: got %q, want %q", c.args, got, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "lines")
	at := served(t, n, gateway.Config{})
	_, told, err := execute(t, "run", "logs", id, "--download", file, "--addr", at)
	b, _ := os.ReadFile(file)
	if sum := sha256.Sum256(b); err != nil || string(b) != all || !strings.Contains(told, hex.EncodeToString(sum[:])) {
		t.Errorf("got %q in the file, %q, %v", b, told, err)
	}
	for _, bad := range []string{"--level loud", "--grep (", "--task 7", "-f --task 7"} {
		_, _, err := execute(t, append([]string{"run", "logs", id, "--addr", at}, strings.Fields(bad)...)...)
		if exitCode(err, false) != exitUsage {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	if _, _, err := execute(t, "run", "logs", "default/none@1", "--addr", at); exitCode(err, false) != exitNotFound {
		t.Errorf("got %v for a run that there is not", err)
	}
}
