package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/pkg/job"
)

// full returns a leader of whose runs as many go on as may.
func full(t *testing.T, max int) *leader {
	l := &leader{
		n: &Node{cfg: Config{MaxRuns: max}}, ctx: t.Context(), poke: newBell(), loads: map[string]int{},
		admit: scheduler.NewAdmission(max), waiters: scheduler.NewWaiters(),
	}
	for i := range max {
		id := job.InLot("a/b@1", i)
		l.admit.Begin(id, scheduler.Claim{}, time.Now())
		l.masterLocked(id, "m")
	}
	return l
}

// TestWhoSubmitsManyWaitsForRoom until there is as much as that, or half of all.
func TestWhoSubmitsManyWaitsForRoom(t *testing.T) {
	for want, runs := range map[int]int{3: 3, 4: 100} {
		synctest.Test(t, func(t *testing.T) {
			l, done := full(t, 8), make(chan struct{})
			began := time.Now()
			go func() {
				l.awaitRoom(runs)
				close(done)
			}()
			for i := range want {
				synctest.Wait()
				select {
				case <-done:
					t.Fatalf("%d runs were let in where %d had ended", runs, i)
				default:
				}
				l.release(job.InLot("a/b@1", i))
			}
			<-done
			if waited := time.Since(began); waited > 0 || len(l.wanted) > 0 {
				t.Errorf("%d runs waited for %v, and %d still do", runs, waited, len(l.wanted))
			}
		})
	}
}

// TestWhoSubmitsManyWaitsNoLongerThanAMoment where no run ends.
func TestWhoSubmitsManyWaitsNoLongerThanAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := full(t, 8), time.Now()
		l.awaitRoom(2)
		if waited := time.Since(began); waited != roomWithin {
			t.Errorf("it took %v, want %v", waited, roomWithin)
		}
		l.release(job.InLot("a/b@1", 0))
		if len(l.wanted) > 0 {
			t.Error("it is remembered for ever")
		}
		l.awaitRoom(1)
		if waited := time.Since(began); waited != roomWithin {
			t.Errorf("there is room, and it took %v more", waited-roomWithin)
		}
	})
}
