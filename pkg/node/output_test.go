package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// tree returns what is in a directory, by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPairsGoToFiles writes them in both formats, into a directory that is
// made for it, with tabs and line ends in keys.
func TestPairsGoToFiles(t *testing.T) {
	c := pool(t, 2, mapreduce.Registry{"lines": mapreduce.Of(countLines{})})
	want := map[string]int{"a": 2, "tab\there": 1, "line\nend": 1, "": 3, "back\\slash": 1, "ключ": 1, "\xff": 1}
	var lines []string
	for line, n := range want {
		lines = append(lines, slices.Repeat([]string{line}, n)...)
	}
	for _, format := range []string{"tsv", "json"} {
		dir := filepath.Join(t.TempDir(), "made", "for it")
		spec := job.Spec{Processor: "lines", Input: job.Values(lines...), Partitions: 4, Output: job.Output{Dir: dir, Format: format}}
		r := submit(t, c.Node(0), spec)
		out, err := r.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := pairs[string, int](t, out); len(got) > 0 {
			t.Errorf("%s: got %d pairs besides the files", format, len(got))
		}
		files := tree(t, dir)
		if files["_SUCCESS"] != string(r.ID())+"\n" || len(files) != 5 {
			t.Errorf("%s: got files %q, want four parts and _SUCCESS", format, slices.Sorted(maps.Keys(files)))
		}
		got := map[string]int{}
		for i := range 4 {
			for line := range strings.Lines(files[fmt.Sprintf("part-%05d", i)]) {
				key, n := parse(t, format, strings.TrimSuffix(line, "\n"))
				got[key] += n
			}
		}
		if format == "json" {
			want["\uFFFD"], want["\xff"] = 1, 0 // JSON has no other word for it
			delete(want, "\xff")
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", format, got, want)
		}
	}
}

// TestPartsOfAnEarlierRunGo runs a job again, into the same directory, with
// fewer partitions. What is no part stays.
func TestPartsOfAnEarlierRunGo(t *testing.T) {
	n, dir := one(t, mapreduce.Registry{"lines": mapreduce.Of(countLines{})}), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "part-list"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, partitions := range []int{6, 2} {
		r := submit(t, n, job.Spec{
			Processor: "lines", Input: job.Values("a", "b", "c", "d", "e", "f"), Partitions: partitions, Output: job.Output{Dir: dir, Format: "tsv"},
		})
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, lines := tree(t, dir), 0
		for name, text := range files {
			if name != "_SUCCESS" {
				lines += strings.Count(text, "\n")
			}
		}
		if lines != 6 || len(files) != partitions+2 {
			t.Errorf("got %d lines in %q, want 6 in %d parts, _SUCCESS and part-list", lines, slices.Sorted(maps.Keys(files)), partitions)
		}
	}
}

func parse(t *testing.T, format, line string) (string, int) {
	t.Helper()
	if format == "json" {
		var p struct {
			Key   string `json:"key"`
			Value int    `json:"value"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		return p.Key, p.Value
	}
	key, value, ok := strings.Cut(line, "\t")
	n, err := strconv.Atoi(value)
	if !ok || err != nil {
		t.Errorf("%q is no key, tab and number", line)
	}
	return strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\\`, `\`).Replace(key), n
}

// writes creates a file in a task, and fails the first attempt of every second
// task after it has written.
var writes = mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
	f, err := t.Create(fmt.Sprintf("sub/of-%s.txt", t.ID))
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "%s attempt %d", t.Params, t.Attempt)
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if t.Shard.Index%2 == 1 && t.Attempt == 1 {
		return nil, errors.New("half way")
	}
	return nil, f.Close()
})

// TestFilesAppearWhenTheRunHasSucceeded shows those of the attempts that
// count, and a second run into the same directory replaces them.
func TestFilesAppearWhenTheRunHasSucceeded(t *testing.T) {
	dir := t.TempDir()
	c := pool(t, 2, mapreduce.Registry{"writes": writes})
	for _, params := range []string{"first", "second"} {
		r := submit(t, c.Node(1), job.Spec{
			Processor: "writes", Params: params, Mode: job.Sharded, Shards: 4, Output: job.Output{Dir: dir}, Retry: job.Retry{Backoff: atOnce},
		})
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"_SUCCESS": string(r.ID()) + "\n", "sub/": "",
			"sub/of-m0.txt": params + " attempt 1", "sub/of-m1.txt": params + " attempt 2",
			"sub/of-m2.txt": params + " attempt 1", "sub/of-m3.txt": params + " attempt 2",
		}
		if got := tree(t, dir); !maps.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestARunThatFailsLeavesNoFiles has tasks that succeeded before another
// failed, and what an earlier run has left stays.
func TestARunThatFailsLeavesNoFiles(t *testing.T) {
	dir := t.TempDir()
	n := one(t, mapreduce.Registry{
		"echo": echo,
		"last": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
			if _, err := writes(ctx, t); err != nil || t.Shard.Index < 2 {
				return nil, err
			}
			return nil, mapreduce.Permanent(errors.New("the last one fails"))
		}),
		"name": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			_, err := t.Create(t.Params)
			return nil, err
		}),
	})
	if err := os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := job.Output{Dir: dir}
	fails(t, submit(t, n, job.Spec{Processor: "last", Mode: job.Sharded, Shards: 3, Output: out, Retry: job.Retry{Backoff: atOnce}}), job.Failed, "the last one fails")
	fails(t, submit(t, n, job.Spec{Processor: "name", Params: "x"}), job.Failed, `create "x"`, "no Output.Dir", "name a directory")
	for name, text := range map[string]string{"../x": "below the output directory", "/x": "below the output directory", "_SUCCESS": "taken", "": "1 to 200"} {
		r := submit(t, n, job.Spec{Processor: "name", Params: name, Output: out})
		fails(t, r, job.Failed, "create ", text)
		if got := progress(t, r).Attempts; got != 1 {
			t.Errorf("the file name %q was tried %d times, want once", name, got)
		}
	}
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"kept": ""}) {
		t.Errorf("got %q left, want what was there before", got)
	}
	stillWorks(t, n)
}

// TestARelativeOutputDirIsTheSubmitters makes it absolute where the run is
// submitted, because nodes may have been started anywhere.
func TestARelativeOutputDirIsTheSubmitters(t *testing.T) {
	t.Chdir(t.TempDir())
	n := one(t, mapreduce.Registry{"lines": mapreduce.Of(countLines{})})
	r := submit(t, n, job.Spec{Processor: "lines", Input: job.Values("a"), Partitions: 1, Output: job.Output{Dir: "out", Format: "tsv"}})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, "out"); got["part-00000"] != "a\t1\n" {
		t.Errorf("got %q", got)
	}
	if run, err := r.Get(t.Context()); err != nil || !filepath.IsAbs(run.Spec.Output.Dir) {
		t.Errorf("the run's Output.Dir is %q, %v, want an absolute path", run.Spec.Output.Dir, err)
	}
}

// TestTwoTasksCanNotCreateOneFile fails the run and leaves neither.
func TestTwoTasksCanNotCreateOneFile(t *testing.T) {
	dir := t.TempDir()
	n := one(t, mapreduce.Registry{
		"same": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			_, err := t.Create("same")
			return nil, err
		}),
	})
	fails(t, submit(t, n, job.Spec{Processor: "same", Mode: job.Sharded, Shards: 2, Output: job.Output{Dir: dir}}), job.Failed,
		"two tasks created the file", `"same"`, "Output.Dir", "task's ID")
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("got %q left, want nothing", got)
	}
}

// TestACancelledAttemptLeavesNoFiles has an attempt that creates a file when
// it hears that its run has failed.
func TestACancelledAttemptLeavesNoFiles(t *testing.T) {
	dir, at := t.TempDir(), make(chan struct{})
	n, err := node.Start(t.Context(), node.Config{Slots: 2, Logger: quiet, Processors: mapreduce.Registry{
		"late": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
			if t.Shard.Index == 1 {
				<-at
				return nil, mapreduce.Permanent(errors.New("the run fails"))
			}
			close(at)
			<-ctx.Done()
			_, err := t.Create("late")
			return nil, err
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, submit(t, n, job.Spec{Processor: "late", Mode: job.Sharded, Shards: 2, Output: job.Output{Dir: dir}}), job.Failed, "the run fails")
	if err := n.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("got %q left, want nothing", got)
	}
}
