package scheduler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestWhoMayBeginIsAsked lets runs come, begin and end at random, and has only
// those asked that may have waited for what happened. Whoever may begin must.
func TestWhoMayBeginIsAsked(t *testing.T) {
	for range 30 {
		asked(t, rand.Uint64())
	}
}

func asked(t *testing.T, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, 0))
	a, turns, b, waiters := NewAdmission(30), NewTurns(), &backlog{}, NewWaiters()
	runs, going, now, n := map[job.RunID]*job.Run{}, []job.RunID(nil), noon, 0
	namespaces := map[string][]job.Limit{"m": {{Running: 3}}, "n": {{By: job.ByKey, Running: 2}, {Rate: "5/3s"}}}
	jobs := map[string][]job.Limit{"a": {{Running: 2}}, "b": {{By: job.ByKey, Running: 1}}, "c": {{By: job.ByKey, Rate: "2/4s"}}, "d": nil}
	claim := func(id job.RunID) Claim { return ClaimOf(runs[id], namespaces[id.Namespace()]) }
	full, passes := 0, 0
	for range 600 {
		for range chance.IntN(3) {
			name, key := string("abcd"[chance.IntN(4)]), []string{"", "k", "l"}[chance.IntN(3)]
			n++
			run := some(job.RunID(fmt.Sprintf("%c/%s@%d", "mn"[chance.IntN(2)], name, n)), key, jobs[name]...)
			runs[run.ID] = run
			p := Place{chance.IntN(2), run.ID.Namespace(), name, key, noon.Add(time.Duration(n)), run.ID}
			b.add(p)
			waiters.Came(p)
		}
		for len(going) > 0 && chance.IntN(3) > 0 {
			i := chance.IntN(len(going))
			if waiters.Ended(a.End(going[i])); len(going) == 29 {
				waiters.All()
			}
			going = slices.Delete(going, i, i+1)
		}
		now = now.Add(time.Duration(chance.Int64N(int64(time.Second))))
		if next := waiters.Next(); !waiters.all && len(waiters.again) == 0 && !next.IsZero() && next.After(now) {
			now = next // nobody looks before that
		}
		places, all := waiters.Take(now)
		if passes++; all {
			full++
		}
		among := Backlog(b)
		if !all {
			among = Within(b, places)
		}
		var began []Place
		_, err := turns.Choose(among, math.MaxInt, func(p Place) (Answer, error) {
			if !all && !slices.ContainsFunc(places, func(q Place) bool { return q.Compare(p) <= 0 && p.Compare(q.behind()) < 0 }) {
				t.Fatalf("seed %d: %+v is asked, and %+v are to be", seed, p, places)
			}
			c := claim(p.ID)
			if w := a.Wait(c, now); w.Blocks != BlocksNothing {
				waiters.Wait(p, w)
				return Answer{Blocks: w.Blocks}, nil
			}
			a.Begin(p.ID, c, now)
			going, began = append(going, p.ID), append(began, p)
			return Answer{Begins: true}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range began {
			b.remove(p)
		}
		seen := map[Place]bool{}
		for _, p := range b.places {
			if seen[p.line()] {
				continue
			}
			seen[p.line()] = true
			if w := a.Wait(claim(p.ID), now); w.Blocks == BlocksNothing {
				t.Fatalf("seed %d: %+v may begin, and nobody asks it", seed, p)
			}
		}
	}
	if full > passes/2 {
		t.Errorf("seed %d: all were asked %d times of %d", seed, full, passes)
	}
}

// What is not kept is asked in any case.
func TestTooManyWaitersAreAllAsked(t *testing.T) {
	w := NewWaiters()
	if _, all := w.Take(noon); !all {
		t.Error("not all are asked at first")
	}
	a := NewAdmission(0)
	run := some("n/a@1", "k", job.Limit{By: job.ByKey, Running: 1})
	begin(a, run, noon)
	wait := a.Wait(ClaimOf(run, nil), noon)
	for range 3 {
		w.Wait(Place{Namespace: "n", Job: "a", Line: "k"}, wait)
	}
	if w.kept != 1 {
		t.Errorf("%d are kept of one that waits", w.kept)
	}
	if places, all := w.Take(noon); all || len(places) > 0 {
		t.Errorf("%v, %v are asked, and nothing has ended", places, all)
	}
	w.kept = maxWaiters
	w.Wait(Place{Namespace: "n", Job: "a", Line: "l"}, wait)
	if _, all := w.Take(noon); !all {
		t.Error("one is not kept, and not all are asked")
	}
	if _, all := w.Take(noon); all {
		t.Error("all are asked twice")
	}
}

// An end costs what waits for it, however many others wait.
func TestAnEndDoesNotLookAtAllThatWait(t *testing.T) {
	const keys = 10_000
	a, turns, b, waiters := NewAdmission(0), NewTurns(), &backlog{}, NewWaiters()
	one := job.Limit{By: job.ByKey, Running: 1}
	asked := 0
	choose := func(places []Place, all bool) (chosen int) {
		among := Backlog(b)
		if !all {
			among = Within(b, places)
		}
		chosen, err := turns.Choose(among, math.MaxInt, func(p Place) (Answer, error) {
			asked++
			c := ClaimOf(some(p.ID, p.Line, one), nil)
			if w := a.Wait(c, noon); w.Blocks != BlocksNothing {
				waiters.Wait(p, w)
				return Answer{Blocks: w.Blocks}, nil
			}
			a.Begin(p.ID, c, noon)
			return Answer{Begins: true}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return chosen
	}
	for i := range keys {
		key := fmt.Sprintf("k%05d", i)
		for n := range 3 {
			b.places = append(b.places, Place{0, "n", "j", key, noon.Add(time.Duration(n)), job.RunID(fmt.Sprintf("n/j@%s-%d", key, n))})
		}
	}
	if n := choose(waiters.Take(noon)); n != keys || len(waiters.by) != keys {
		t.Fatalf("%d begin and %d wait, want %d each", n, len(waiters.by), keys)
	}
	b.reads, asked = 0, 0
	waiters.Ended(a.End("n/j@k07777-0"))
	b.remove(Place{0, "n", "j", "k07777", noon, "n/j@k07777-0"})
	if n := choose(waiters.Take(noon)); n != 1 || asked > 3 || b.reads > 20 {
		t.Errorf("%d begin, %d are asked with %d reads, want 1 that begins", n, asked, b.reads)
	}
}
