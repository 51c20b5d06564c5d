package scheduler

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestNoMoreBeginInAnyTimeThanTheRateAllows begins runs as soon as they may,
// at any instants, and counts those of every time of the rate's length.
func TestNoMoreBeginInAnyTimeThanTheRateAllows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		r := job.Rate{N: 1 + chance.IntN(50), Per: time.Duration(1+chance.IntN(100)) * time.Second}
		w, now := new(Window), noon
		var began []time.Time
		var late time.Duration // beyond when a run could have begun
		for range 500 {
			if chance.IntN(3) == 0 {
				now = now.Add(time.Duration(chance.Int64N(int64(r.Per))))
			}
			free := w.Free(r, now)
			if len(began) >= r.N {
				exact := began[len(began)-r.N].Add(r.Per)
				if free.Before(exact) && exact.After(now) {
					t.Fatalf("rate %v: a run may begin at %v, %d began since %v", r, free, r.N, began[len(began)-r.N])
				}
				late = max(late, free.Sub(later(exact, now)))
			} else if free.After(now) {
				t.Fatalf("rate %v: only %d began, and the next may at %v", r, len(began), free)
			}
			now = later(free, now)
			w.Add(r, now)
			began = append(began, now)
			if chance.IntN(5) == 0 {
				var err error
				if w, err = WindowOf(w.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			if len(w.marks) > grain+1 {
				t.Fatalf("rate %v: %d marks are kept", r, len(w.marks))
			}
		}
		if r.N <= grain && late > 0 || late > r.Per/grain {
			t.Errorf("rate %v: a run begins %v later than it could", r, late)
		}
		if !w.Until(r).After(now) || len(w.Bytes()) == 0 {
			t.Error("nothing is left of a run that has just begun")
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A clock that goes back makes nothing free.
func TestAClockThatGoesBackFreesNothing(t *testing.T) {
	r, w := job.Rate{N: 2, Per: time.Minute}, new(Window)
	w.Add(r, noon)
	w.Add(r, noon.Add(-time.Hour))
	if free := w.Free(r, noon.Add(-time.Hour)); !free.Equal(noon.Add(time.Minute)) {
		t.Errorf("got %v", free)
	}
}
