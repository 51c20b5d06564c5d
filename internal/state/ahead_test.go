package state

import (
	"errors"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// dueAhead declares a job, and returns its fire as it may be recorded ahead, and
// the run of that.
func dueAhead(t *testing.T, s *State, name string) (Firing, job.RunID) {
	t.Helper()
	d, err := s.PutJob(t.Context(), job.Spec{Namespace: "d", Name: name, Processor: "p", Tags: []string{"t"}, Schedule: trigger.Schedule{When: "0 * * * *"}}, nil, due(1), 0)
	must(t, err)
	f := firing(d, due(2), 1)
	f.Ahead = due(1)
	f.Runs[0].Run.Master, f.Runs[0].Chunks = "m", [][]byte{[]byte("a")}
	return f, f.Runs[0].Run.ID
}

func fireAhead(t *testing.T, s *State, f Firing) {
	t.Helper()
	fired, errs := s.FireAll(t.Context(), []Firing{f})
	must(t, errs[0])
	if fired[0].Made != 1 || len(fired[0].Begun) != 1 {
		t.Fatalf("got %+v, want a run that is early", fired[0])
	}
}

// TestARunThatIsRecordedAheadBeginsAtItsInstant looks at a run before and after,
// also behind a restart.
func TestARunThatIsRecordedAheadBeginsAtItsInstant(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	f, id := dueAhead(t, s, "j")
	fireAhead(t, s, f)
	watched, stop := s.Watch(id)
	defer stop()
	if run := <-watched; run.State != job.Pending {
		t.Errorf("who watches sees %+v, want a run that waits", run)
	}
	for range 2 {
		run, err := s.Run(id)
		must(t, err)
		if run.State != job.Pending || !run.NotBefore.Equal(due(1)) || run.Master != "" || run.Epoch != 0 {
			t.Errorf("it is seen as %+v, want one that waits until %v", run, due(1))
		}
		waiting, err := s.Find(job.RunQuery{Namespace: "d", States: []job.State{job.Pending}})
		must(t, err)
		if len(waiting.Runs) != 1 || waiting.Runs[0].State != job.Pending {
			t.Errorf("got %+v, want it among those that wait", waiting.Runs)
		}
		if at, ok := s.NextAhead(); !ok || !at.Equal(due(1)) {
			t.Errorf("the next instant is %v, %v, want %v", at, ok, due(1))
		}
		if goOn, err := s.Unfinished(); err != nil || len(goOn) != 0 {
			t.Errorf("got %+v, %v, want none that go on", goOn, err)
		}
		_, err = s.Assign(t.Context(), id, 1, "other", "")
		refused(t, err, ErrFenced)
		refused(t, s.Append(t.Context(), id, 1, 1, [][]byte{[]byte("b")}), ErrFenced)
		refused(t, s.Finish(t.Context(), id, 1, job.Succeeded, "", job.Progress{}), ErrFenced)
		s.Close()
		s = open(t, dir)
	}
	watched, stop = s.Watch(id)
	defer stop()
	<-watched
	for range 2 { // the second time as after an answer that was lost
		begun, err := s.BeginAhead(t.Context(), due(1))
		must(t, err)
		if len(begun) != 1 || begun[0] != id {
			t.Errorf("got %+v, want run %q to begin", begun, id)
		}
	}
	if run := <-watched; run.State != job.Running {
		t.Errorf("who watches sees %+v, want a run that has begun", run)
	}
	if at, ok := s.NextAhead(); ok {
		t.Errorf("the next instant is %v, want none", at)
	}
	run, err := s.Run(id)
	must(t, err)
	if run.State != job.Running || run.Master != "m" || run.Epoch != 1 || !run.NotBefore.IsZero() || !run.Created.Equal(due(1)) {
		t.Errorf("got %+v, want one that has begun", run)
	}
	must(t, s.Append(t.Context(), id, 1, 1, [][]byte{[]byte("b")}))
	must(t, s.PauseJob(t.Context(), "d", "j", "")) // which comes too late
	must(t, s.Finish(t.Context(), id, 1, job.Succeeded, "", job.Progress{}))
}

// TestPartsOfAnInstantBeginOneAfterAnother records two fires of an instant a
// nanosecond apart.
func TestPartsOfAnInstantBeginOneAfterAnother(t *testing.T) {
	s := open(t, t.TempDir())
	defer closed(t, s)
	var ids []job.RunID
	for i, name := range []string{"first", "second"} {
		f, id := dueAhead(t, s, name)
		f.Ahead = due(1).Add(time.Duration(i))
		fireAhead(t, s, f)
		ids = append(ids, id)
	}
	for _, id := range ids {
		run, err := s.Run(id)
		must(t, err)
		if run.State != job.Pending || !run.NotBefore.Equal(due(1)) || !run.Created.Equal(due(1)) {
			t.Errorf("%s is seen as %+v, want one that waits until %v", id, run, due(1))
		}
	}
	for i, id := range ids {
		at, ok := s.NextAhead()
		if !ok || !at.Equal(due(1).Add(time.Duration(i))) {
			t.Errorf("the next instant is %v, %v, want part %d of %v", at, ok, i, due(1))
		}
		begun, err := s.BeginAhead(t.Context(), at)
		must(t, err)
		if len(begun) != 1 || begun[0] != id {
			t.Errorf("got %+v, want run %q to begin", begun, id)
		}
	}
}

// TestWhatHappensToAJobWithdrawsWhatWasRecordedAhead has jobs changed, paused and
// deleted before their instant. What was recorded is as if it had not been.
func TestWhatHappensToAJobWithdrawsWhatWasRecordedAhead(t *testing.T) {
	for name, happens := range map[string]func(s *State) error{
		"edited": func(s *State) error {
			_, err := s.PutJob(t.Context(), job.Spec{Namespace: "d", Name: "j", Processor: "other", Schedule: trigger.Schedule{When: "0 * * * *"}}, nil, due(1), 0)
			return err
		},
		"paused":  func(s *State) error { return s.PauseJob(t.Context(), "d", "j", "not now") },
		"deleted": func(s *State) error { return s.DeleteJob(t.Context(), "d", "j") },
	} {
		t.Run(name, func(t *testing.T) {
			s, clean := open(t, t.TempDir()), open(t, t.TempDir())
			f, id := dueAhead(t, s, "j")
			dueAhead(t, clean, "j")
			fireAhead(t, s, f)
			must(t, happens(s))
			must(t, happens(clean))
			if _, err := s.Run(id); !errors.Is(err, ErrNoRun) {
				t.Errorf("run %q is there: %v", id, err)
			}
			got, want := records(t, s.kv), records(t, clean.kv)
			for _, all := range []map[string]string{got, want} {
				maps.DeleteFunc(all, func(key, _ string) bool {
					return key[0] == 'y' || key[0] == 'c' || key[0] == 'i' || key[0] == 'Z' || key[0] == 'P' || key[0] == 'R'
				})
			}
			differ(t, name, got, want)
			begun, err := s.BeginAhead(t.Context(), due(1))
			if err != nil || len(begun) != 0 {
				t.Errorf("got %+v, %v, want none to begin", begun, err)
			}
			d, err := s.Job("d", "j")
			if name == "deleted" {
				refused(t, err, ErrNoJob)
				return
			}
			must(t, err)
			if d.Fires.Runs != 0 || len(d.Fires.Active) != 0 || d.Fires.Last != "" || d.Fires.Ended {
				t.Errorf("the job has fires %+v, want none", d.Fires)
			}
			fired, err := s.Fire(t.Context(), firing(d, due(2), 1)) // when it is due
			if err != nil || fired.Made != 1 {
				t.Errorf("got %+v, %v, want the run to be made when it is due", fired, err)
			}
		})
	}
}

// TestARunThatIsEndedBeforeItsInstantDoesNotBegin cancels one.
func TestARunThatIsEndedBeforeItsInstantDoesNotBegin(t *testing.T) {
	for name, ends := range map[string]func(s *State, id job.RunID) (job.Run, error){
		"canceled": func(s *State, id job.RunID) (job.Run, error) { return s.Cancel(t.Context(), id, "why") },
		"killed":   func(s *State, id job.RunID) (job.Run, error) { return s.Kill(t.Context(), id, "why") },
		"together with others": func(s *State, id job.RunID) (job.Run, error) {
			c := s.CancelAll(t.Context(), []job.RunID{id}, "why", false)[0]
			return c.Run, c.Err
		},
	} {
		s := open(t, t.TempDir())
		f, id := dueAhead(t, s, "j")
		fireAhead(t, s, f)
		run, err := ends(s, id)
		if err != nil || run.State != job.Canceled || run.Reason != "why" {
			t.Errorf("%s: got %+v, %v, want it to have ended", name, run, err)
		}
		must(t, s.PauseJob(t.Context(), "d", "j", "")) // which has nothing to withdraw
		if begun, err := s.BeginAhead(t.Context(), due(1)); err != nil || len(begun) != 0 {
			t.Errorf("%s: got %+v, %v, want none to begin", name, begun, err)
		}
		d, err := s.Job("d", "j")
		if must(t, err); d.Fires.Runs != 1 || len(d.Fires.Active) != 0 {
			t.Errorf("%s: the job has fires %+v, want one that is over", name, d.Fires)
		}
	}
}

// TestWhatComesTooLateIsNotAhead records a fire as ahead of an instant that has
// come.
func TestWhatComesTooLateIsNotAhead(t *testing.T) {
	s := open(t, t.TempDir())
	_, err := s.BeginAhead(t.Context(), due(1))
	must(t, err)
	f, id := dueAhead(t, s, "j")
	_, err = s.Fire(t.Context(), f)
	refused(t, err, ErrStale)
	f.Ahead = time.Time{}
	fired, err := s.Fire(t.Context(), f)
	must(t, err)
	if run, err := s.Run(id); fired.Made != 1 || err != nil || run.State != job.Running {
		t.Errorf("got %+v and run %+v, %v, want one that has begun", fired, run, err)
	}
}

// TestWhatMoreHasASayInIsNotRecordedAhead has a job whose run before is not over.
func TestWhatMoreHasASayInIsNotRecordedAhead(t *testing.T) {
	s := open(t, t.TempDir())
	f, _ := dueAhead(t, s, "j")
	now := f
	now.Ahead = time.Time{}
	fired, err := s.Fire(t.Context(), now)
	must(t, err)
	if fired.Made != 1 {
		t.Fatalf("got %+v, want a run", fired)
	}
	d, err := s.Job("d", "j")
	must(t, err)
	next := firing(d, due(3), 2)
	next.Ahead, next.Runs[0].Run.Master = due(2), "m"
	_, err = s.Fire(t.Context(), next)
	refused(t, err, ErrStale)
}

// TestWhatIsRecordedAheadKeepsTheLaw makes random commands of the few that have to
// do with it.
func TestWhatIsRecordedAheadKeepsTheLaw(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	c, left := chance.IntN, 600
	obey(t, func(f *fsm) wire.Command {
		if left--; left < 0 {
			return nil
		}
		name, at := oneOf(c, "j", "k", "l"), int64(c(30))
		id := job.RunID("d/" + name + "@7")
		cmd := oneOf[wire.Command](c,
			&wire.PutJob{Namespace: "d", Name: name, At: at, Wake: at + 1, Record: []byte{byte(c(2))}},
			firedAhead(c, &wire.FireJob{Namespace: "d", Name: name, Cursor: at, Wake: oneOf(c, 0, at+1), Ended: c(4) == 0, At: at}),
			firedAhead(c, &wire.FireJob{Namespace: "d", Name: name, Cursor: at, Wake: at + 1, At: at}),
			&wire.BeginAhead{},
			oneOf[wire.Command](c,
				&wire.DeleteJob{Namespace: "d", Name: name},
				&wire.PauseJob{Namespace: "d", Name: name, At: at},
				&wire.ResumeJob{Namespace: "d", Name: name, At: at},
			),
			oneOf[wire.Command](c,
				&wire.KillRun{Run: id, At: at}, &wire.CancelRun{Run: id, At: at}, &wire.AssignRun{Run: id, Master: "m2", At: at},
				&wire.AppendEntries{Run: id, Entries: [][]byte{{1}}}, &wire.NoteRun{Run: id, Text: "this", At: at},
			),
			&wire.FinishRun{Run: id, At: at},
			&wire.ForgetRun{Run: id, At: at, Limit: 64},
		)
		return fitting(t, c, f, cmd)
	})
}
