package work

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestWorkReturnsWhatItSaysItWill asks mapreduce.Local, which runs the same
// processors in one goroutine.
func TestWorkReturnsWhatItSaysItWill(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	text, err := NewText(t.TempDir(), rand.New(rand.NewPCG(seed, seed)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := ledger.Open(dir, "n")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	processors := Registry(l)
	if err := processors.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, w := range []Work{
		Fan(0, 100, 0, 7), Fan(5, 20, 0, 0), Flood(1000, 0), Squares(30, 0, false), Squares(12, 0, true),
		Everywhere(0), Echo("a text"), text.Count(3, 0),
	} {
		t.Run(w.Kind, func(t *testing.T) {
			full := w.Spec.WithDefaults()
			if err := full.Validate(); err != nil {
				t.Fatal(err)
			}
			o := mapreduce.LocalOptions{Values: w.Spec.Input.Values, Params: w.Spec.Params, Shards: w.Spec.Shards, Attempts: 2, Partitions: w.Spec.Partitions}
			if w.Everywhere {
				o.Nodes = []string{"n"}
				w.Want = map[string]string{"n": "n"}
			}
			if len(w.Spec.Input.Globs) > 0 {
				o.Splits = splits(t, w.Spec.Input)
			}
			got := read(t, &w, processors[w.Spec.Processor], o)
			if len(got.Items) != len(w.Want) || len(w.Want) == 0 || len(got.Failed) > 0 {
				t.Errorf("got %d items and %d failures, want %d items", len(got.Items), len(got.Failed), len(w.Want))
			}
			for _, item := range got.Items {
				if want := w.Want[item.Key]; item.Value != want {
					t.Errorf("%s: got %q, want %q", item.Key, item.Value, want)
				}
			}
		})
	}
	if all, err := ledger.Read(dir); err != nil || len(all) == 0 {
		t.Errorf("got %d executions and %v, want some", len(all), err)
	}
}

// TestFanNotesEachAttempt counts the attempts in the ledger: those of the
// tasks that Fan says there are, and the second ones of those that fail.
func TestFanNotesEachAttempt(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir, "n")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := Fan(4, 5, 0, 10)
	read(t, &w, Registry(l)["fan"], mapreduce.LocalOptions{Params: w.Spec.Params, Attempts: 2})
	all, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	done, failed := 0, 0
	for _, x := range all {
		if x.Done() {
			done++
		} else if x.Err != "" {
			failed++
		}
	}
	if done != w.Tasks || failed != 2 {
		t.Errorf("got %d done and %d failed attempts, want %d and 2", done, failed, w.Tasks)
	}
}

func read(t *testing.T, w *Work, p mapreduce.Processor, o mapreduce.LocalOptions) Got {
	t.Helper()
	out, err := mapreduce.LocalRun(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Read(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func splits(t *testing.T, in job.Input) (all []mapreduce.Split) {
	t.Helper()
	for _, glob := range in.Globs {
		paths, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			all = append(all, mapreduce.Split{Ranges: []mapreduce.Range{{Path: p, Length: -1}}})
		}
	}
	return all
}
