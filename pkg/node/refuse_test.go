package node_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// TestSubmitRefusesWhatCanNotBe names for each mistake the field, the value
// and the remedy that a newcomer should read. A run that goes on meanwhile
// does not notice.
func TestSubmitRefusesWhatCanNotBe(t *testing.T) {
	open := make(chan struct{})
	n := one(t, mapreduce.Registry{
		"echo": echo, "wordcount": mapreduce.Of(wordCount{}),
		"waits": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			select {
			case <-open:
				return "went on", nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}),
	})
	other := submit(t, n, job.Spec{Processor: "waits"})
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one := job.Values("x")
	for _, c := range []struct {
		name  string
		spec  job.Spec
		texts string // separated by "|"
	}{
		{"no processor", job.Spec{}, "Processor is empty|name the processor"},
		{"unknown processor", job.Spec{Processor: "wordcuont"}, `Processor "wordcuont"|no member of the pool has it|register it|use one of echo, waits, wordcount`},
		{"odd processor", job.Spec{Processor: "../x y"}, `Processor "../x y"|registered`},
		{"odd name", job.Spec{Processor: "echo", Name: "a b"}, `Name "a b"|letters`},
		{"long namespace", job.Spec{Processor: "echo", Namespace: strings.Repeat("n", 101)}, `Namespace "nnn|1 to 100`},
		{"no such mode", job.Spec{Processor: "echo", Mode: 9}, "Mode 9|standalone, map, sharded"},
		{"keyed processor in another mode", job.Spec{Processor: "wordcount", Mode: job.Map, Input: one}, `Mode map|"wordcount"|mode mapreduce`},
		{"other processor in mode mapreduce", job.Spec{Processor: "echo", Mode: job.MapReduce, Input: one}, `Mode mapreduce|"echo"|mapreduce.Of`},
		{"negative partitions", job.Spec{Processor: "wordcount", Partitions: -1, Input: one}, "Partitions -1|or 0 for four per slot"},
		{"too many partitions", job.Spec{Processor: "wordcount", Partitions: 10_001, Input: one}, "Partitions 10001|at most 10000"},
		{"partitions of what has none", job.Spec{Processor: "echo", Partitions: 2, Input: one}, "Partitions|mode mapreduce only|the mode is map|leave it out"},
		{"order of what has none", job.Spec{Processor: "echo", Sorted: true, Input: one}, "Sorted|mode mapreduce only"},
		{"negative shards", job.Spec{Processor: "echo", Mode: job.Sharded, Shards: -7}, "Shards -7|one per worker"},
		{"too many shards", job.Spec{Processor: "echo", Mode: job.Sharded, Shards: job.MaxTasks + 1}, "Shards 10000001|at most 10000000"},
		{"shards of what has none", job.Spec{Processor: "echo", Shards: 3}, "Shards|mode sharded only|the mode is standalone"},
		{"negative timeout", job.Spec{Processor: "echo", RunTimeout: -time.Second}, "RunTimeout -1s|or 0 for no bound"},
		{"negative attempt timeout", job.Spec{Processor: "echo", AttemptTimeout: -1}, "AttemptTimeout -1ns|or 0 for no bound"},
		{"negative task timeout", job.Spec{Processor: "echo", TaskTimeout: -1}, "TaskTimeout -1ns|or 0 for no bound"},
		{"negative losses", job.Spec{Processor: "echo", Retry: job.Retry{Losses: -1}}, "Retry.Losses -1|or 0 for 3"},
		{"one loss", job.Spec{Processor: "echo", Retry: job.Retry{Losses: 1}}, "Retry.Losses 1|at least 2"},
		{"negative attempts", job.Spec{Processor: "echo", Retry: job.Retry{Attempts: -1}}, "Retry.Attempts -1|or 0 for 4"},
		{"odd back-off", job.Spec{Processor: "echo", Retry: job.Retry{Backoff: trigger.Backoff{Factor: 0.5}}}, "Retry.Backoff|Factor 0.5|at least 1"},
		{"odd share", job.Spec{Processor: "echo", Tolerate: job.Tolerance{Share: math.NaN()}}, "Tolerate.Share NaN|from 0 to 1"},
		{"negative concurrency", job.Spec{Processor: "echo", Concurrency: -1}, "Concurrency -1|the node's slots"},
		{"no such strategy", job.Spec{Processor: "echo", Placement: job.Placement{Strategy: "nearest"}}, `Placement.Strategy "nearest"|least-loaded, random, spread or affinity`},
		{"affinity to nothing", job.Spec{Processor: "echo", Placement: job.Placement{Strategy: "affinity"}}, "Placement.Affinity is empty|name the key"},
		{"affinity without its strategy", job.Spec{Processor: "echo", Placement: job.Placement{Affinity: "k"}}, `Placement.Affinity is "k"|make the strategy affinity`},
		{"large params", job.Spec{Processor: "echo", Params: strings.Repeat("p", job.MaxParams+1)}, "Params has 65537 bytes|limit of 65536|file or the input"},
		{"two kinds of input", job.Spec{Processor: "echo", Input: job.Input{Values: []any{1}, Globs: []string{file}}}, "Input has both Values and Globs|use one"},
		{"input of what has none", job.Spec{Processor: "echo", Mode: job.Sharded, Input: one}, "Input is set in mode sharded|use Params"},
		{"a value that can't be encoded", job.Spec{Processor: "echo", Input: job.Values[any]("a", make(chan int))}, "Input.Values[1]|chan int"},
		{"a field that can't be encoded", job.Spec{Processor: "echo", Input: job.Values(struct{ F func() }{})}, "Input.Values[0]|F|func()"},
		{"the same in a keyed run", job.Spec{Processor: "wordcount", Input: job.Values[any]("a", func() {})}, "Input.Values[1]|func()"},
		{"a glob that matches nothing", job.Spec{Processor: "wordcount", Input: job.Lines(dir + "/*.nothing")}, "Input.Globs|*.nothing|no file matches|correct the pattern"},
		{"one of two globs matches nothing", job.Spec{Processor: "wordcount", Input: job.Lines(file, dir+"/gone")}, "Input.Globs|/gone|no file matches"},
		{"a malformed glob", job.Spec{Processor: "wordcount", Input: job.Lines(dir + "/[a")}, "Input.Globs|/[a|not well formed|close every ["},
		{"an empty glob", job.Spec{Processor: "wordcount", Input: job.Lines("")}, "Input.Globs has an empty pattern|name files"},
		{"long globs", job.Spec{Processor: "wordcount", Input: job.Lines(strings.Repeat("g", job.MaxGlobs+1))}, "Input.Globs has 1 patterns|131072|wider patterns"},
		{"a directory", job.Spec{Processor: "wordcount", Input: job.Lines(dir)}, "Input.Globs|is a directory|DIR/**"},
		{"no such format", job.Spec{Processor: "wordcount", Input: one, Output: job.Output{Dir: dir, Format: "xml"}}, `Output.Format "xml"|"tsv"`},
		{"a format and no directory", job.Spec{Processor: "wordcount", Input: one, Output: job.Output{Format: "tsv"}}, `Output.Format is "tsv"|Output.Dir is empty|name a directory`},
		{"a format of what has none", job.Spec{Processor: "echo", Input: one, Output: job.Output{Dir: dir, Format: "tsv"}}, "Output.Format|mode mapreduce only"},
		{"output to a file", job.Spec{Processor: "wordcount", Input: one, Output: job.Output{Dir: file, Format: "tsv"}}, "Output.Dir|is a file|name a directory"},
		{"a broadcast to nobody", job.Spec{Processor: "echo", Mode: job.Broadcast, Placement: job.Placement{Tags: []string{"gpu"}}}, "Mode broadcast needs a worker|1 lacks tag gpu|Placement"},
		{"a shard for each of nobody", job.Spec{Processor: "echo", Mode: job.Sharded, Placement: job.Placement{Nodes: []string{"nobody"}}}, "Shards is 0|1 is not named nobody|say how many Shards"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := n.Submit(t.Context(), c.spec)
			if r != nil {
				t.Errorf("got run %s", r.ID())
			}
			says(t, err, strings.Split(c.texts, "|")...)
		})
	}
	t.Run("large extra", func(t *testing.T) {
		_, err := n.Submit(t.Context(), job.Spec{Processor: "echo"}, node.Extra("blob", strings.Repeat("x", 64<<10)))
		says(t, err, "Key and Extra have 65540 bytes", "limit of 65536", "file or the input")
	})
	close(open)
	out, err := other.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mapreduce.Value[string](t.Context(), out); err != nil || got != "went on" {
		t.Errorf("got %q, %v from the run that was there before, want that it went on", got, err)
	}
	stillWorks(t, n)
}

// TestAFileThatGoesAfterTheSubmitFailsTheRun removes a file between its being
// found and its being read.
func TestAFileThatGoesAfterTheSubmitFailsTheRun(t *testing.T) {
	at, open := make(chan struct{}, 1), make(chan struct{})
	n := one(t, mapreduce.Registry{
		"echo": echo,
		"late": mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			var split mapreduce.Split
			if err := task.Decode(&split); err != nil {
				return nil, err
			}
			select {
			case at <- struct{}{}:
			default:
			}
			<-open
			lines := 0
			for _, err := range split.Lines(ctx) {
				if err != nil {
					return nil, err
				}
				lines++
			}
			return lines, nil
		}),
	})
	file := filepath.Join(t.TempDir(), "fleeting.txt")
	if err := os.WriteFile(file, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := submit(t, n, job.Spec{Processor: "late", Input: job.Lines(file), Retry: job.Retry{Attempts: 2, Backoff: atOnce}})
	<-at
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	close(open)
	fails(t, r, job.Failed, "m0", "fleeting.txt", "no such file")
	stillWorks(t, n)
}

// TestTwoProcessorsCanNotShareAName says who has the name.
func TestTwoProcessorsCanNotShareAName(t *testing.T) {
	r := mapreduce.Registry{}
	if err := r.Register("count", echo); err != nil {
		t.Fatal(err)
	}
	says(t, r.Register("count", mapreduce.Of(wordCount{})), `"count"`, "the name is taken", "another one")
}
