package node_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// plant makes files with the given contents, those called .gz compressed.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		b := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			_, _ = w.Write(b)
			_ = w.Close()
			b = packed.Bytes()
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wholeFiles returns the size of each file by its name's end.
type wholeFiles struct{}

func (wholeFiles) Map(_ context.Context, f mapreduce.File, emit func(string, int)) error {
	emit(filepath.Base(f.Path), len(f.Data))
	return nil
}

func (wholeFiles) Reduce(ctx context.Context, _ string, sizes iter.Seq[int]) (int, error) {
	return wordCount{}.Reduce(ctx, "", sizes)
}

// TestGlobsFindFilesAtAnyDepth counts the words of plain and compressed files,
// cut as small as can be, each file once however many patterns match it.
func TestGlobsFindFilesAtAnyDepth(t *testing.T) {
	dir := plant(t, map[string]string{
		"a.txt": "one\ntwo\n", "b.txt": "two\r\nthree", "deep/er/still/c.txt": "three three", "deep/packed.txt.gz": "four\nfour\nfour\n",
		"deep/er/four.txt": "four", "no.md": "never", "empty.txt": "", "odd[1].txt": "odd",
	})
	t.Chdir(dir)
	c := pool(t, 2, mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{}), "whole": mapreduce.Of(wholeFiles{})})
	for _, k := range []struct {
		globs []string
		want  map[string]int
	}{
		{[]string{dir + "/*.txt"}, map[string]int{"one": 1, "two": 2, "three": 1, "odd": 1}},
		{[]string{dir + "/**/*.txt"}, map[string]int{"one": 1, "two": 2, "three": 3, "four": 1, "odd": 1}},
		{[]string{dir + "/**/*.txt*", dir + "/a.txt", "a.txt", "./deep/../a.txt"}, map[string]int{"one": 1, "two": 2, "three": 3, "four": 4, "odd": 1}},
		{[]string{"deep/**"}, map[string]int{"three": 2, "four": 4}},
		{[]string{dir + "/{a,b}.txt"}, map[string]int{"one": 1, "two": 2, "three": 1}},
		{[]string{dir + "/odd[1].txt"}, map[string]int{"odd": 1}},
		{[]string{dir + "/empty.txt"}, map[string]int{}},
	} {
		for _, split := range []int64{0, 1} {
			spec := job.Spec{Processor: "wordcount", Input: job.Lines(k.globs...), Partitions: 3}
			spec.Input.SplitBytes = split
			got, err := mapreduce.Collect[string, int](t.Context(), do(t, c.Node(0), spec))
			if err != nil || !maps.Equal(got, k.want) {
				t.Errorf("%q in splits of %d: got %v, %v, want %v", k.globs, split, got, err, k.want)
			}
		}
	}
	sizes, err := mapreduce.Collect[string, int](t.Context(), do(t, c.Node(1), job.Spec{Processor: "whole", Input: job.Files(dir + "/deep/**")}))
	if want := map[string]int{"c.txt": 11, "packed.txt.gz": 15, "four.txt": 4}; err != nil || !maps.Equal(sizes, want) {
		t.Errorf("got %v, %v, want %v", sizes, err, want)
	}
}

// TestATreeIsNotLeftByItsLinks follows a link that is named and none that is
// found below a **, and says what it has looked for in a tree without files.
func TestATreeIsNotLeftByItsLinks(t *testing.T) {
	dir := plant(t, map[string]string{"tree/a.txt": "one", "tree/sub/b.txt": "two", "elsewhere/c.txt": "three", "elsewhere/only/d/e.txt": "five"})
	for link, to := range map[string]string{"tree/again.txt": "a.txt", "tree/out": "../elsewhere", "tree/up": "..", "tree/nothing": "gone"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	n := one(t, mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{})})
	for glob, want := range map[string]map[string]int{
		"tree/**":        {"one": 1, "two": 1},
		"tree/*.txt":     {"one": 2},
		"tree/again.txt": {"one": 1},
		"tree/out/*.txt": {"three": 1},
	} {
		if got := mustCollect(t, do(t, n, job.Spec{Processor: "wordcount", Input: job.Lines(filepath.Join(dir, glob))})); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", glob, got, want)
		}
	}
	for _, glob := range []string{"empty/**", "tree/a.txt/**"} {
		_, err := n.Submit(t.Context(), job.Spec{Processor: "wordcount", Input: job.Lines(filepath.Join(dir, glob))})
		says(t, err, "Input.Globs", "looked for "+filepath.Join(dir, glob), "correct the pattern")
	}
}

// combining counts, and combines what it has counted.
type combining struct{ wordCount }

func (combining) Combine(a, b int) int { return a + b }

// TestSplitsAreLargeWhereValuesAreCombined looks at how many map tasks there are
// to be, of runs that have yet to begin.
func TestSplitsAreLargeWhereValuesAreCombined(t *testing.T) {
	dir := plant(t, map[string]string{"small.txt": "a b"})
	for name, size := range map[string]int64{"large": 320 << 20, "huge": 2 << 30} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil { // of nothing but holes
			t.Fatal(err)
		}
	}
	n := start(t, node.Config{Slots: 2, Processors: mapreduce.Registry{"plain": mapreduce.Of(wordCount{}), "combining": mapreduce.Of(combining{})}})
	for _, c := range []struct {
		processor, file string
		split           int64
		want            int
	}{
		{"plain", "large", 0, 20},
		{"combining", "large", 0, 4}, // two for each slot
		{"combining", "huge", 0, 16}, // of 128 MiB
		{"combining", "large", 32 << 20, 10},
		{"combining", "small.txt", 0, 1},
	} {
		in := job.Lines(filepath.Join(dir, c.file))
		in.SplitBytes = c.split
		r, err := n.Submit(t.Context(), job.Spec{Processor: c.processor, Input: in}, node.NotBefore(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		if run, err := r.Get(t.Context()); err != nil || run.Plan.Roots != c.want {
			t.Errorf("%s of %s: got %d map tasks, %v, want %d", c.processor, c.file, run.Plan.Roots, err, c.want)
		}
	}
}

// TestAProcessorReadsItsSplit hands files to a processor that is not keyed.
func TestAProcessorReadsItsSplit(t *testing.T) {
	dir := plant(t, map[string]string{"a.txt": strings.Repeat("line\n", 1000), "b.txt.gz": "x\ny"})
	n := one(t, mapreduce.Registry{"lines": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
		var split mapreduce.Split
		if err := t.Decode(&split); err != nil {
			return nil, err
		}
		lines := 0
		for _, err := range split.Lines(ctx) {
			if err != nil {
				return nil, err
			}
			lines++
		}
		return lines, nil
	})})
	spec := job.Spec{Processor: "lines", Input: job.Lines(dir + "/*")}
	spec.Input.SplitBytes = 100
	got := values[int](t, do(t, n, spec))
	sum := 0
	for _, lines := range got {
		sum += lines
	}
	if sum != 1002 || len(got) < 50 {
		t.Errorf("got %d lines in %d tasks, want 1002 in about 51", sum, len(got))
	}
}

// TestBrokenInputFailsWithTheNameOfTheFile reads what is not compressed as its
// name says, and a line that is longer than may be.
func TestBrokenInputFailsWithTheNameOfTheFile(t *testing.T) {
	dir := plant(t, map[string]string{"good.txt": "good", "long.txt": strings.Repeat("x", mapreduce.MaxLine+1)})
	if err := os.WriteFile(filepath.Join(dir, "bad.txt.gz"), []byte("not compressed"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := one(t, mapreduce.Registry{"echo": echo, "wordcount": mapreduce.Of(wordCount{})})
	for name, texts := range map[string][]string{
		"bad.txt.gz": {"m0", "bad.txt.gz", "gzip"},
		"long.txt":   {"m0", "long.txt", "line", "16777216"},
	} {
		r := submit(t, n, job.Spec{Processor: "wordcount", Input: job.Lines(filepath.Join(dir, name)), Retry: job.Retry{Attempts: 2, Backoff: atOnce}})
		fails(t, r, job.Failed, texts...)
	}
	got := slices.Collect(maps.Keys(mustCollect(t, do(t, n, job.Spec{Processor: "wordcount", Input: job.Lines(dir + "/good*")}))))
	if !slices.Equal(got, []string{"good"}) {
		t.Errorf("got %q", got)
	}
}

func mustCollect(t *testing.T, out mapreduce.Output) map[string]int {
	t.Helper()
	all, err := mapreduce.Collect[string, int](t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
