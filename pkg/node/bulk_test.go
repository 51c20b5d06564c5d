package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// bulk carries out b and returns the operation when it is over.
func bulk(t *testing.T, n *node.Node, b job.Bulk) job.Operation {
	t.Helper()
	o, err := n.Bulk(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = n.WaitOperation(t.Context(), o.Bulk.Namespace, o.ID); err != nil {
		t.Fatal(err)
	}
	if o.State != job.OperationDone || o.Ended.Before(o.Created) {
		t.Errorf("got %+v, want it done", o)
	}
	return o
}

// later submits runs of a job that wait for an hour.
func later(t *testing.T, n *node.Node, namespace, name string, k int) (ids []job.RunID) {
	t.Helper()
	for range k {
		r := submit(t, n, job.Spec{Namespace: namespace, Name: name, Processor: "echo"}, node.NotBefore(time.Now().Add(time.Hour)))
		ids = append(ids, r.ID())
	}
	return ids
}

func stateOf(t *testing.T, n *node.Node, id job.RunID) job.State {
	t.Helper()
	run, err := n.Run(id).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return run.State
}

// TestABulkNeedsNoPlaceAmongTheRuns that it ends: they never would by themselves,
// and have all slots and all that may go on at a time. None of those that wait
// begins when another is ended.
func TestABulkNeedsNoPlaceAmongTheRuns(t *testing.T) {
	at := make(chan struct{}, 100)
	n := start(t, node.Config{Slots: 2, MaxRuns: 2, Logger: quiet, Grace: 50 * time.Millisecond, Processors: mapreduce.Registry{
		"echo": echo,
		"ever": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			at <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}),
	}})
	for _, verb := range []job.Verb{job.BulkCancel, job.BulkStop} {
		var runs []*node.Run
		for range 30 {
			runs = append(runs, submit(t, n, job.Spec{Name: "stuck", Processor: "ever"}))
		}
		<-at
		<-at
		count, err := n.CountBulk(t.Context(), job.Bulk{Verb: verb, Job: "stuck"})
		if err != nil || count != len(runs) {
			t.Errorf("%s: got %d, %v meant, want %d", verb, count, err, len(runs))
		}
		o := bulk(t, n, job.Bulk{Verb: verb, Job: "stuck", Reason: "no need"})
		if o.Done != len(runs) || o.Refused != 0 || o.Bulk.By == "" {
			t.Errorf("%s: got %+v, want %d done", verb, o, len(runs))
		}
		for _, r := range runs {
			fails(t, r, job.Canceled, "no need")
		}
		if n := len(at); n > 0 {
			t.Errorf("%s: %d of those that waited have begun", verb, n)
		}
	}
	stillWorks(t, n)
}

// TestManyRunsAreEndedAndTriedAgainTogether finds runs by job and state, and by
// their IDs, leaves the others alone, and says which it could do nothing for.
func TestManyRunsAreEndedAndTriedAgainTogether(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	const many = 250
	meant, others, elsewhere := later(t, n, "a", "meant", many), later(t, n, "a", "other", 2), later(t, n, "b", "meant", 2)

	if o := bulk(t, n, job.Bulk{Namespace: "a", Verb: job.BulkCancel, Job: "meant", Reason: "no need"}); o.Done != many || o.Refused != 0 {
		t.Errorf("got %+v, want %d done", o, many)
	}
	for _, id := range meant {
		if run, err := n.Run(id).Get(t.Context()); err != nil || run.State != job.Canceled || run.CancelReason != "no need" {
			t.Fatalf("got %v, %q, %v, want %s canceled", run.State, run.CancelReason, err, id)
		}
	}
	for _, id := range append(others, elsewhere...) {
		if got := stateOf(t, n, id); got != job.Pending {
			t.Errorf("%s is %v, and was not meant", id, got)
		}
	}

	never := job.RunID("a/never@20260329T030000Z")
	some := append(meant[:2:2], others[0], never)
	o := bulk(t, n, job.Bulk{Namespace: "a", Verb: job.BulkRetry, Runs: some})
	if o.Done != 2 || o.Refused != 2 || o.Selected != 4 {
		t.Errorf("got %+v, want two done and two refused", o)
	}
	for i, want := range []string{"pending", "no such run"} {
		if r := o.Refusals[i]; r.Name != string(some[2+i]) || !strings.Contains(r.Why, want) {
			t.Errorf("got %+v, want that it is %s", r, want)
		}
	}
	if again := bulk(t, n, job.Bulk{Namespace: "a", Verb: job.BulkRetry, Runs: some[:2]}); again.Done != 2 {
		t.Errorf("once more: got %+v, want the same", again)
	}
	// Those have a next attempt, and are not meant by a filter any more.
	if o := bulk(t, n, job.Bulk{Namespace: "a", Verb: job.BulkRetryAll, Job: "meant"}); o.Done != many-2 || o.Refused != 0 {
		t.Errorf("got %+v, want the other %d tried again", o, many-2)
	}
	for _, id := range meant {
		if got := stateOf(t, n, job.Again(id, 2)); got == job.Canceled {
			t.Errorf("the next attempt of %s is %v", id, got)
		}
	}
	unexplained := bulk(t, n, job.Bulk{Namespace: "a", Verb: job.BulkStop, Job: "other"})
	if run, err := n.Run(others[0]).Get(t.Context()); err != nil || run.CancelReason != "operation "+unexplained.ID {
		t.Errorf("got reason %q, %v, want which operation it was", run.CancelReason, err)
	}
	if got := stateOf(t, n, elsewhere[0]); got != job.Pending {
		t.Errorf("a run of another namespace is %v", got)
	}
}

// TestManyJobsAreHeldAndDeletedTogether of which one is not declared.
func TestManyJobsAreHeldAndDeletedTogether(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("j%d", i))
		if _, err := n.PutJob(t.Context(), job.Spec{Name: names[i], Processor: "echo"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	held := func() (k int) {
		for _, name := range names {
			d, err := n.Job(t.Context(), "", name)
			if err != nil {
				t.Fatal(err)
			}
			if d.Fires.PausedAt.After(d.Fires.ResumedAt) {
				k++
			}
		}
		return k
	}
	for verb, want := range map[job.Verb]int{job.BulkPause: 3, job.BulkResume: 0} {
		if o := bulk(t, n, job.Bulk{Verb: job.BulkPause, Jobs: names, Reason: "the source is down"}); o.Done != 3 {
			t.Errorf("got %+v, want them held", o)
		}
		if o := bulk(t, n, job.Bulk{Verb: verb, Jobs: names}); o.Done != 3 || held() != want {
			t.Errorf("%s: got %+v, and %d held, want %d", verb, o, held(), want)
		}
	}
	o := bulk(t, n, job.Bulk{Verb: job.BulkDelete, Jobs: append(names, "none")})
	if o.Done != 3 || o.Refused != 1 || o.Refusals[0].Name != "none" {
		t.Errorf("got %+v, want three deleted", o)
	}
	if all, err := n.Jobs(t.Context(), "", "", 0); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v, want none left", all, err)
	}
}

// TestABulkIsBegunOnce by whoever asks with the same name for it, and is listed
// and found by its ID.
func TestABulkIsBegunOnce(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	b := job.Bulk{Verb: job.BulkCancel, Job: "none", Once: "tour", By: "alice"}
	first := bulk(t, n, b)
	again, err := n.Bulk(t.Context(), b)
	if err != nil || again.ID != first.ID || again.State != job.OperationDone {
		t.Errorf("got %+v, %v, want %+v", again, err, first)
	}
	second := bulk(t, n, job.Bulk{Verb: job.BulkStop, Job: "none"})
	page, err := n.Operations(t.Context(), job.OperationQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range page.Operations {
		ids = append(ids, o.ID)
	}
	if slices.Sort(ids); len(ids) != 2 || !slices.Contains(ids, first.ID) || !slices.Contains(ids, second.ID) {
		t.Errorf("got %q, want %s and %s", ids, first.ID, second.ID)
	}
	got, err := n.CancelOperation(t.Context(), "default", first.ID, "too late")
	if err != nil || got.State != job.OperationDone {
		t.Errorf("canceling what is over: got %+v, %v", got, err)
	}
	for _, err := range []error{
		func() error { _, err := n.Operation(t.Context(), "other", first.ID); return err }(),
		func() error { _, err := n.WaitOperation(t.Context(), "", "never"); return err }(),
		func() error { _, err := n.CancelOperation(t.Context(), "", "never", ""); return err }(),
	} {
		if !errors.Is(err, node.ErrNoOperation) {
			t.Errorf("got %v, want %v", err, node.ErrNoOperation)
		}
		says(t, err, "see Operations")
	}
}

func TestABulkThatCannotBeIsRefused(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	for want, b := range map[string]job.Bulk{
		"Verb":                 {Namespace: "a", Verb: "end"},
		"name them in Jobs":    {Namespace: "a", Verb: job.BulkPause, Job: "j"},
		"Jobs is empty":        {Namespace: "a", Verb: job.BulkDelete},
		"Jobs[1]":              {Namespace: "a", Verb: job.BulkDelete, Jobs: []string{"j", ""}},
		"Jobs names 1 jobs":    {Namespace: "a", Verb: job.BulkStop, Jobs: []string{"j"}},
		"of namespace \"a\"":   {Namespace: "a", Verb: job.BulkStop, Runs: []job.RunID{"b/j@1"}},
		"leave Job, States":    {Namespace: "a", Verb: job.BulkStop, Runs: []job.RunID{"a/j@1"}, Job: "j"},
		"the limit is 10000:":  {Namespace: "a", Verb: job.BulkStop, Runs: make([]job.RunID, 10_001)},
		"States has succeeded": {Namespace: "a", Verb: job.BulkRetry, States: []job.State{job.Succeeded}},
		"Reason has 2000":      {Namespace: "a", Verb: job.BulkStop, Reason: strings.Repeat("x", 2000)},
	} {
		_, err := n.Bulk(t.Context(), b)
		says(t, err, want)
		_, err = n.CountBulk(t.Context(), b)
		says(t, err, want)
	}
	if page, err := n.Operations(t.Context(), job.OperationQuery{Namespace: "a"}); err != nil || len(page.Operations) != 0 {
		t.Errorf("got %v, %v, want none", fmt.Sprint(page), err)
	}
}
