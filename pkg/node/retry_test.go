package node_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

func retry(t *testing.T, r *node.Run) *node.Run {
	t.Helper()
	next, err := r.Retry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestAttemptsAtARunAreARow tries a run again until it succeeds, and once all
// of it.
func TestAttemptsAtARunAreARow(t *testing.T) {
	p := &picky{ran: map[int]int{}, bad: map[int]bool{1: true, 2: true}}
	n := start(t, node.Config{Slots: 1, Logger: quiet, Processors: mapreduce.Registry{"picky": p}})
	spec := job.Spec{Processor: "picky", Mode: job.Sharded, Shards: 3, Tolerate: job.Tolerance{Count: 1}}
	first := submit(t, n, spec, node.Key("k"), node.Extra("a", "b"))
	fails(t, first, job.Failed, "no luck")
	second := retry(t, first)
	fails(t, second, job.Failed, "no luck")
	third, err := second.RetryAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fails(t, third, job.Failed, "no luck")
	p.mu.Lock()
	p.bad = nil
	p.mu.Unlock()
	fourth := retry(t, third)
	if _, err := fourth.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range []*node.Run{first, second, third, fourth} {
		run, err := r.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := job.Again(first.ID(), i+1)
		if run.ID != want || run.Key != "k" || run.Extra["a"] != "b" || max(run.Attempt, 1) != i+1 || i > 0 && run.Of != first.ID() {
			t.Errorf("got attempt %d %s of %q with key %q and %v, want %s", run.Attempt, run.ID, run.Of, run.Key, run.Extra, want)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ran[0] != 2 {
		t.Errorf("got %v executions, want task 0 to run in the first attempt and in the one at all of it", p.ran)
	}
}

// TestARetryHasTheKeyOfItsRunUnlessAnotherTookIt submits with the key of a run
// while its next attempt goes on, and tries another again whose key is taken.
func TestARetryHasTheKeyOfItsRunUnlessAnotherTookIt(t *testing.T) {
	w := newWaits()
	n := one(t, mapreduce.Registry{"waits": w})
	spec := job.Spec{Processor: "waits"}
	first := submit(t, n, spec, node.Key("k"))
	<-w.at
	if err := first.Stop(t.Context(), "not now"); err != nil {
		t.Fatal(err)
	}
	second := retry(t, first)
	<-w.at
	if again := submit(t, n, spec, node.Key("k")); again.ID() != second.ID() {
		t.Errorf("got %s for the key, want the attempt that goes on, %s", again.ID(), second.ID())
	}
	if err := second.Stop(t.Context(), "not now"); err != nil {
		t.Fatal(err)
	}
	other := submit(t, n, spec, node.Key("k"))
	<-w.at
	_, err := second.Retry(t.Context())
	says(t, err, "the key of run "+string(second.ID()), "was taken by run "+string(other.ID()))
	if err := other.Stop(t.Context(), "enough"); err != nil {
		t.Fatal(err)
	}
	third := retry(t, second)
	<-w.at
	if err := third.Stop(t.Context(), "enough"); err != nil {
		t.Fatal(err)
	}
}

// unlucky is a word count that fails in Reduce while it has no luck.
type unlucky struct {
	luck *atomic.Bool
	maps *atomic.Int64
}

func (u unlucky) Map(_ context.Context, word string, emit func(string, int)) error {
	u.maps.Add(1)
	emit(word, 1)
	return nil
}

func (u unlucky) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	if !u.luck.Load() {
		return 0, mapreduce.Permanent(errors.New("no luck"))
	}
	for one := range ones {
		n += one
	}
	return n, nil
}

// TestARetryOfAKeyedRunMakesItsPairsAnew fails it in the reduces.
func TestARetryOfAKeyedRunMakesItsPairsAnew(t *testing.T) {
	u := unlucky{new(atomic.Bool), new(atomic.Int64)}
	n := one(t, mapreduce.Registry{"count": mapreduce.Of(u)})
	first := submit(t, n, job.Spec{Processor: "count", Input: job.Values("a", "b", "a"), Partitions: 3})
	fails(t, first, job.Failed, "no luck")
	u.luck.Store(true)
	out, err := retry(t, first).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := mapreduce.Collect[string, int](t.Context(), out)
	if err != nil || !maps.Equal(got, map[string]int{"a": 2, "b": 1}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got := u.maps.Load(); got != 6 {
		t.Errorf("%d records were mapped, want all three twice", got)
	}
}

// TestARetryOfARunThatCreatesFilesHasThemAll fails one of the tasks that
// create files when another has.
func TestARetryOfARunThatCreatesFilesHasThemAll(t *testing.T) {
	dir, luck := filepath.Join(t.TempDir(), "out"), new(atomic.Bool)
	created := make(chan struct{})
	var once sync.Once
	n := one(t, mapreduce.Registry{"files": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		if t.Shard.Index == 1 && !luck.Load() {
			<-created
			return nil, mapreduce.Permanent(errors.New("no luck"))
		}
		f, err := t.Create(fmt.Sprint("part", t.Shard.Index))
		if err != nil {
			return nil, err
		}
		defer once.Do(func() { close(created) })
		return nil, f.Close()
	})})
	first := submit(t, n, job.Spec{Processor: "files", Mode: job.Sharded, Shards: 2, Output: job.Output{Dir: dir}, Concurrency: 2})
	fails(t, first, job.Failed, "no luck")
	luck.Store(true)
	if _, err := retry(t, first).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprint("part", i))); err != nil {
			t.Error(err)
		}
	}
}

// TestARetryOfABroadcastGoesToTheMembersThereAre has one leave between two
// attempts.
func TestARetryOfABroadcastGoesToTheMembersThereAre(t *testing.T) {
	luck := new(atomic.Bool)
	c := pool(t, 3, mapreduce.Registry{"where": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		if !luck.Load() {
			return nil, mapreduce.Permanent(errors.New("no luck"))
		}
		return t.Node, nil
	})})
	first := submit(t, c.Node(0), job.Spec{Processor: "where", Mode: job.Broadcast})
	fails(t, first, job.Failed, "no luck")
	c.Stop(2)
	luck.Store(true)
	out, err := retry(t, first).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := values[string](t, out)
	slices.Sort(got)
	if want := []string{"n0", "n1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestARetryOfARunThatNeverBegan stops a run while it waits for its turn.
func TestARetryOfARunThatNeverBegan(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	if err := n.PauseJob(t.Context(), "", "echo", "later"); err != nil {
		t.Fatal(err)
	}
	r := submit(t, n, job.Spec{Processor: "echo", Input: job.Values("a", "b")})
	if err := r.Cancel(t.Context(), "never mind"); err != nil {
		t.Fatal(err)
	}
	fails(t, r, job.Canceled, "never mind")
	if err := n.ResumeJob(t.Context(), "", "echo"); err != nil {
		t.Fatal(err)
	}
	out, err := retry(t, r).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := values[string](t, out); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}

// TestARunThatFailsIsTriedAgainByItself has a run that succeeds the third time,
// and one whose task says that it never will.
func TestARunThatFailsIsTriedAgainByItself(t *testing.T) {
	var tries atomic.Int32
	n := one(t, mapreduce.Registry{"third": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		if task.Params == "never" {
			return nil, mapreduce.Permanent(errors.New("never"))
		}
		if tries.Add(1) < 3 {
			return nil, errors.New("not yet")
		}
		return nil, nil
	})})
	spec := job.Spec{
		Processor: "third", Retry: job.Retry{Attempts: 1},
		Repeat: job.Repeat{Attempts: 4, Backoff: trigger.Backoff{Initial: time.Millisecond, Max: time.Millisecond}},
	}
	fails(t, submit(t, n, spec), job.Failed, "not yet")
	spec.Params = "never"
	fails(t, submit(t, n, spec), job.Failed, "never")
	list := func() (all []job.Run) {
		all, err := n.Runs(t.Context(), "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for done := 0; done < 4; { // two failed attempts, the third, and the one that is hopeless
		done = 0
		for _, run := range list() {
			if run.State.Done() {
				done++
			}
		}
	}
	for _, run := range list() {
		first, attempt, _ := strings.Cut(string(run.ID), "#")
		want := job.Failed
		if attempt == "3" {
			want = job.Succeeded
		}
		if run.State != want || attempt != "" && (run.Origin != trigger.ReasonRetry || string(run.Of) != first || run.NotBefore.IsZero()) {
			t.Errorf("got %s of %q, %v, because of %s", run.ID, run.Of, run.State, run.Origin)
		}
	}
}

// TestARunThatIsTriedAgainLaterSaysWhen looks at it while it waits.
func TestARunThatIsTriedAgainLaterSaysWhen(t *testing.T) {
	n := one(t, mapreduce.Registry{"bad": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return nil, errors.New("bad") })})
	r := submit(t, n, job.Spec{Processor: "bad", Retry: job.Retry{Attempts: 1}, Repeat: job.Repeat{Attempts: 5, Backoff: trigger.Backoff{Initial: time.Hour}}})
	fails(t, r, job.Failed, "bad")
	for {
		run, err := n.Run(job.Again(r.ID(), 2)).Get(t.Context())
		if errors.Is(err, node.ErrNoRun) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if run.State != job.Pending || !strings.HasPrefix(run.Reason, "attempt 2 of 5 waits until "+run.NotBefore.Format(time.RFC3339)) {
			t.Errorf("it is %v: %s", run.State, run.Reason)
		}
		return
	}
}
