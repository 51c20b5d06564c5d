package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// operation is a bulk operation that cancels.
func operation(id string) job.Operation {
	return job.Operation{ID: id, Created: noon, Bulk: job.Bulk{Namespace: "default", Verb: job.BulkCancel, Job: "nightly", Reason: "no need", By: "alice"}}
}

// begun begins an operation.
func begun(t *testing.T, s *State, o job.Operation, selection ...string) job.Operation {
	t.Helper()
	got, err := s.BeginOperation(t.Context(), o, selection)
	must(t, err)
	return got
}

// An operation goes on where it was left, whoever leads, and a step that is
// recorded twice counts once.
func TestAnOperationGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	first := begun(t, s, operation("a"), "default/x@1", "default/x@2")
	if again := begun(t, s, operation("a"), "default/x@1", "default/x@2"); !reflect.DeepEqual(again, first) {
		t.Errorf("asked again: got %+v, want %+v", again, first)
	}
	other := operation("a")
	other.Bulk.Reason = "another"
	_, err := s.BeginOperation(t.Context(), other, nil)
	refused(t, err, ErrExists)

	step := OperationStep{Reached: "1", Done: 1, Refused: 1, Refusals: []job.Refusal{{Name: "default/x@2", Why: "it is not there"}}}
	for range 2 {
		_, err := s.AdvanceOperation(t.Context(), "default", "a", step)
		must(t, err)
	}
	_, err = s.AdvanceOperation(t.Context(), "default", "a", OperationStep{Step: 2})
	refused(t, err, ErrConflict)
	must(t, s.snapshot())
	closed(t, s)

	s = open(t, dir)
	all, err := s.Opened()
	must(t, err)
	want := first
	want.Reached, want.Done, want.Refused, want.Refusals, want.Steps = "1", 1, 1, step.Refusals, 1
	if len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("got %+v, want %+v alone", all, want)
	}
	names, err := s.Selection("default", "a")
	must(t, err)
	if !slices.Equal(names, []string{"default/x@1", "default/x@2"}) {
		t.Errorf("got %q selected", names)
	}
	_, err = s.AdvanceOperation(t.Context(), "default", "a", OperationStep{Step: 1, Reached: "2", State: job.OperationDone})
	must(t, err)
	if all, err := s.Opened(); err != nil || len(all) != 0 {
		t.Errorf("got %+v, %v, want that it is over", all, err)
	}
	_, err = s.Selection("default", "a")
	refused(t, err, ErrNoOperation)
	o, err := s.CancelOperation(t.Context(), "default", "a", "too late")
	must(t, err)
	if o.State != job.OperationDone || o.Ended.IsZero() || o.Reason != "" {
		t.Errorf("got %+v, want it done still", o)
	}
}

// What a leader has done and not recorded when somebody cancels is not counted,
// and the operation stays cancelled.
func TestACanceledOperationStaysSo(t *testing.T) {
	s := open(t, t.TempDir())
	begun(t, s, operation("a"))
	for _, why := range []string{"enough", "again"} {
		o, err := s.CancelOperation(t.Context(), "default", "a", why)
		must(t, err)
		if o.State != job.OperationCanceled || o.Reason != "enough" {
			t.Errorf("got %+v, want it canceled for the first reason", o)
		}
	}
	_, err := s.AdvanceOperation(t.Context(), "default", "a", OperationStep{Done: 7})
	refused(t, err, ErrFinal)
	_, err = s.CancelOperation(t.Context(), "other", "a", "")
	refused(t, err, ErrNoOperation)
	_, err = s.AdvanceOperation(t.Context(), "default", "b", OperationStep{})
	refused(t, err, ErrNoOperation)
}

// The first refusals are kept, cut to what is bounded, and all are counted.
func TestRefusalsAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	begun(t, s, operation("a"))
	for step := range 3 {
		p := OperationStep{Step: step, Refused: 15}
		for i := range 15 {
			p.Refusals = append(p.Refusals, job.Refusal{Name: fmt.Sprintf("default/x@%d-%d", step, i), Why: strings.Repeat("x", 2*maxWhy)})
		}
		_, err := s.AdvanceOperation(t.Context(), "default", "a", p)
		must(t, err)
	}
	o, err := s.Operation("default", "a")
	must(t, err)
	if len(o.Refusals) != job.MaxRefusals || o.Refusals[19].Name != "default/x@1-4" || len(o.Refusals[0].Why) != maxWhy || o.Refused != 45 {
		t.Errorf("got %d refusals of %d, the last %q", len(o.Refusals), o.Refused, o.Refusals[len(o.Refusals)-1].Name)
	}
}

// TestAnOperationIsBegunOncePerKey also after it is over, as long as it is
// remembered.
func TestAnOperationIsBegunOncePerKey(t *testing.T) {
	s := open(t, t.TempDir())
	o := operation("a")
	o.Bulk.Once = "tour"
	begun(t, s, o)
	o.ID = "b"
	if got := begun(t, s, o); got.ID != "a" {
		t.Errorf("got %s, want the first", got.ID)
	}
	elsewhere := o
	elsewhere.Bulk.Namespace = "other"
	if got := begun(t, s, elsewhere); got.ID != "b" {
		t.Errorf("got %s of another namespace, want another", got.ID)
	}
	_, err := s.CancelOperation(t.Context(), "default", "a", "")
	must(t, err)
	if got := begun(t, s, o); got.ID != "a" || got.State != job.OperationCanceled {
		t.Errorf("got %+v, want the first as it is", got)
	}
	must(t, s.ForgetOperations(t.Context(), 0, noon))
	if got := begun(t, s, o); got.ID != "b" {
		t.Errorf("got %s, want a new one once the first is forgotten", got.ID)
	}
}

// Those that go on are never forgotten, of the others the oldest of each
// namespace first.
func TestOperationsAreForgottenByAgeAndCount(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 6 {
		o := operation(fmt.Sprintf("o%d", i))
		o.Created = noon.Add(time.Duration(i) * time.Hour)
		begun(t, s, o)
		if i != 0 {
			_, err := s.CancelOperation(t.Context(), "default", o.ID, "")
			must(t, err)
		}
	}
	elsewhere := operation("e0")
	elsewhere.Bulk.Namespace = "other"
	begun(t, s, elsewhere)
	_, err := s.CancelOperation(t.Context(), "other", "e0", "")
	must(t, err)
	ids := func(q job.OperationQuery) (all []string) {
		for {
			page, err := s.Operations(q)
			must(t, err)
			for _, o := range page.Operations {
				all = append(all, o.ID)
			}
			if q.After = page.Next; page.Next == "" {
				return all
			}
		}
	}
	for _, c := range []struct {
		keep   int
		before time.Time
		want   string
	}{
		{100, time.Time{}, "o0 o1 o2 o3 o4 o5 e0"},
		{100, noon.Add(90 * time.Minute), "o0 o2 o3 o4 o5"},
		{2, time.Time{}, "o0 o4 o5"},
	} {
		must(t, s.ForgetOperations(t.Context(), c.keep, c.before))
		got := strings.Join(append(ids(job.OperationQuery{Namespace: "default", Limit: 2}), ids(job.OperationQuery{Namespace: "other"})...), " ")
		if got != c.want {
			t.Errorf("keep %d, before %v: got %q, want %q", c.keep, c.before, got, c.want)
		}
	}
	if got := strings.Join(ids(job.OperationQuery{Namespace: "default", Backward: true, Limit: 1}), " "); got != "o5 o4 o0" {
		t.Errorf("backward: got %q", got)
	}
	if got := strings.Join(ids(job.OperationQuery{Namespace: "default", State: job.OperationRunning, Limit: 1}), " "); got != "o0" {
		t.Errorf("those that go on: got %q", got)
	}
}

// TestRunsThatComeLaterAreNotMeant whatever their clocks say: the first of them
// says that it was created a day before the operation.
func TestRunsThatComeLaterAreNotMeant(t *testing.T) {
	s := open(t, t.TempDir())
	create := func(id string, at time.Time, mark func(*job.Run)) {
		t.Helper()
		run := newRun(id)
		run.Created = at
		if mark != nil {
			mark(&run)
		}
		_, err := s.Create(t.Context(), run, nil)
		must(t, err)
	}
	day := 24 * time.Hour
	create("default/nightly@b", noon.Add(day), nil)
	create("default/nightly@d", noon, func(r *job.Run) { r.Master = "m1" })
	create("default/nightly@e", noon, func(r *job.Run) { r.Key, r.Spec.Tags = "k", []string{"red", "blue"} })
	create("default/nightly@over", noon, nil)
	_, err := s.Kill(t.Context(), "default/nightly@over", "")
	must(t, err)
	begun(t, s, operation("o"))
	create("default/nightly@a", noon.Add(-day), nil)
	create("default/nightly@c", noon, nil)

	all := func(b job.Bulk, operation string) string {
		var names []string
		for after := job.RunID(""); ; {
			ids, next, err := s.Meant(&b, operation, after, 2)
			must(t, err)
			for _, id := range ids {
				names = append(names, strings.TrimPrefix(string(id), "default/nightly@"))
			}
			if after = next; after == "" {
				return strings.Join(names, " ")
			}
		}
	}
	b := operation("o").Bulk.WithDefaults()
	if got, want := all(b, "o"), "b d e"; got != want {
		t.Errorf("of the operation: got %q, want %q", got, want)
	}
	if got, want := all(b, ""), "a b c d e"; got != want {
		t.Errorf("at present: got %q, want %q", got, want)
	}
	b.Key = "k"
	if got, want := all(b, ""), "e"; got != want {
		t.Errorf("of a key: got %q, want %q", got, want)
	}
	b.Key, b.Tags = "", []string{"red"}
	if got, want := all(b, ""), "e"; got != want {
		t.Errorf("of a tag: got %q, want %q", got, want)
	}

	again := job.Bulk{Namespace: "default", Verb: job.BulkRetry}.WithDefaults()
	if got, want := all(again, ""), "over"; got != want {
		t.Errorf("to be tried again: got %q, want %q", got, want)
	}
	create("default/nightly@over#2", noon, func(r *job.Run) { r.Of, r.Attempt = "default/nightly@over", 2 })
	if got := all(again, ""); got != "" {
		t.Errorf("tried again: got %q, want none", got)
	}
}

// TestManyRunsEndEarly some that wait, some that have begun, one that is over
// and one that is not there, now or as their masters will.
func TestManyRunsEndEarly(t *testing.T) {
	for _, now := range []bool{false, true} {
		t.Run(fmt.Sprintf("now %v", now), func(t *testing.T) {
			s := open(t, t.TempDir())
			var ids []job.RunID
			for i := range 2 * groupCommands {
				run := newRun(fmt.Sprintf("default/nightly@%05d", i))
				if i%2 == 0 {
					run.Master = "m1"
				}
				_, err := s.Create(t.Context(), run, nil)
				must(t, err)
				ids = append(ids, run.ID)
			}
			_, err := s.Kill(t.Context(), ids[4], "before")
			must(t, err)
			ids[7] = "default/nightly@never"
			for i, c := range s.CancelAll(t.Context(), ids, "no need", now) {
				switch {
				case i == 7:
					refused(t, c.Err, ErrNoRun)
				case i == 4:
					if !c.Over || c.Err != nil {
						t.Errorf("what is over: got %+v", c)
					}
				case c.Err != nil || c.Run.ID != ids[i] || c.Run.CancelReason != "no need":
					t.Fatalf("run %d: got %+v", i, c)
				case c.Asked != (i%2 == 0 && !now) || c.Run.State.Done() == c.Asked:
					t.Fatalf("run %d: got %+v", i, c)
				}
			}
			for i, c := range s.CancelAll(t.Context(), ids, "again", now) {
				if i != 7 && (c.Err != nil || c.Over == c.Asked) {
					t.Fatalf("once more, run %d: got %+v", i, c)
				}
				if c.Asked && c.Run.CancelReason != "no need" {
					t.Fatalf("once more, run %d: got %+v, want the first reason", i, c)
				}
			}
		})
	}
}

// A run that ends while others are ended with it has ended by itself: whoever
// counts ends must not count it twice.
func TestWhatEndsMeanwhileHasEndedByItself(t *testing.T) {
	for _, now := range []bool{false, true} {
		var s *State
		var meanwhile func()
		cfg := config(t.TempDir())
		cfg.Now = func() time.Time { // it is asked once all were looked at
			if f := meanwhile; f != nil {
				meanwhile = nil
				f()
			}
			return noon
		}
		s, err := openLone(t.Context(), cfg)
		must(t, err)
		t.Cleanup(func() { closed(t, s) })
		a, b := created(t, s, "default/nightly@a"), created(t, s, "default/nightly@b")
		meanwhile = func() { must(t, s.Finish(t.Context(), a, 1, job.Succeeded, "", job.Progress{})) }
		all := s.CancelAll(t.Context(), []job.RunID{a, b}, "no need", now)
		if got := all[0]; got.Err != nil || !got.Over || got.Asked || got.Run.State != job.Succeeded {
			t.Errorf("now %v: got %+v, want that it has succeeded", now, got)
		}
		if got := all[1]; got.Err != nil || got.Over || got.Asked == now {
			t.Errorf("now %v: got %+v of the other", now, got)
		}
	}
}

func TestOperationsThatCannotBeAreRefused(t *testing.T) {
	s := open(t, t.TempDir())
	for _, o := range []job.Operation{{}, {ID: "a"}, {ID: "a\x00", Bulk: job.Bulk{Namespace: "d"}}, {ID: "a", Bulk: job.Bulk{Namespace: "d", Reason: strings.Repeat("x", maxOperation)}}} {
		if _, err := s.BeginOperation(t.Context(), o, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.50v: got %v, want %v", o, err, ErrInvalid)
		}
	}
}
