package state

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// listening is a job that is due for events, and may have so many runs at a
// time.
func listening(t *testing.T, s *State, limit int) job.Declared {
	t.Helper()
	return declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "event e", OverlapLimit: limit}})
}

// tell sends events with the given IDs.
func tell(t *testing.T, s *State, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_, err := s.PutEvent(t.Context(), job.Event{Namespace: "d", Name: "e", ID: id})
		must(t, err)
	}
}

// hearing is a settlement of d that reads letters up to and without one, and
// makes the runs of some fires.
func hearing(d job.Declared, upto uint64, fires ...int) Firing {
	f := firing(d, time.Time{}, fires...)
	f.Cursor, f.Heard = d.Fires.Cursor, &Heard{Upto: upto}
	for seq := d.Fires.Heard; seq < upto; seq++ {
		f.Heard.Consumed = append(f.Heard.Consumed, seq)
	}
	return f
}

// mailed reports whether somebody is to read the letters of a job.
func mailed(t *testing.T, s *State) bool {
	t.Helper()
	all, err := s.Mail(10)
	must(t, err)
	return len(all) > 0
}

func TestAnEventIsToldOnce(t *testing.T) {
	s := open(t, t.TempDir())
	listening(t, s, 0)
	for i, want := range []Told{{Jobs: 1}, {Jobs: 1, Known: true}} {
		if got, err := s.PutEvent(t.Context(), job.Event{Namespace: "d", Name: "e", ID: "x"}); err != nil || got != want {
			t.Errorf("sent %d times: got %+v, %v, want %+v", i+1, got, err, want)
		}
	}
	if d := settled(t, s); d.Fires.Waiting != 1 {
		t.Errorf("%d letters wait, want 1", d.Fires.Waiting)
	}
	if got, err := s.PutEvent(t.Context(), job.Event{Namespace: "other", Name: "e", ID: "x"}); err != nil || got != (Told{}) {
		t.Errorf("in another namespace: got %+v, %v, want it told to nobody", got, err)
	}
}

func TestAJobHasItsLettersReadWhileThereIsRoom(t *testing.T) {
	s := open(t, t.TempDir())
	d := listening(t, s, 2)
	tell(t, s, "a", "b", "c", "d")
	if !mailed(t, s) {
		t.Fatal("nobody is to read the letters")
	}
	_, err := s.Fire(t.Context(), hearing(d, 1, 1))
	must(t, err)
	if !mailed(t, s) {
		t.Error("there is room for a run, and nobody is to read the other letters")
	}
	_, err = s.Fire(t.Context(), hearing(settled(t, s), 2, 2))
	must(t, err)
	if mailed(t, s) {
		t.Error("the letters are to be read, and there is no room for a run")
	}
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(1)), "over")
	must(t, err)
	if !mailed(t, s) {
		t.Error("a run has ended, and nobody is to read the letters that wait for that")
	}
	_, err = s.Fire(t.Context(), hearing(settled(t, s), 4))
	must(t, err)
	if mailed(t, s) {
		t.Error("all letters were read, and somebody is to read them")
	}
}

// While a job is full nothing can be settled, so only the end that makes room
// has to invalidate what somebody is about to settle.
func TestTheEndOfARunDelaysNoSettlementThatHadRoom(t *testing.T) {
	s := open(t, t.TempDir())
	_, err := s.Fire(t.Context(), hearing(listening(t, s, 2), 0, 1))
	must(t, err)
	tell(t, s, "a", "b")
	d := settled(t, s)
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(1)), "over")
	must(t, err)
	_, err = s.Fire(t.Context(), hearing(d, 1, 2, 3))
	must(t, err)
	d = settled(t, s)
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(2)), "over")
	must(t, err)
	_, err = s.Fire(t.Context(), hearing(d, 1))
	refused(t, err, ErrStale)
}

// What waited for its time had no room then.
func TestAJobThatIsLateForWantOfRoomIsLookedAtWhenARunEnds(t *testing.T) {
	s := open(t, t.TempDir())
	f := hearing(listening(t, s, 1), 0, 1)
	f.Wake = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := s.Fire(t.Context(), f)
	must(t, err)
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(1)), "over")
	must(t, err)
	if at, ok, err := s.NextWake(); err != nil || !ok || !at.Before(f.Wake) {
		t.Errorf("it is looked at on %v, %v, %v, want it before %v", at, ok, err, f.Wake)
	}
}

func TestAnEventThatOneInboxHasNoRoomForIsToldToNobody(t *testing.T) {
	s := open(t, t.TempDir())
	listening(t, s, 0)
	data := bytes.Repeat([]byte("1"), job.MaxEventData)
	most := maxLetterBytes / job.MaxEventData // one less, for what letters take besides
	for i := range most {
		_, err := s.PutEvent(t.Context(), job.Event{Namespace: "d", Name: "e", ID: fmt.Sprint(i), Data: data})
		if i < most-1 {
			must(t, err)
			continue
		}
		refused(t, err, ErrOverloaded)
	}
	declare(t, s, job.Spec{Namespace: "d", Name: "k", Processor: "p", Schedule: trigger.Schedule{When: "event e"}})
	_, err := s.PutEvent(t.Context(), job.Event{Namespace: "d", Name: "e", ID: "more", Data: data})
	refused(t, err, ErrOverloaded)
	other, err := s.Job("d", "k")
	must(t, err)
	if other.Fires.Waiting != 0 || settled(t, s).Fires.Waiting != most-1 {
		t.Errorf("%d and %d letters wait, want none and %d", other.Fires.Waiting, settled(t, s).Fires.Waiting, most-1)
	}
}

// The job is due at times now, and the letters of its former trigger are nobody's.
func TestAJobThatListensNoMoreHasNoLetters(t *testing.T) {
	s := open(t, t.TempDir())
	listening(t, s, 0)
	tell(t, s, "a", "b")
	declare(t, s, hourly("", 0))
	if mailed(t, s) {
		t.Error("the letters are to be read, and the job is due at times")
	}
	must(t, s.sweepLetters(t.Context()))
	if d := listening(t, s, 0); d.Fires.Waiting != 0 || mailed(t, s) {
		t.Errorf("%d letters of an earlier trigger wait", d.Fires.Waiting)
	}
	tell(t, s, "c")
	letters, _, err := s.Inbox("d", "j", settled(t, s).Fires.Heard, 10)
	must(t, err)
	if len(letters) != 1 || letters[0].ID != "c" {
		t.Errorf("got %+v, want what came since", letters)
	}
}
