package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// several returns n runs to create under a master, with one entry each.
func several(n int) []Creation {
	all := make([]Creation, n)
	for i := range all {
		all[i] = Creation{Run: newRun(fmt.Sprintf("default/nightly@%05d", i)), Chunks: [][]byte{[]byte("task")}}
		all[i].Run.Master = "m1"
	}
	return all
}

// endings returns how the runs that several returns end.
func endings(n int) []Ending {
	all := make([]Ending, n)
	for i, c := range several(n) {
		all[i] = Ending{
			Run: c.Run.ID, Epoch: 1, State: job.Succeeded, Progress: job.Progress{Tasks: 1, Done: 1},
			First: 1, Last: fmt.Appendf(nil, "outcome %d", i), Plain: true,
		}
	}
	return all
}

// finisher is a way to end many runs.
type finisher func(*State, context.Context, []Ending) []error

// finishing tries something with either way.
func finishing(t *testing.T, try func(t *testing.T, finish finisher)) {
	t.Run("all servers know how", func(t *testing.T) { try(t, (*State).FinishAll) })
	t.Run("one is older", func(t *testing.T) { try(t, (*State).finishInSteps) })
}

// TestManyRunsAtOnceAreWhatTheyWouldBeOneByOne creates and ends more runs than
// one entry of the log holds, twice, beside one that was made the usual way.
func TestManyRunsAtOnceAreWhatTheyWouldBeOneByOne(t *testing.T) {
	finishing(t, func(t *testing.T, finish finisher) {
		s, n := open(t, t.TempDir()), 2*entryCommands+7
		all := several(n)
		usual, err := s.Create(t.Context(), all[0].Run, all[0].Chunks)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for i, c := range s.CreateAll(t.Context(), all) {
				if c.Err != nil {
					t.Fatal(c.Err)
				}
				want, err := s.Run(all[i].Run.ID)
				if err != nil {
					t.Fatal(err)
				}
				if want.History = nil; !reflect.DeepEqual(c.Run, want) {
					t.Fatalf("got %+v, want %+v", c.Run, want)
				}
			}
		}
		if again, err := s.Create(t.Context(), all[0].Run, all[0].Chunks); err != nil || !reflect.DeepEqual(again, usual) {
			t.Fatalf("got %+v, %v, want %+v", again, err, usual)
		}
		for range 2 {
			for _, err := range finish(s, t.Context(), endings(n)) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, e := range endings(n) {
			run, err := s.Run(e.Run)
			if err != nil || run.State != job.Succeeded || run.Progress.Done != 1 {
				t.Fatalf("got %v and %+v, %v, want it to have succeeded", run.State, run.Progress, err)
			}
			if got, err := s.Entry(e.Run, 1); err != nil || string(got) != fmt.Sprintf("outcome %d", i) {
				t.Fatalf("got %q, %v, want outcome %d", got, err, i)
			}
		}
		if left, err := s.Uncompacted(0); err != nil || len(left) > 0 {
			t.Errorf("got %v, %v, want nothing left to compact", left, err)
		}
		if got, err := s.FinishedRuns("default", "nightly"); err != nil || got != n {
			t.Errorf("got %d ended runs, %v, want %d", got, err, n)
		}
		for _, c := range s.CreateAll(t.Context(), all) { // who asks again is told how it ended
			if c.Err != nil || c.Run.State != job.Succeeded {
				t.Fatalf("got %v, %v, want the run that has succeeded", c.Run.State, c.Err)
			}
		}
	})
}

// TestWhatOneOfManyIsRefusedTheOthersGet has one in the middle that can't be.
func TestWhatOneOfManyIsRefusedTheOthersGet(t *testing.T) {
	finishing(t, func(t *testing.T, finish finisher) {
		s := open(t, t.TempDir())
		all := several(5)
		created(t, s, "default/nightly@00002", []byte("another"))
		all[3].Run.ID = ""
		for i, c := range s.CreateAll(t.Context(), all) {
			want := map[int]error{2: ErrExists, 3: ErrInvalid}[i]
			if !errors.Is(c.Err, want) {
				t.Errorf("run %d: got %v, want %v", i, c.Err, want)
			}
		}
		ends := endings(5)
		ends[1].Epoch = 2
		for i, err := range finish(s, t.Context(), ends) {
			want := map[int]error{1: ErrFenced, 3: ErrNoRun}[i]
			if !errors.Is(err, want) {
				t.Errorf("run %d: got %v, want %v", i, err, want)
			}
		}
		if _, err := s.Entry(ends[1].Run, 1); !errors.Is(err, ErrNoEntry) {
			t.Errorf("got %v, want no entry of a master that is fenced", err)
		}
	})
}

// TestManyRunsAreForgottenAtOnce leaves those that go on, and no record of the
// others.
func TestManyRunsAreForgottenAtOnce(t *testing.T) {
	s, n := open(t, t.TempDir()), entryCommands
	var ids []job.RunID
	for _, c := range s.CreateAll(t.Context(), several(n)) {
		if c.Err != nil {
			t.Fatal(c.Err)
		}
		ids = append(ids, c.Run.ID)
	}
	s.FinishAll(t.Context(), endings(n)[1:])
	if err := s.ForgetAll(t.Context(), ids); !errors.Is(err, ErrNotFinal) {
		t.Errorf("got %v, want %v for the one that goes on", err, ErrNotFinal)
	}
	runs, err := s.Runs("", n)
	if err != nil || len(runs) != 1 || runs[0].ID != ids[0] {
		t.Errorf("got %d runs, %v, want the one that goes on", len(runs), err)
	}
	for _, kind := range "rhjlewg" {
		for p, err := range s.kv.Scan([]byte{byte(kind)}) {
			if err != nil {
				t.Fatal(err)
			}
			if id := string(ids[0]); kind == 'e' || kind == 'w' || kind == 'g' || !bytes.Contains(p.Key, []byte(id)) {
				t.Fatalf("record %q is left", p.Key)
			}
		}
	}
}

// TestARunDoesNotEndWithoutItsOutcome has another entry where the outcome is to
// be: of a conductor in the same epoch, which the master did not know of.
func TestARunDoesNotEndWithoutItsOutcome(t *testing.T) {
	finishing(t, func(t *testing.T, finish finisher) {
		s := open(t, t.TempDir())
		for _, c := range s.CreateAll(t.Context(), several(3)) {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
		}
		ends := endings(3)
		if err := s.Append(t.Context(), ends[1].Run, 1, 1, [][]byte{[]byte("another")}); err != nil {
			t.Fatal(err)
		}
		for i, err := range finish(s, t.Context(), ends) {
			if want := map[int]error{1: ErrConflict}[i]; !errors.Is(err, want) {
				t.Errorf("run %d: got %v, want %v", i, err, want)
			}
		}
		for i, e := range ends {
			run, err := s.Run(e.Run)
			if want := map[int]job.State{0: job.Succeeded, 1: job.Running, 2: job.Succeeded}[i]; err != nil || run.State != want {
				t.Errorf("run %d is %v, %v, want %v", i, run.State, err, want)
			}
		}
	})
}

// TestTheEndsOfManyRunsAreToldWithTheirOutcomes waits for some that go on and
// for some that have ended, with a short outcome and with a long one.
func TestTheEndsOfManyRunsAreToldWithTheirOutcomes(t *testing.T) {
	s := open(t, t.TempDir())
	const n = 6
	for _, c := range s.CreateAll(t.Context(), several(n)) {
		must(t, c.Err)
	}
	all := endings(n)
	for i := range all {
		if i%3 == 0 {
			all[i].Last = bytes.Repeat(all[i].Last, shortBytes)
		}
	}
	finish := func(some []Ending) {
		t.Helper()
		for _, err := range s.FinishAll(t.Context(), some) {
			must(t, err)
		}
	}
	finish(all[:n/2])
	ends := s.Ends()
	defer ends.Stop()
	ids := []job.RunID{"d/nobody@1"}
	for i := range all {
		ids = append(ids, all[i].Run)
	}
	if unknown, err := ends.Add(ids...); !slices.Equal(unknown, ids[:1]) || err != nil {
		t.Errorf("got %v unknown, %v, want %v", unknown, err, ids[:1])
	}
	finish(all[n/2:])
	<-ends.Ready()
	over := ends.Take()
	if len(over) != n {
		t.Fatalf("%d runs are said to have ended, want %d", len(over), n)
	}
	for i, end := range over {
		run, entries, err := s.Outcome(end, 8)
		must(t, err)
		if run.ID != all[i].Run || run.State != job.Succeeded || run.Epoch != 1 || run.Progress.Done != 1 {
			t.Errorf("got %s, %v in epoch %d, %+v, want %s to have succeeded", run.ID, run.State, run.Epoch, run.Progress, all[i].Run)
		}
		if len(entries) != 2 || entries[1].Seq != 1 || !bytes.Equal(entries[1].Data, all[i].Last) {
			t.Errorf("run %s: got %d entries, want its outcome as the last of 2", run.ID, len(entries))
		}
	}
}
