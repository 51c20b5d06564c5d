package node_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// TestMain fails if a goroutine of a node outlives it. The library of the
// worker's pools starts two when it is imported.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// atOnce makes a task that fails try again without a wait that matters.
var atOnce = trigger.Backoff{Initial: time.Millisecond, Factor: 1}

// quiet is a log for tests that expect warnings.
var quiet = slog.New(slog.DiscardHandler)

// one starts a node that has the given processors and logs nothing.
func one(t *testing.T, r mapreduce.Registry) *node.Node {
	t.Helper()
	return start(t, node.Config{Processors: r, Slots: 2, Logger: quiet, Grace: 50 * time.Millisecond})
}

func submit(t *testing.T, n *node.Node, spec job.Spec, options ...node.Option) *node.Run {
	t.Helper()
	r, err := n.Submit(t.Context(), spec, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do returns what a run that should succeed returns.
func do(t *testing.T, n *node.Node, spec job.Spec, options ...node.Option) mapreduce.Output {
	t.Helper()
	out, err := submit(t, n, spec, options...).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func values[T any](t *testing.T, out mapreduce.Output) []T {
	t.Helper()
	var all []T
	for v, err := range mapreduce.Values[T](t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func pairs[K, V any](t *testing.T, out mapreduce.Output) []mapreduce.Pair[K, V] {
	t.Helper()
	var all []mapreduce.Pair[K, V]
	for p, err := range mapreduce.Pairs[K, V](t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// fails waits for a run that should not succeed and checks what it says.
func fails(t *testing.T, r *node.Run, state job.State, texts ...string) *node.RunError {
	t.Helper()
	_, err := r.Wait(t.Context())
	var failed *node.RunError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a run that is %v", err, state)
	}
	if failed.State != state || failed.ID != r.ID() {
		t.Errorf("got run %s %v, want %s %v", failed.ID, failed.State, r.ID(), state)
	}
	says(t, err, texts...)
	return failed
}

// says checks an error as somebody reads it who has never seen one of ours: it
// has the given texts in it, is one line and does not stutter.
func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", texts)
	}
	s := err.Error()
	for _, text := range texts {
		if !strings.Contains(s, text) {
			t.Errorf("got the error %q, want %q in it", s, text)
		}
	}
	if strings.Contains(s, "\n") {
		t.Errorf("the error has several lines: %q", s)
	}
	for _, prefix := range []string{"node: ", "job: ", "membership: ", "state: ", "transport: "} {
		if strings.Count(s, prefix) > 1 {
			t.Errorf("the error says %q more than once: %q", prefix, s)
		}
	}
}

// echo returns its payload.
var echo = mapreduce.Func(func(_ context.Context, s string) (string, error) { return s, nil })

// stillWorks checks that n takes and does other work.
func stillWorks(t *testing.T, n *node.Node) {
	t.Helper()
	if got := values[string](t, do(t, n, job.Spec{Processor: "echo", Input: job.Values("still", "here")})); len(got) != 2 || got[0] != "still" || got[1] != "here" {
		t.Errorf("got %q, want still and here", got)
	}
}
