package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/benchmarks/peers/report"
	"github.com/musterhq/muster/benchmarks/peers/side"
)

// TestMain is the program itself when a test has it do a piece of work.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == doing {
		main()
		return
	}
	os.Exit(m.Run())
}

// tiny is each kind of work in no time to speak of.
var tiny = strings.Fields("-cores 1 -repeat 2 -tasks 20 -payloads 300 -payload-tasks 20 -latencies 3 -text 20KiB -sort 20KiB -rows 500 -keys zipf1.2,one -key-rows 500 -memory 64MiB")

func TestEachSideThatNeedsNoServerDoesEachWorkAndIsChecked(t *testing.T) {
	out, text := t.TempDir(), &bytes.Buffer{}
	args := append([]string{"-dir", t.TempDir(), "-out", out, "-only", "wordcount,sort,groupby,tasks/muster-subtasks,tasks/muster-runs,latency/muster-run,latency/muster-mapreduce"}, tiny...)
	if err := command(t.Context(), args, nil, text, t.Output()); err != nil {
		t.Fatal(err)
	}
	r := readReport(t, out)
	missing := strings.Join(r.Missing, " ")
	kinds := map[string]int{}
	for _, c := range r.Cells {
		kinds[c.Kind]++
		for _, row := range c.Rows {
			if len(row.Samples) != 2 || row.Error != "" || row.Seconds.Median <= 0 {
				t.Errorf("%s: %s: got %d samples, %s, want two", c.ID, row.Side, len(row.Samples), row.Error)
			}
		}
		if !report.Ours(c.Rows[0].Side) {
			t.Errorf("%s: got %s first, want muster", c.ID, c.Rows[0].Side)
		}
	}
	for _, kind := range []string{side.Tasks, side.Latency, side.WordCount, side.Sort, side.GroupBy} {
		if kinds[kind] == 0 {
			t.Errorf("got nothing of %s (left out: %s)", kind, missing)
		}
	}
	page, err := os.ReadFile(filepath.Join(out, "peers.html"))
	if err != nil || !bytes.Contains(page, []byte("<svg")) {
		t.Errorf("got a page of %d bytes, %v, want one with charts", len(page), err)
	}
	if !strings.Contains(text.String(), "muster-subtasks") {
		t.Error("got a text without muster")
	}
}

func readReport(t *testing.T, dir string) (r report.Report) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestServersAreMeasuredWhereTheyAre(t *testing.T) {
	out := t.TempDir()
	dir, err := os.MkdirTemp("", "muster-peers-test-") //nolint:usetesting // PostgreSQL runs as a user who may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-dir", dir, "-out", out, "-only", "tasks,latency/asynq,latency/river"}, append(tiny, "-repeat", "1")...)
	if err := command(t.Context(), args, nil, io.Discard, t.Output()); err != nil {
		t.Fatal(err)
	}
	for _, c := range readReport(t, out).Cells {
		for _, row := range c.Rows {
			if len(row.Samples) != 1 {
				t.Errorf("%s: %s: got %d samples, %s, want one", c.ID, row.Side, len(row.Samples), row.Error)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v left, want nothing", left, err)
	}
}

func TestWhatIsInterruptedLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir, out := t.TempDir(), t.TempDir()
	stop := writer(func() { cancel() }) // with the first line of progress
	args := append([]string{"-dir", dir, "-out", out, "-only", "sort/go,groupby/go-plain-maps"}, tiny...)
	if err := command(ctx, args, nil, io.Discard, stop); err == nil {
		t.Error("got no error, want that it was interrupted")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v left, want nothing", left, err)
	}
	if r := readReport(t, out); len(r.Cells) != 1 || len(r.Cells[0].Rows[0].Samples) != 1 {
		t.Errorf("got %+v, want the one sample that there was", r.Cells)
	}
}

type writer func()

// Write calls it.
func (w writer) Write(b []byte) (int, error) { w(); return len(b), nil }
