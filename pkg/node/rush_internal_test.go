package node

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// rushes returns a crowd that has a worker of a window, and what tells whether there
// is a rush when so many runs are due.
func rushes(t *testing.T, window int) (c *crowd, rush func(due int) bool) {
	m := &masters{ctx: t.Context()}
	m.crowd, m.standby = newCrowd(m), newStandby(m)
	c = m.crowd
	c.places["w"] = &place{window: window}
	return c, func(due int) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		c.waiting[code{}] = make([]*small, due)
		return c.rushLocked()
	}
}

func TestARushIsOfVeryManyQuickRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, slow := rushes(t, 4)
		if slow(10 * manyDue) {
			t.Error("there is a rush where what is executed takes longer than its record")
		}
		_, rush := rushes(t, fewDue)
		for _, at := range []struct {
			due  int
			want bool
		}{{manyDue - 1, false}, {manyDue, true}, {manyDue - 1, true}, {fewDue, true}, {fewDue - 1, false}, {manyDue - 1, false}} {
			if got := rush(at.due); got != at.want {
				t.Errorf("with %d runs due: got %v, want %v", at.due, got, at.want)
			}
		}
	})
}

func TestWhatIsOnHoldForTheInstantThatHasComeIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, rush := rushes(t, fewDue)
		c.m.standby.instants[7] = &awaited{runs: manyDue}
		if rush(fewDue) {
			t.Error("there is a rush before the instant has come")
		}
		if c.m.standby.came = 7; !rush(fewDue) {
			t.Error("there is no rush though very many are about to begin")
		}
	})
}

// TestARushEndsWhenNothingIsReported has a worker stop in the middle, as one does
// that waits for an answer, and one that goes on for too long.
func TestARushEndsWhenNothingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, rush := rushes(t, fewDue)
		pass := func(d time.Duration) { // in the bubble, where it takes none
			time.Sleep(d)
			synctest.Wait()
		}
		rush(manyDue)
		pass(rushPause - time.Millisecond)
		if !rush(manyDue) {
			t.Error("the rush is over before the pause is")
		}
		ended := func(n int) {
			c.m.mu.Lock()
			defer c.m.mu.Unlock()
			c.ended, c.recording = make([]*small, n), true // so that nobody does
		}
		ended(1)
		pass(2 * time.Millisecond)
		if rush(manyDue) {
			t.Error("the rush goes on though nothing is reported")
		}
		ended(0)
		rush(manyDue)
		if !rush(manyDue) {
			t.Error("there is no rush again once all is recorded")
		}

		began := time.Now()
		for rush(manyDue) && time.Since(began) < 2*rushWithin {
			c.with(func() { c.rush.goOn() })
			pass(rushPause / 2)
			ended(1)
		}
		if took := time.Since(began); took < rushWithin-rushPause || took > rushWithin+rushPause {
			t.Errorf("a rush with reports took %v, want %v", took, rushWithin)
		}
		rush(0)
	})
}

func TestARushRecordsBeforeItsWorkersMustWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, rush := rushes(t, fewDue)
		c.endedBytes = rushBytes
		if rush(manyDue) {
			t.Error("what is to be recorded is as much as workers send without an answer")
		}
		rush(0)
	})
}

func TestVeryManyOfAnInstantAreParts(t *testing.T) {
	at := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	full := &storm{of: make(map[job.RunID]*held, partRuns)}
	for i := range partRuns {
		full.of[job.RunID(fmt.Sprint(i))] = nil
	}
	s := &storms{instants: map[int64]*storm{}}
	for part := range 3 {
		if got, want := s.partOf(at), at.Add(time.Duration(part)); !got.Equal(want) {
			t.Errorf("got part %v, want %v", got, want)
		}
		s.instants[at.UnixNano()+int64(part)] = full
	}
}
