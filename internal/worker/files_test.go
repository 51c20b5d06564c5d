package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// entries names what is below dir.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFilesOfAnAttemptAreStaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	a := job.AttemptID{Run: "ns/job@x", Task: job.TaskID{Kind: job.KindMap, N: 3}, Epoch: 1, N: 1}
	old := filepath.Join(AttemptDir(dir, a), "from an earlier life")
	if err := os.MkdirAll(old, 0o777); err != nil {
		t.Fatal(err)
	}
	var kept io.Writer
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for _, name := range []string{"b", "sub/dir/a"} {
			f, err := task.Create(name)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(f, "text of %s", name)
			kept = f
			if name == "b" {
				if err := f.Close(); err != nil {
					return nil, err
				}
			} // the other is closed for us
		}
		return nil, nil
	})}, nil)
	r := newTestRun(a.Run, "p")
	r.Spec.Output.Dir = dir
	o := one(t, w, h, r, mapTasks(3, 1)[0])
	if o.Failure != nil || !slices.Equal(o.Files, []string{"b", "sub/dir/a"}) {
		t.Fatalf("got %+v with %+v", o, o.Failure)
	}
	if got, want := entries(t, dir), []string{".muster-ns_job@x/m3-1-1/b", ".muster-ns_job@x/m3-1-1/sub/dir/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	text, err := os.ReadFile(filepath.Join(AttemptDir(dir, a), "sub/dir/a"))
	if err != nil || string(text) != "text of sub/dir/a" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := kept.Write([]byte("more")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v from a write after the end, want %v", err, fs.ErrClosed)
	}
}

func TestNothingIsLeftOfAnAttemptThatFails(t *testing.T) {
	for name, end := range map[string]func(w *Worker) (any, error){
		"error":  func(*Worker) (any, error) { return nil, errors.New("no") },
		"panic":  func(*Worker) (any, error) { panic("no") },
		"cancel": func(w *Worker) (any, error) { w.Cancel("r", 1, nil, nil); return nil, nil },
		"result": func(*Worker) (any, error) { return make(chan int), nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var w *Worker
			w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
				for _, name := range []string{"a", "b"} {
					f, err := task.Create(name)
					if err != nil {
						t.Error(err)
						return nil, err
					}
					if _, err := f.Write([]byte("text")); err != nil {
						t.Error(err)
					}
				}
				return end(w)
			})}, nil)
			r := newTestRun("r", "p")
			r.Spec.Output.Dir = dir
			if o := one(t, w, h, r, mapTasks(0, 1)[0]); o.Failure == nil || o.Files != nil {
				t.Errorf("got %+v, want a failure without files", o)
			}
			if got := entries(t, dir); len(got) > 0 {
				t.Errorf("%q is left", got)
			}
		})
	}
}

// The disk is told to begin with a large file before its end.
func TestALargeFileIsWhole(t *testing.T) {
	dir := t.TempDir()
	a := job.AttemptID{Run: "r", Task: job.TaskID{Kind: job.KindMap}, Epoch: 1, N: 1}
	var want []byte
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		f, err := task.Create("large")
		if err != nil {
			return nil, err
		}
		for i := range 2*advanceBytes/fileBuffer + 1 {
			piece := bytes.Repeat([]byte{byte(i)}, fileBuffer-i)
			want = append(want, piece...)
			if _, err := f.Write(piece); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})}, nil)
	r := newTestRun(a.Run, "p")
	r.Spec.Output.Dir = dir
	if o := one(t, w, h, r, mapTasks(0, 1)[0]); !slices.Equal(o.Files, []string{"large"}) {
		t.Fatalf("got %+v, want one file", o)
	}
	got, err := os.ReadFile(filepath.Join(AttemptDir(dir, a), "large"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want %d as they were written", len(got), err, len(want))
	}
}

func TestCreateRefusesNames(t *testing.T) {
	dir := t.TempDir()
	var errs []error
	names := []string{"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\x00b", ".muster-x", "./.muster-x/a", "_SUCCESS", strings.Repeat("x", maxFileName+1), "twice", "./twice"}
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for _, name := range names {
			_, err := task.Create(name)
			errs = append(errs, err)
		}
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	r.Spec.Output.Dir = dir
	o := one(t, w, h, r, mapTasks(0, 1)[0])
	for i, err := range errs {
		if names[i] == "twice" {
			if err != nil {
				t.Errorf("create %q: %v", names[i], err)
			}
		} else if !mapreduce.IsPermanent(err) {
			t.Errorf("create %q: got %v, want a permanent error", names[i], err)
		}
	}
	if !slices.Equal(o.Files, []string{"twice"}) {
		t.Errorf("got files %q", o.Files)
	}
}

func TestCreateNeedsADirectory(t *testing.T) {
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		_, err := task.Create("x")
		return nil, err
	})}, nil)
	o := one(t, w, h, newTestRun("r", "p"), mapTasks(0, 1)[0])
	if o.Failure == nil || !o.Failure.Permanent || !strings.Contains(o.Failure.Reason, "Output.Dir") {
		t.Errorf("got %+v, want a permanent failure that names Output.Dir", o.Failure)
	}
}

func TestALinkDoesNotLeadOutOfTheOutputDirectory(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, ".muster-r")); err != nil {
		t.Skip(err)
	}
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		_, err := task.Create("x")
		return nil, err
	})}, nil)
	r := newTestRun("r", "p")
	r.Spec.Output.Dir = dir
	if o := one(t, w, h, r, mapTasks(0, 1)[0]); o.Failure == nil {
		t.Error("it succeeded")
	}
	if got := entries(t, elsewhere); len(got) > 0 {
		t.Errorf("got %q where nothing belongs", got)
	}
}

func TestRunsDoNotShareADirectory(t *testing.T) {
	long := job.RunID("ns/" + strings.Repeat("x", 300))
	seen := map[string]job.RunID{}
	for _, id := range []job.RunID{"a/b", "a_b", "a%b", "a%5Fb", "a//b", "A/b", "a\x00b", "..", "", long, long + "y"} {
		d := StagingDir("out", id)
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q share %s", id, other, d)
		}
		seen[d] = id
		if filepath.Dir(d) != "out" || len(filepath.Base(d)) > 255 {
			t.Errorf("%q goes to %s, want a name in out", id, d)
		}
	}
}
