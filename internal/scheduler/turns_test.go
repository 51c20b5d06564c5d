package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// backlog is runs that wait, in memory, in the order of their places.
type backlog struct {
	places []Place
	reads  int
}

func (b *backlog) from(p Place) (Place, bool) {
	b.reads++
	i, _ := slices.BinarySearchFunc(b.places, p, Place.Compare)
	if i == len(b.places) {
		return Place{}, false
	}
	return b.places[i], true
}

func (b *backlog) Line(p Place) (Place, bool, error) {
	p, ok := b.from(p)
	return p.line(), ok, nil
}

func (b *backlog) Run(p Place) (Place, bool, error) {
	q, ok := b.from(p)
	return q, ok && q.line() == p.line(), nil
}

func (b *backlog) add(p Place) {
	i, _ := slices.BinarySearchFunc(b.places, p, Place.Compare)
	b.places = slices.Insert(b.places, i, p)
}

func (b *backlog) remove(p Place) {
	i, _ := slices.BinarySearchFunc(b.places, p, Place.Compare)
	b.places = slices.Delete(b.places, i, i+1)
}

// fill adds n runs of a line.
func (b *backlog) fill(priority int, name, line string, n int) {
	for i := range n {
		b.add(Place{priority, "n", name, line, noon.Add(time.Duration(i)), job.RunID(fmt.Sprintf("n/%s@%s%d", name, line, i))})
	}
}

// order lets all of a backlog begin, so many at a time, and returns them as
// job and line.
func order(t *testing.T, b *backlog, atOnce int, weight map[string]int) (names []string) {
	t.Helper()
	turns := NewTurns()
	for len(b.places) > 0 {
		var began []Place
		_, err := turns.Choose(b, atOnce, func(p Place) (Answer, error) {
			began = append(began, p)
			return Answer{Begins: true, Weight: weight[p.Job]}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range began {
			b.remove(p)
			names = append(names, p.Job+p.Line)
		}
	}
	return names
}

func TestJobsTakeTurnsAndInThemTheirLines(t *testing.T) {
	for _, atOnce := range []int{1, 2, 3, 1000} {
		b := &backlog{}
		b.fill(0, "big", "", 100)
		b.fill(0, "keyed", "k1", 50)
		b.fill(0, "keyed", "k2", 50)
		b.fill(0, "small", "", 2)
		b.fill(1, "urgent", "", 1)
		b.fill(-100, "idle", "", 1)
		all := order(t, b, atOnce, nil)
		want := []string{"urgent", "big", "keyedk1", "small", "big", "keyedk2", "small", "big", "keyedk1"}
		if got := all[:len(want)]; !slices.Equal(got, want) {
			t.Errorf("%d at a time: got %q, want %q", atOnce, got, want)
		}
		if last := all[len(all)-1]; last != "idle" {
			t.Errorf("%d at a time: got %q as the last, want the lowest priority", atOnce, last)
		}
	}
}

func TestAJobBeginsAsManyInItsTurnAsItsWeightSays(t *testing.T) {
	for _, atOnce := range []int{1, 2, 1000} {
		b := &backlog{}
		b.fill(0, "a", "", 10)
		b.fill(0, "b", "x", 10)
		b.fill(0, "b", "y", 10)
		got := order(t, b, atOnce, map[string]int{"b": 3})
		want := []string{"a", "bx", "by", "bx", "a", "by", "bx", "by"}
		if got = got[:len(want)]; !slices.Equal(got, want) {
			t.Errorf("%d at a time: got %q, want %q", atOnce, got, want)
		}
	}
}

// TestNobodyStarvesAndNoLimitIsBroken lets runs come, begin and end at random
// under all kinds of limits. A line whose next run could begin must do so
// before others have begun more than their share.
func TestNobodyStarvesAndNoLimitIsBroken(t *testing.T) {
	for range 10 {
		starve(t, rand.Uint64())
	}
}

func starve(t *testing.T, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, 0))
	a, turns, b := NewAdmission(6), NewTurns(), &backlog{}
	runs, now, n := map[job.RunID]*job.Run{}, noon, 0
	limits := map[string][]job.Limit{}
	weights := map[string]int{}
	jobs := []string{"a", "b", "c", "d"}
	for _, name := range jobs {
		weights[name] = 1 + chance.IntN(3)
		for _, by := range []job.LimitBy{job.ByJob, job.ByKey} {
			switch chance.IntN(3) {
			case 0:
				limits[name] = append(limits[name], job.Limit{By: by, Running: 1 + chance.IntN(3)})
			case 1:
				limits[name] = append(limits[name], job.Limit{By: by, Rate: fmt.Sprintf("%d/10s", 1+chance.IntN(20))})
			}
		}
	}
	ofNamespace := []job.Limit{{Running: 5}}
	var going []job.RunID
	waited := map[Place]int{}        // how many others began while a line could have
	const mostWaited = 2 * 4 * 3 * 4 // twice the jobs, their weight, the lines of one: limits may hold a turn up
	for range 400 {
		for range chance.IntN(8) {
			name, key := jobs[chance.IntN(len(jobs))], []string{"", "k", "l", "m"}[chance.IntN(4)]
			n++
			run := some(job.RunID(fmt.Sprintf("n/%s@%d", name, n)), key, limits[name]...)
			run.Spec.Weight = weights[name]
			runs[run.ID] = run
			b.add(Place{0, "n", name, key, noon.Add(time.Duration(n)), run.ID})
		}
		now = now.Add(time.Duration(chance.Int64N(int64(2 * time.Second))))
		// The first of each line that could begin, before anybody does.
		could := map[Place]job.RunID{}
		may := func(id job.RunID) bool { return a.Wait(ClaimOf(runs[id], ofNamespace), now).Blocks == BlocksNothing }
		for _, p := range b.places {
			if _, seen := could[p.line()]; !seen && !slices.Contains(going, p.ID) {
				could[p.line()] = p.ID
			}
		}
		for line, id := range could {
			if !may(id) {
				delete(could, line)
				delete(waited, line)
			}
		}
		var began []Place
		_, err := turns.Choose(b, 1+chance.IntN(5), func(p Place) (Answer, error) {
			if slices.Contains(going, p.ID) {
				return Answer{}, nil
			}
			c := ClaimOf(runs[p.ID], ofNamespace)
			if w := a.Wait(c, now); w.Blocks != BlocksNothing {
				return Answer{Blocks: w.Blocks}, nil
			}
			a.Begin(p.ID, c, now)
			going, began = append(going, p.ID), append(began, p)
			return Answer{Begins: true, Weight: c.Weight}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for line, id := range could {
			// One that may not any more waits for an end as those do that began.
			if slices.Contains(going, id) || len(going) < 5 && !may(id) {
				delete(waited, line)
				continue
			}
			if waited[line] += len(began); waited[line] > mostWaited {
				t.Fatalf("seed %d: %d others began, and nobody of %+v, who could", seed, waited[line], line)
			}
		}
		for _, p := range began {
			for _, q := range b.places {
				if q.line() == p.line() && q.Compare(p) < 0 && !slices.Contains(going, q.ID) {
					t.Fatalf("seed %d: %s began before %s, who is before it in line", seed, p.ID, q.ID)
				}
			}
		}
		for _, p := range began {
			if chance.IntN(4) > 0 { // else it takes a while until it is out of the line
				b.remove(p)
			}
		}
		for _, name := range jobs {
			for _, l := range limits[name] {
				for _, key := range []string{"", "k", "l", "m"} {
					count := 0
					for _, id := range going {
						if id.Job() == name && (l.By != job.ByKey || runs[id].LimitKey == key) {
							count++
						}
					}
					if l.Running > 0 && count > l.Running && (l.By == job.ByJob || key != "") {
						t.Fatalf("seed %d: %d runs of %s %q go on, over the limit %+v", seed, count, name, key, l)
					}
				}
			}
		}
		if len(going) > 5 {
			t.Fatalf("seed %d: %d runs go on", seed, len(going))
		}
		for len(going) > 0 && chance.IntN(3) > 0 {
			i := chance.IntN(len(going))
			a.End(going[i])
			b.places = slices.DeleteFunc(b.places, func(p Place) bool { return p.ID == going[i] })
			going = slices.Delete(going, i, i+1)
		}
	}
}

// A choice among very many that wait takes steps for those that it chooses.
func TestAChoiceDoesNotLookAtAllThatWait(t *testing.T) {
	b := &backlog{}
	b.fill(0, "big", "", 20_000)
	b.fill(0, "small", "", 3)
	var small int
	chosen, err := NewTurns().Choose(b, 10, func(p Place) (Answer, error) {
		if p.Job == "small" {
			small++
		}
		return Answer{Begins: true}, nil
	})
	if err != nil || chosen != 10 || small != 3 {
		t.Errorf("got %d, %d of them of the small job, %v", chosen, small, err)
	}
	if b.reads > 40 {
		t.Errorf("%d reads for 10 runs", b.reads)
	}
	b.reads = 0
	blocked, err := NewTurns().Choose(b, 10, func(p Place) (Answer, error) { return Answer{Blocks: BlocksJob}, nil })
	if err != nil || blocked != 0 || b.reads > 10 {
		t.Errorf("got %d with %d reads, %v, where both jobs are blocked", blocked, b.reads, err)
	}
}

func TestANamespaceThatIsBlockedIsPassedOver(t *testing.T) {
	b := &backlog{}
	for i := range 1000 {
		b.add(Place{0, "full", fmt.Sprintf("j%d", i), "", noon, job.RunID(fmt.Sprintf("full/j%d@1", i))})
	}
	b.fill(0, "free", "", 1)
	chosen, err := NewTurns().Choose(b, 10, func(p Place) (Answer, error) {
		if p.Namespace == "full" {
			return Answer{Blocks: BlocksNamespace}, nil
		}
		return Answer{Begins: true}, nil
	})
	if err != nil || chosen != 1 || b.reads > 20 {
		t.Errorf("got %d with %d reads, %v", chosen, b.reads, err)
	}
}
