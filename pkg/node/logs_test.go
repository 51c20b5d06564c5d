package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// logs returns the lines of a run that a query asks for.
func logs(t *testing.T, r *node.Run, q job.LogQuery) []job.LogLine {
	t.Helper()
	var all []job.LogLine
	for l, err := range r.Logs(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func texts(lines []job.LogLine) []string {
	var all []string
	for i := range lines {
		all = append(all, lines[i].Text)
	}
	return all
}

func TestWhatATaskLogsIsThereAtTheEndOfItsRun(t *testing.T) {
	n := one(t, mapreduce.Registry{"talks": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		log := task.Log.With(slog.Int("a", 1)).WithGroup("g")
		task.Log.Debug("not kept")
		task.Log.Info("begins")
		log.Warn("goes on", slog.String("b", "two words"), slog.Group("h", slog.Any("err", errors.New("broke"))))
		cmd := exec.Command("sh", "-c", `echo out; printf 'no end' >&2`)
		cmd.Stdout, cmd.Stderr = task.Stdout(), task.Stderr()
		return nil, cmd.Run()
	})})
	r := submit(t, n, job.Spec{Processor: "talks"})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := logs(t, r, job.LogQuery{Level: job.LogAll})
	if got, want := texts(lines), []string{"begins", "goes on", "out", "no end"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i, l := range lines {
		if l.Run != r.ID() || l.Task.String() != "m0" || l.Attempt != 1 || l.Epoch != 1 || l.Node != n.Name() || l.Seq != uint64(i+1) || l.Time.IsZero() {
			t.Errorf("got %+v as line %d", l, i+1)
		}
	}
	if want := []job.LogAttr{{Key: "a", Value: "1"}, {Key: "g.b", Value: "two words"}, {Key: "g.h.err", Value: "broke"}}; !reflect.DeepEqual(lines[1].Attrs, want) {
		t.Errorf("got attributes %v, want %v", lines[1].Attrs, want)
	}
	if l := lines[3]; l.Level != slog.LevelWarn || !reflect.DeepEqual(l.Attrs, []job.LogAttr{{Key: "stream", Value: "stderr"}}) {
		t.Errorf("got %v as what the process wrote to its standard error", l)
	}
	if s := lines[1].String(); !strings.HasSuffix(s, `WARN  `+n.Name()+` m0#1 goes on a=1 g.b="two words" g.h.err=broke`) {
		t.Errorf("got %q", s)
	}
}

func TestLinesAreReadByFilterAndPagedBothWays(t *testing.T) {
	n := one(t, mapreduce.Registry{"talks": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for i := range 100 {
			task.Log.Info(fmt.Sprintf("line %d", i), slog.String("of", task.ID)) //nolint:sloglint // the test reads it again
		}
		task.Log.Warn("done")
		return nil, nil
	})})
	r := submit(t, n, job.Spec{Processor: "talks", Mode: job.Sharded, Shards: 5})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := logs(t, r, job.LogQuery{})
	for _, c := range []struct {
		name string
		q    job.LogQuery
		want int
	}{
		{"all", job.LogQuery{}, 505},
		{"level", job.LogQuery{Level: slog.LevelWarn}, 5},
		{"task", job.LogQuery{Task: "m3"}, 101},
		{"text", job.LogQuery{Text: "line 42"}, 5},
		{"text in an attribute", job.LogQuery{Text: "of=m2"}, 100},
		{"regexp", job.LogQuery{Regexp: `^line \d of=m[12]$`}, 20},
		{"node", job.LogQuery{Node: n.Name()}, 505},
		{"another node", job.LogQuery{Node: "nobody"}, 0},
		{"second attempts", job.LogQuery{Attempt: 2}, 0},
		{"limit", job.LogQuery{Limit: 7}, 7},
	} {
		if got := logs(t, r, c.q); len(got) != c.want {
			t.Errorf("%s: got %d lines, want %d", c.name, len(got), c.want)
		}
	}
	for _, back := range []bool{false, true} {
		var paged []job.LogLine
		for q := (job.LogQuery{Limit: 33, Backward: back}); ; {
			page := logs(t, r, q)
			if paged = append(paged, page...); len(page) < 33 {
				break
			}
			q.Cursor = page[32].Cursor()
		}
		if back {
			slices.Reverse(paged)
		}
		if !reflect.DeepEqual(paged, all) {
			t.Errorf("backward %v: pages give %d lines that are not the %d at once", back, len(paged), len(all))
		}
	}
	var text strings.Builder
	sum, err := r.Download(t.Context(), &text)
	if want := sha256.Sum256([]byte(text.String())); err != nil || sum != hex.EncodeToString(want[:]) || strings.Count(text.String(), "\n") != 505 {
		t.Errorf("got %s, %v for %d bytes", sum, err, text.Len())
	}
	for _, q := range []job.LogQuery{{Task: "x1"}, {Regexp: "("}, {Limit: -1}, {Cursor: "?"}, {Follow: true, Backward: true}} {
		for _, err := range r.Logs(t.Context(), q) {
			if err == nil {
				t.Errorf("%+v is taken", q)
			}
		}
	}
	for _, err := range n.Run("default/none@1").Logs(t.Context(), job.LogQuery{}) {
		if !errors.Is(err, node.ErrNoRun) {
			t.Errorf("got %v for a run that there is not", err)
		}
	}
}

func TestAFollowerSeesEachLineWhenItIsWrittenAndEndsWithTheRun(t *testing.T) {
	next, fail := make(chan string), true
	n := one(t, mapreduce.Registry{"talks": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for text := range next {
			task.Log.Info(text) //nolint:sloglint // the test reads it again
		}
		if fail {
			return nil, mapreduce.Permanent(errors.New("as asked"))
		}
		return nil, nil
	})})
	follow := func(r *node.Run, q job.LogQuery) <-chan string {
		q.Follow = true
		lines := make(chan string, 100)
		go func() {
			defer close(lines)
			for l, err := range r.Logs(t.Context(), q) {
				if err != nil {
					t.Error(err)
				}
				lines <- l.Text
			}
		}()
		return lines
	}
	expect := func(lines <-chan string, want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-lines:
				if got != w {
					t.Fatalf("got %q, want %q", got, w)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("there is no %q", w)
			}
		}
	}
	r := submit(t, n, job.Spec{Processor: "talks"})
	next <- "1"
	next <- "2"
	logs(t, r, job.LogQuery{}) // what was logged is kept from here on
	all, last := follow(r, job.LogQuery{}), follow(r, job.LogQuery{Limit: 1})
	expect(all, "1", "2")
	expect(last, "2")
	for _, text := range []string{"3", "4", "5"} {
		next <- text
		expect(all, text)
		expect(last, text)
	}
	next <- "6"
	close(next)
	expect(all, "6", "")
	expect(last, "6", "")
	if _, err := r.Wait(t.Context()); err == nil {
		t.Fatal("it did not fail")
	}
	next, fail = make(chan string), false
	again, err := r.Retry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := follow(again, job.LogQuery{})
	next <- "new"
	expect(lines, "new")
	close(next)
	expect(lines, "")
}

func TestWhoLogsTooMuchLosesLinesAndIsTold(t *testing.T) {
	const n = 20_000
	loud := one(t, mapreduce.Registry{"loud": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for range n {
			task.Log.Info("again")
		}
		return nil, nil
	})})
	r := submit(t, loud, job.Spec{Processor: "loud"})
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, dropped, last := 0, uint64(0), uint64(0)
	for _, l := range logs(t, r, job.LogQuery{}) {
		if l.Dropped == 0 {
			kept++
		} else if !strings.Contains(l.Text, "1000 a second") {
			t.Errorf("got %q", l.Text)
		}
		dropped += l.Dropped
		if want := last + max(l.Dropped, 1); l.Seq != want {
			t.Fatalf("got number %d after %d, want %d", l.Seq, last, want)
		}
		last = l.Seq
	}
	if kept+int(dropped) != n || kept < 4000 || dropped == 0 {
		t.Errorf("%d lines were kept and %d dropped, want %d in all", kept, dropped, n)
	}
}
