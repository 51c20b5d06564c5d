package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestByteSizesReadAsTheyAreWritten(t *testing.T) {
	cases := map[string]int64{
		"0": 0, "17": 17, "17B": 17, "64k": 64_000, "64KiB": 64 << 10, "256MiB": 256 << 20, "256 MiB": 256 << 20,
		"1GB": 1e9, "1gb": 1e9, "1.5GiB": 3 << 29, "2T": 2e12, "1Ti": 1 << 40,
	}
	for text, want := range cases {
		var got byteSize
		if err := got.Set(text); err != nil || int64(got) != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.2.3", "12 parsecs", "1e3", "9EB", "99999999TB", "NaN", "Inf", "0x10"} {
		got := byteSize(math.MinInt64)
		if err := got.Set(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		} else if got != math.MinInt64 {
			t.Errorf("%q: got %d with the error, want the value as it was", text, got)
		}
	}
}

// execute runs the command line.
func execute(t *testing.T, args ...string) (out, progress string, err error) {
	t.Helper()
	var o, p bytes.Buffer
	c := command()
	c.SetOut(&o)
	c.SetErr(&p)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), p.String(), err
}

func TestBenchPrintsOneObject(t *testing.T) {
	out, progress, err := execute(t, "bench", "noop", "--nodes", "2", "--tasks", "100", "--dir", t.TempDir(), "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Workload     string
		Nodes, Items int
		Checked      bool
	}
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&got); err != nil || d.More() {
		t.Fatalf("got %q, want one object", out)
	}
	if got.Workload != "noop" || got.Nodes != 2 || got.Items != 100 || !got.Checked {
		t.Errorf("got %+v, want what was asked for", got)
	}
	if progress == "" {
		t.Error("got no progress on standard error, want some")
	}
}

func TestBenchThatMakesNoSenseIsAUsageError(t *testing.T) {
	for want, args := range map[string][]string{
		"noop, idle":      {"bench", "nope"},
		"-o":              {"bench", "noop", "-o", "xml"},
		"--log":           {"bench", "noop", "--log", "loud"},
		"bytes":           {"bench", "sort", "--bytes", "many"},
		`["sort" "noop"]`: {"bench", "sort", "noop"},
	} {
		out, _, err := execute(t, args...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%v: got %q, %v, want a usage error about %q", args, out, err, want)
		}
	}
}

func TestBenchWithoutAWorkloadListsThem(t *testing.T) {
	out, _, err := execute(t, "bench")
	for _, name := range []string{"noop", "runs", "wordcount", "sort", "index", "groupby"} {
		if err != nil || !strings.Contains(out, "\n  "+name+"\n") {
			t.Errorf("got %q, %v, want %s in it", out, err, name)
		}
	}
}
