package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// fired returns a processor that tells of each run that its fire is made of.
func fired(at chan<- time.Time) mapreduce.Registry {
	return mapreduce.Registry{"fired": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		at <- t.Fire
		return nil, nil
	})}
}

func TestAJobRunsAtEachOfItsFiresAndIsAccountedFor(t *testing.T) {
	at := make(chan time.Time, 100)
	n := start(t, node.Config{Logger: quiet, Processors: fired(at)})
	d, err := n.PutJob(t.Context(), job.Spec{Name: "tick", Processor: "fired", Schedule: trigger.Schedule{When: "every 1s", Overlap: trigger.OverlapAllow}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	last := d.Saved
	for range 3 {
		fire := <-at
		if !fire.After(last) || fire.Nanosecond() != 0 {
			t.Errorf("got a run for %v after %v, want the next full second", fire, last)
		}
		if last = fire; fire.IsZero() {
			break
		}
	}
	if err := n.PauseJob(t.Context(), "", "tick", "enough"); err != nil {
		t.Fatal(err)
	}
	d, err = n.Job(t.Context(), "", "tick")
	if err != nil {
		t.Fatal(err)
	}
	whole := int(d.Fires.Cursor.Sub(d.Saved.Truncate(time.Second)) / time.Second)
	if skipped := d.Fires.Skipped["misfire"]; d.Fires.Runs+skipped != whole || d.Fires.Runs < 3 {
		t.Errorf("got %d runs and %d skipped for the %d seconds from %v to %v", d.Fires.Runs, skipped, whole, d.Saved, d.Fires.Cursor)
	}
	if run, err := n.Run(job.FireID("default", "tick", last)).Get(t.Context()); err != nil || run.Origin != trigger.ReasonFire || run.Revision != 1 {
		t.Errorf("got %+v, %v", run, err)
	}
}

func TestASecondRunWaitsForTheFirstWhereThePolicySaysSo(t *testing.T) {
	w := newWaits()
	n := start(t, node.Config{Logger: quiet, Processors: mapreduce.Registry{"task": w}})
	if _, err := n.PutJob(t.Context(), job.Spec{Name: "slow", Processor: "task", Schedule: trigger.Schedule{When: "every 1s"}}, 0); err != nil {
		t.Fatal(err)
	}
	<-w.at
	for ctx, skipped := t.Context(), 0; skipped == 0; {
		d, err := n.Job(ctx, "", "slow")
		if err != nil {
			t.Fatal(err)
		}
		skipped = d.Fires.Skipped["overlap"]
		if d.Fires.Runs != 1 {
			t.Fatalf("got %d runs while the first goes on", d.Fires.Runs)
		}
	}
}

func TestAJobRunsWhenSomebodyAsksForIt(t *testing.T) {
	at := make(chan time.Time, 1)
	n := start(t, node.Config{Logger: quiet, Processors: fired(at)})
	if _, err := n.RunJob(t.Context(), "", "none"); err == nil || !strings.Contains(err.Error(), "see Jobs") {
		t.Errorf("got %v for a job that is not there", err)
	}
	spec := job.Spec{Name: "manual", Processor: "fired", Input: job.Values(1)}
	if _, err := n.PutJob(t.Context(), spec, 0); err != nil {
		t.Fatal(err)
	}
	r, err := n.RunJob(t.Context(), "", "manual")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(at) != 1 {
		t.Errorf("got %d tasks, want the one of the input", len(at))
	}
}

func TestBackfillMakesThePastOnce(t *testing.T) {
	at := make(chan time.Time, 100)
	n := start(t, node.Config{Logger: quiet, Processors: fired(at)})
	spec := job.Spec{Name: "hourly", Processor: "fired", Schedule: trigger.Schedule{When: "0 * * * *"}}
	if _, err := n.PutJob(t.Context(), spec, 0); err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, want := range []int{5, 0} {
		made, rest, err := n.Backfill(t.Context(), "", "hourly", from, from.Add(5*time.Hour))
		if err != nil || made != want || !rest.IsZero() {
			t.Errorf("got %d runs and the rest from %v, %v; want %d", made, rest, err, want)
		}
	}
	for range 5 {
		if fire := <-at; fire.Before(from) || !fire.Before(from.Add(5*time.Hour)) {
			t.Errorf("got a run for %v", fire)
		}
	}
}

func TestATriggerThatCanNotBeIsRefusedAtSave(t *testing.T) {
	n := start(t, node.Config{Logger: quiet, Processors: fired(nil)})
	for when, texts := range map[string][]string{
		"0 0 31 2 *": {"Schedule", "When"},
		"every 0s":   {"Schedule", "When"},
	} {
		_, err := n.PutJob(t.Context(), job.Spec{Name: "bad", Processor: "fired", Schedule: trigger.Schedule{When: when}}, 0)
		says(t, err, texts...)
	}
	_, err := n.PutJob(t.Context(), job.Spec{Name: "bad", Processor: "fired", Schedule: trigger.Schedule{When: "@daily", Zone: "Mars/Base"}}, 0)
	says(t, err, "zone", "Mars/Base", "IANA")
	if jobs, err := n.Jobs(t.Context(), "", "", 0); err != nil || len(jobs) != 0 {
		t.Errorf("got %v, %v, want nothing to be declared", jobs, err)
	}
}

func TestAJobCanGoBackToARevision(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	for _, params := range []string{"good", "bad"} {
		if _, err := n.PutJob(t.Context(), job.Spec{Name: "j", Processor: "echo", Params: params}, 0); err != nil {
			t.Fatal(err)
		}
	}
	all, err := n.Revisions(t.Context(), "", "j")
	if err != nil || len(all) != 2 || all[0].Revision != 2 || all[1].Spec.Params != "good" {
		t.Fatalf("got %+v, %v", all, err)
	}
	if d, err := n.PutJob(t.Context(), all[1].Spec, 2); err != nil || d.Revision != 3 || d.Spec.Params != "good" {
		t.Errorf("got %+v, %v, want the first again as the third", d, err)
	}
	if _, err := n.Revisions(t.Context(), "", "none"); !errors.Is(err, node.ErrNoJob) {
		t.Errorf("got %v for a job that is not there", err)
	}
}
