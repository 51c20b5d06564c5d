package state

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

func declare(t *testing.T, s *State, spec job.Spec, chunks ...[]byte) job.Declared {
	t.Helper()
	d, err := s.PutJob(t.Context(), spec, chunks, time.Time{}, 0)
	must(t, err)
	return d
}

// due is the nominal instant of fire n, long ago.
func due(n int) time.Time { return time.Unix(1_700_000_000, 0).UTC().Add(time.Duration(n) * time.Hour) }

// firing is a settlement of d that makes the runs of some fires.
func firing(d job.Declared, wake time.Time, fires ...int) Firing {
	f := Firing{Namespace: d.Spec.Namespace, Name: d.Spec.Name, Revision: d.Revision, Seq: d.Fires.Seq, Cursor: d.Fires.Cursor, Wake: wake}
	for _, n := range fires {
		f.Runs = append(f.Runs, FiringRun{Run: job.Run{
			ID: job.FireID(d.Spec.Namespace, d.Spec.Name, due(n)), Spec: d.Spec, Fire: due(n), Origin: trigger.ReasonFire, Revision: d.Revision,
		}})
		f.Cursor = due(n)
	}
	return f
}

func TestASaveIsARevisionUnlessItChangesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	spec := job.Spec{Namespace: "d", Name: "j", Processor: "p"}
	first := declare(t, s, spec, []byte("in"))
	if again := declare(t, s, spec, []byte("in")); again.Revision != 1 || !again.Saved.Equal(first.Saved) {
		t.Errorf("got revision %d, want the first to stay", again.Revision)
	}
	if other := declare(t, s, spec, []byte("out")); other.Revision != 2 {
		t.Errorf("got revision %d for another input, want 2", other.Revision)
	}
	chunks, err := s.JobChunks("d", "j")
	must(t, err)
	if len(chunks) != 1 || string(chunks[0]) != "out" {
		t.Errorf("got input %q", chunks)
	}
	spec.Params = "x"
	_, err = s.PutJob(t.Context(), spec, nil, time.Time{}, 1)
	refused(t, err, ErrRevision)
	d, err := s.PutJob(t.Context(), spec, nil, time.Time{}, 2)
	must(t, err)
	if d.Revision != 3 || d.Spec.Params != "x" {
		t.Errorf("got %+v", d)
	}
}

func TestAFireIsSettledOnce(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *"}})
	f := firing(d, due(2), 1)
	for range 2 { // the second time as after an answer that was lost
		_, err := s.Fire(t.Context(), f)
		must(t, err)
	}
	other := firing(d, due(9), 3)
	_, err := s.Fire(t.Context(), other)
	refused(t, err, ErrStale)
	other.Revision = 7
	_, err = s.Fire(t.Context(), other)
	refused(t, err, ErrRevision)
	got, err := s.Job("d", "j")
	must(t, err)
	if got.Fires.Runs != 1 || len(got.Fires.Active) != 1 || got.Fires.Last != f.Runs[0].Run.ID || !got.Fires.Wake.Equal(due(2)) {
		t.Errorf("got %+v", got.Fires)
	}
	if run, err := s.Run(f.Runs[0].Run.ID); err != nil || run.State != job.Pending || !run.Fire.Equal(due(1)) {
		t.Errorf("got %+v, %v", run, err)
	}
	wakes, err := s.Wakes(due(2), 0)
	must(t, err)
	if len(wakes) != 1 || wakes[0].Name != "j" || !wakes[0].At.Equal(due(2)) {
		t.Errorf("got wakes %v", wakes)
	}
	if wakes, err = s.Wakes(due(1), 0); err != nil || len(wakes) != 0 {
		t.Errorf("got wakes %v, %v before the time", wakes, err)
	}
}

func TestOverlapIsDecidedWhereTheRunsAre(t *testing.T) {
	for _, c := range []struct {
		policy  trigger.Overlap
		limit   int
		want    string // the states of the runs of three fires; the first has begun
		skipped map[string]int
	}{
		{"", 0, "running - -", map[string]int{"overlap": 2}},
		{trigger.OverlapSkip, 0, "running - -", map[string]int{"overlap": 2}},
		{trigger.OverlapQueueOne, 0, "running canceled pending", map[string]int{"overlap": 1}},
		{trigger.OverlapQueueAll, 0, "running pending pending", nil},
		{trigger.OverlapQueueAll, 1, "running pending -", map[string]int{"buffer": 1}},
		{trigger.OverlapCancelOld, 0, "running canceled pending", nil},
		{trigger.OverlapKillOld, 0, "canceled canceled pending", nil},
		{trigger.OverlapAllow, 0, "running pending pending", nil},
		{trigger.OverlapAllow, 2, "running pending -", map[string]int{"overlap": 1}},
	} {
		t.Run(fmt.Sprintf("%s-%d", c.policy, c.limit), func(t *testing.T) {
			s := open(t, t.TempDir())
			spec := job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *", Overlap: c.policy, OverlapLimit: c.limit}}
			d := declare(t, s, spec)
			var states []string
			for n := range 3 {
				fired, err := s.Fire(t.Context(), firing(d, time.Time{}, n))
				must(t, err)
				if n == 0 {
					_, err := s.Assign(t.Context(), job.FireID("d", "j", due(0)), 0, "m", "")
					must(t, err)
				}
				if c.policy == trigger.OverlapCancelOld && n > 0 && !slices.Contains(fired.Canceled, job.FireID("d", "j", due(0))) {
					t.Errorf("fire %d: got %v canceled, want the run that goes on", n, fired.Canceled)
				}
				d, err = s.Job("d", "j")
				must(t, err)
			}
			for n := range 3 {
				run, err := s.Run(job.FireID("d", "j", due(n)))
				if err != nil {
					states = append(states, "-")
					continue
				}
				states = append(states, run.State.String())
			}
			if got := fmt.Sprintf("%s %s %s", states[0], states[1], states[2]); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := d.Fires.Skipped; fmt.Sprint(got) != fmt.Sprint(c.skipped) {
				t.Errorf("got skipped %v, want %v", got, c.skipped)
			}
			for _, id := range d.Fires.Active {
				if run, err := s.Run(id); err != nil || run.State.Done() {
					t.Errorf("run %s is active and %v, %v", id, run.State, err)
				}
			}
		})
	}
}

func TestAJobThatFollowsItselfIsLookedAtWhenItsRunEnds(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "delay 10s"}})
	f := firing(d, time.Time{}, 1)
	_, err := s.Fire(t.Context(), f)
	must(t, err)
	if _, ok, err := s.NextWake(); ok || err != nil {
		t.Fatalf("it is to be looked at while its run goes on: %v", err)
	}
	id := f.Runs[0].Run.ID
	_, err = s.Assign(t.Context(), id, 0, "m", "")
	must(t, err)
	must(t, s.Finish(t.Context(), id, 1, job.Succeeded, "", job.Progress{}))
	d, err = s.Job("d", "j")
	must(t, err)
	run, err := s.Run(id)
	must(t, err)
	if len(d.Fires.Active) != 0 || !d.Fires.EndedAt.Equal(run.Finished) || !d.Fires.Wake.Equal(run.Finished) {
		t.Errorf("got %+v for a run that ended at %v", d.Fires, run.Finished)
	}
}

func TestAPauseKeepsAJobFromBeingLookedAt(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *"}})
	_, err := s.Fire(t.Context(), firing(d, due(1)))
	must(t, err)
	must(t, s.PauseJob(t.Context(), "d", "j", "holidays"))
	if _, ok, err := s.NextWake(); ok || err != nil {
		t.Fatalf("a paused job is to be looked at: %v", err)
	}
	must(t, s.ResumeJob(t.Context(), "d", "j"))
	d, err = s.Job("d", "j")
	must(t, err)
	if d.Fires.PausedAt.IsZero() || !d.Fires.ResumedAt.After(d.Fires.PausedAt) || !d.Fires.Wake.Equal(d.Fires.ResumedAt) {
		t.Errorf("got %+v", d.Fires)
	}
}

func TestADeletedJobIsGoneAndItsRunsStay(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *"}}, []byte("in"))
	f := firing(d, due(2), 1)
	_, err := s.Fire(t.Context(), f)
	must(t, err)
	must(t, s.DeleteJob(t.Context(), "d", "j"))
	if wakes, err := s.Wakes(due(5), 0); err != nil || len(wakes) != 0 {
		t.Errorf("got wakes %v, %v", wakes, err)
	}
	if run, err := s.Kill(t.Context(), f.Runs[0].Run.ID, "no job"); err != nil || run.State != job.Canceled {
		t.Errorf("got %+v, %v", run, err)
	}
}

// Settlements that go together are a matter of each: what one is refused does not
// keep the others, and each gets its own answer.
func TestSettlementsTogetherAreAMatterOfEach(t *testing.T) {
	s := open(t, t.TempDir())
	var all []Firing
	for _, name := range []string{"a", "b", "c"} {
		d := declare(t, s, job.Spec{Namespace: "d", Name: name, Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *"}})
		all = append(all, firing(d, due(2), 1))
	}
	all[1].Seq++
	all = append(all, all[2])
	all[3].Name = "nobody"
	fired, errs := s.FireAll(t.Context(), all)
	for i, want := range []error{nil, ErrStale, nil, ErrNoJob} {
		if !errors.Is(errs[i], want) {
			t.Errorf("settlement %d: %v, want %v", i, errs[i], want)
		}
	}
	if fired[0].Made != 1 || fired[1].Made != 0 || fired[2].Made != 1 {
		t.Errorf("they made %d, %d and %d runs, want 1, 0 and 1", fired[0].Made, fired[1].Made, fired[2].Made)
	}
	again, errs := s.FireAll(t.Context(), all[:1])
	if errs[0] != nil || again[0].Made != 0 {
		t.Errorf("what was recorded already makes %d runs more and error %v, want none", again[0].Made, errs[0])
	}
}
