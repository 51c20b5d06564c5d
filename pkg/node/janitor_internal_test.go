package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// counts returns its payload, unless it has no luck, and how many results
// there are.
type counts struct{ luck *atomic.Bool }

func (c counts) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	var s string
	if err := t.Decode(&s); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s, "0-") && !c.luck.Load() {
		return nil, mapreduce.Permanent(errors.New("no luck"))
	}
	return s, nil
}

func (counts) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	n := 0
	for range results {
		n++
	}
	return n, nil
}

// TestWhatALargeRunLeavesBehindBecomesSmall has one whose results are those of
// its tasks, one with a result over all of them, and one that fails. What they
// returned can be read as before, and the last be tried again.
func TestWhatALargeRunLeavesBehindBecomesSmall(t *testing.T) {
	c := counts{new(atomic.Bool)}
	nodes := servers(t, 1, func(_ int, cfg *Config) { cfg.Slots, cfg.Processors["count"] = 2, c })
	n, l := leads(t, nodes)
	values, input := make([]string, worthCompacting+100), 0
	for i := range values {
		values[i] = fmt.Sprint(i, "-", strings.Repeat("x", 100))
		input += len(values[i])
	}
	end := func(r *Run, err error) *Run {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = r.Wait(t.Context())
		return r
	}
	size := func(r *Run) (n int) {
		t.Helper()
		for e, err := range l.state.Journal(r.ID(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(e.Data)
		}
		return n
	}
	all := end(n.Submit(t.Context(), job.Spec{Processor: "echo", Input: job.Values(values...)}))
	failed := end(n.Submit(t.Context(), job.Spec{Processor: "count", Input: job.Values(values...)}))
	c.luck.Store(true)
	one := end(n.Submit(t.Context(), job.Spec{Processor: "count", Input: job.Values(values...)}))
	before := size(failed)
	if err := l.tidyEnded(); err != nil {
		t.Fatal(err)
	}
	// Of the first the results stay, of the second all, of the third next to
	// nothing.
	if a, b, c := size(all), size(failed), size(one); a < input || a > input*5/4 || b != before || c > input/20 {
		t.Errorf("the journals have %d, %d and %d bytes, for an input of %d", a, b, c, input)
	}
	if err := l.tidyEnded(); err != nil {
		t.Errorf("tidying what is tidy: %v", err)
	}
	// What is not kept is not listed, and who lists it is told.
	for _, c := range []struct {
		r    *Run
		q    job.AttemptQuery
		gone bool
	}{
		{all, job.AttemptQuery{}, false},
		{failed, job.AttemptQuery{}, false},
		{one, job.AttemptQuery{}, true},
		{one, job.AttemptQuery{Succeeded: true, Task: "m"}, true},
		{one, job.AttemptQuery{Failed: true}, false},
	} {
		page, err := c.r.Attempts(t.Context(), c.q)
		if err != nil || page.Compacted != c.gone {
			t.Errorf("%s, %+v: got %d attempts, Compacted %v, %v, want %v", c.r.ID(), c.q, len(page.Attempts), page.Compacted, err, c.gone)
		}
	}
	out, err := all.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for v, err := range mapreduce.Values[string](t.Context(), out) {
		if err != nil || v != values[i] {
			t.Fatalf("value %d: got %.10q, %v", i, v, err)
		}
		i++
	}
	if i != len(values) {
		t.Errorf("got %d values, want %d", i, len(values))
	}
	again, err := failed.Retry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Run{one, again} {
		out, err := r.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := mapreduce.Value[int](t.Context(), out); err != nil || got != len(values) {
			t.Errorf("%s: got %d, %v, want %d", r.ID(), got, err, len(values))
		}
	}
}

// TestRunsAreForgottenByNumberAndByAge ends runs with different retentions and
// applies them.
func TestRunsAreForgottenByNumberAndByAge(t *testing.T) {
	nodes := servers(t, 1, nil)
	n, l := leads(t, nodes)
	ended := func(name string, keep job.Retention) *Run {
		t.Helper()
		r, err := n.Submit(t.Context(), job.Spec{Name: name, Processor: "echo", Input: job.Values("x"), Retain: keep})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	expect := func(name string, thorough bool, runs []*Run, kept ...bool) {
		t.Helper()
		count, err := l.state.FinishedRuns("default", name)
		if err == nil {
			err = l.retain("default", name, count, thorough)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range runs {
			if _, err := r.Get(t.Context()); (err == nil) != kept[i] || err != nil && !errors.Is(err, ErrNoRun) {
				t.Errorf("job %s, run %d: got %v, want it kept: %v", name, i, err, kept[i])
			}
		}
	}
	ever, two, short := job.Retention{Age: -1, Runs: -1}, job.Retention{Runs: 2}, job.Retention{Age: time.Nanosecond, Runs: -1}
	var many, old, mixed []*Run
	for range 4 {
		many = append(many, ended("many", two))
	}
	expect("many", false, many, false, false, true, true)
	old = append(old, ended("old", short), ended("old", job.Retention{}))
	expect("old", false, old, false, true)
	mixed = append(mixed, ended("mixed", ever), ended("mixed", short))
	expect("mixed", true, mixed, true, false)
}
