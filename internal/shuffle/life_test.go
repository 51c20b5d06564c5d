package shuffle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

var errMine = errors.New("mine")

func writer(t testing.TB, s *Shuffle, task int) *Writer {
	t.Helper()
	w, err := s.Writer(WriterConfig{Attempt: attempt(task, 1), Partitions: 2, Partition: byFirst(2)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func fill(t testing.TB, w *Writer, n int) {
	t.Helper()
	for i := range n {
		if err := w.Add(fmt.Append(nil, "key", i%1000), fmt.Append(nil, "value", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	s := newPool(t, 64<<10, "a").nodes["a"]
	w := writer(t, s, 0)
	fill(t, w, 20_000)
	if len(filesIn(t, s.dir)) == 0 {
		t.Fatal("nothing was spilled")
	}
	w.Abort()
	w.Abort()
	if files := filesIn(t, s.dir); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	if s.budget.used != 0 {
		t.Errorf("%d bytes still reserved", s.budget.used)
	}
	if s.Has(testRun, outputID(0, 1)) {
		t.Error("the map output is visible")
	}
	if err := w.Add(nil, nil); err == nil {
		t.Error("Add after Abort: no error")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort: no error")
	}
}

func TestCommitShowsTheOutputAndKeepsNothingElse(t *testing.T) {
	s := newPool(t, 64<<10, "a").nodes["a"]
	w := writer(t, s, 0)
	fill(t, w, 20_000)
	if s.Has(testRun, outputID(0, 1)) {
		t.Error("visible before Commit")
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if !s.Has(testRun, outputID(0, 1)) {
		t.Error("not visible after Commit")
	}
	if files := filesIn(t, s.dir); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
	if s.budget.used != 0 {
		t.Errorf("%d bytes still reserved", s.budget.used)
	}
	if _, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: 2, Partition: byFirst(2)}); err == nil {
		t.Error("a second Writer for the attempt is not refused")
	}
}

func TestWriterRefusesWhatItCannotKeep(t *testing.T) {
	s := newPool(t, 64<<10, "a").nodes["a"]
	for name, c := range map[string]struct {
		key, value []byte
		part       int
		want       string
	}{
		"partition below": {[]byte("k1"), nil, -1, `-1 for key "k1"`},
		"partition above": {[]byte("k2"), nil, 2, `2 for key "k2"`},
		"key":             {make([]byte, maxKey+1), nil, 0, "limit"},
		"value":           {[]byte("k3"), make([]byte, maxValue+1), 0, "limit"},
	} {
		w, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: 2, Partition: func([]byte) int { return c.part }})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(c.key, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Commit(); err == nil {
			t.Errorf("%s: committed nevertheless", name)
		}
	}
	for name, c := range map[string]WriterConfig{
		"no partitions": {Attempt: attempt(0, 1), Partition: byFirst(1)},
		"too many":      {Attempt: attempt(0, 1), Partition: byFirst(1), Partitions: maxParts + 1},
		"no function":   {Attempt: attempt(0, 1), Partitions: 1},
		"no map task":   {Attempt: job.AttemptID{Run: testRun, Task: job.TaskID{Kind: job.KindReduce}}, Partitions: 1, Partition: byFirst(1)},
		"no run":        {Attempt: job.AttemptID{Task: job.TaskID{Kind: job.KindMap}}, Partitions: 1, Partition: byFirst(1)},
	} {
		if _, err := s.Writer(c); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestCombineErrorFailsTheWriter(t *testing.T) {
	s := newPool(t, 64<<10, "a").nodes["a"]
	for name, combine := range map[string]CombineFunc{
		"error":    func(dst, a, b []byte) ([]byte, error) { return nil, errMine },
		"argument": func(dst, a, b []byte) ([]byte, error) { return a, nil },
		"too long": func(dst, a, b []byte) ([]byte, error) { return make([]byte, maxValue+1), nil },
	} {
		w, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: 1, Partition: byFirst(1), Combine: combine})
		if err != nil {
			t.Fatal(err)
		}
		w.Add([]byte("k"), []byte("1"))
		w.Add([]byte("k"), []byte("2"))
		_, err = w.Commit()
		if err == nil || name == "error" && !errors.Is(err, errMine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkNothingHeld(t, s)
}

func checkNothingHeld(t *testing.T, s *Shuffle) {
	t.Helper()
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if s.budget.used != 0 || s.budget.accounts != 0 {
		t.Errorf("%d bytes in %d accounts still reserved", s.budget.used, s.budget.accounts)
	}
}

// A Combine that panics fails its own attempt and leaves nothing.
func TestPanicInCombineLeavesNothing(t *testing.T) {
	s := newPool(t, 4<<10, "a").nodes["a"]
	n := 0
	w, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: 1, Partition: byFirst(1), Combine: func(dst, a, b []byte) ([]byte, error) {
		if n++; n > 500 {
			panic("user's")
		}
		return append(dst, a...), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
			w.Abort()
		}()
		for i := range 100_000 {
			if err := w.Add(fmt.Append(nil, i%700), make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
		}
		w.Commit()
	}()
	checkNothingHeld(t, s)
	if files := filesIn(t, s.dir); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

func TestDropFailsWritersAndReaders(t *testing.T) {
	s := newPool(t, 32<<10, "a").nodes["a"]
	for task := range 8 {
		w := writer(t, s, task)
		fill(t, w, 3000)
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	w := writer(t, s, 8)
	fill(t, w, 3000)
	var ids []job.MapOutputID
	for task := range 8 {
		ids = append(ids, outputID(task, 1))
	}
	r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "a", Maps: ids}}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range r.Groups() {
		if n++; n == 3 {
			s.Drop(testRun)
			s.Drop(testRun)
			if files := filesIn(t, s.dir); len(files) > 0 {
				t.Errorf("left by Drop: %v", files)
			}
		}
	}
	if !errors.Is(r.Err(), ErrDropped) {
		t.Errorf("reader, after %d keys: %v", n, r.Err())
	}
	r.Close()
	if err := w.Add([]byte("k"), nil); !errors.Is(err, ErrDropped) {
		t.Errorf("Add: %v", err)
	}
	if _, err := w.Commit(); !errors.Is(err, ErrDropped) {
		t.Errorf("Commit: %v", err)
	}
	if s.Has(testRun, outputID(0, 1)) {
		t.Error("a dropped output is held")
	}
	// The run may come back.
	write(t, s, 0, 2, nil, []pair{{"k", "v"}})
	if !s.Has(testRun, outputID(0, 1)) {
		t.Error("not held after it was made again")
	}
}

func TestDropWhileOthersWrite(t *testing.T) {
	s := newPool(t, 16<<10, "a").nodes["a"]
	var wg sync.WaitGroup
	for task := range 6 {
		wg.Go(func() {
			for n := range 20 {
				w, err := s.Writer(WriterConfig{Attempt: attempt(task, n), Partitions: 2, Partition: byFirst(2)})
				if errors.Is(err, ErrDropped) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 500 {
					if w.Add(fmt.Append(nil, i), []byte("value")) != nil {
						break
					}
				}
				if _, err := w.Commit(); err != nil && !errors.Is(err, ErrDropped) {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			s.Drop(testRun)
		}
	})
	wg.Wait()
	s.Drop(testRun)
	if files := filesIn(t, s.dir); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	checkNothingHeld(t, s)
}

func TestReaderMayStopEarly(t *testing.T) {
	p := newPool(t, 32<<10, "a", "b")
	var ids []job.MapOutputID
	for task := range 5 {
		write(t, p.nodes["b"], task, 1, nil, []pair{{"a", "1"}, {"a", "2"}, {"b", "3"}, {"b", "4"}, {"c", strings.Repeat("x", 20_000)}})
		ids = append(ids, outputID(task, 1))
	}
	r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "b", Maps: ids}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for k, vs := range r.Groups() {
		n := 0
		for v := range vs {
			if n++; n <= 3 {
				got = append(got, string(k)+string(v))
				continue
			}
			break
		}
		for v := range vs { // goes on after what was taken
			got = append(got, "then", string(v))
			break
		}
		if string(k) == "b" {
			break
		}
	}
	if want := "a1 a2 a1 then 1 b3 b4 b3 then 3"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for range r.Groups() {
		t.Error("Groups works twice")
	}
	for range r.Pairs() {
		t.Error("Pairs works after Groups")
	}
	r.Close()
	r.Close()
	checkNothingHeld(t, p.nodes["a"])
}

func TestReadEndsWithItsContext(t *testing.T) {
	s := newPool(t, 32<<10, "a").nodes["a"]
	w := writer(t, s, 0)
	fill(t, w, 20_000)
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r, err := s.Read(ctx, ReadConfig{Run: testRun, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range r.Groups() {
		cancel(errMine)
	}
	if !errors.Is(r.Err(), errMine) {
		t.Errorf("Err: %v", r.Err())
	}
}

func TestCloseEndsAll(t *testing.T) {
	s := newPool(t, 32<<10, "a").nodes["a"]
	w := writer(t, s, 0)
	fill(t, w, 5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); !errors.Is(err, ErrClosed) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Writer(WriterConfig{Attempt: attempt(1, 1), Partitions: 1, Partition: byFirst(1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("Writer: %v", err)
	}
	if _, err := s.Read(t.Context(), ReadConfig{Run: testRun}); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := s.serve(t.Context(), nil, nopCloser{&bytes.Buffer{}}); !errors.Is(err, ErrClosed) {
		t.Errorf("serve: %v", err)
	}
}

func TestNewRemovesOnlyWhatAShuffleLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"precious", "reports%2Fnightly%4020260329T030000Z+7", "a%2Fb+1.gone"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if files := filesIn(t, dir); len(files) != 1 || !strings.Contains(files[0], "precious") {
		t.Errorf("left: %v", files)
	}
}

func TestEscapeIsSafeAndUnique(t *testing.T) {
	seen := make(map[string]string)
	long := strings.Repeat("/", 300)
	for _, id := range []string{"a/b@c", "a%2Fb@c", "../../etc", "..", ".", "a\x00b", "ä", "a/b", "a_b", long, long + "x", "~", "a+1"} {
		e := escape(id)
		if strings.ContainsAny(e, "/\\\x00:+") || e == "." || e == ".." || len(e) > 200 {
			t.Errorf("%q: %q", id, e)
		}
		if !ours.MatchString(e + "+12") {
			t.Errorf("%q is not known as ours", e)
		}
		if other, ok := seen[e]; ok {
			t.Errorf("%q and %q are both %q", id, other, e)
		}
		seen[e] = id
	}
}
