package sharding

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

var strategies = []Strategy{"", LeastLoaded, Random, Spread, Affinity}

// room is the pool and what each of its members has and can take.
type room struct {
	members    []Member
	have, free map[string]int
}

func rooms(chance *rand.Rand, n int) room {
	r := room{pool(chance, n, 16), map[string]int{}, map[string]int{}}
	for i := range r.members {
		m := &r.members[i]
		r.have[m.ID] = chance.IntN(20)
		r.free[m.ID] = chance.IntN(40) - 5
		m.Load = chance.IntN(30)
	}
	return r
}

func (r *room) place(s Strategy, tasks int, chance *rand.Rand) []Assignment {
	return Place(Placement{Strategy: s, Key: "k"}, tasks, r.members,
		func(id string) int { return r.have[id] }, func(id string) int { return r.free[id] }, chance)
}

func TestPlaceRespectsCreditAndUsesAllOfIt(t *testing.T) {
	chance := seeded(t)
	for range 500 {
		for _, s := range strategies {
			r := rooms(chance, chance.IntN(20))
			tasks := chance.IntN(300)
			sum, most := 0, 0
			for id, free := range r.free {
				if owner, _ := Owner("k", r.members); s != Affinity || owner.ID == id {
					most += max(free, 0)
				}
			}
			last := ""
			for _, a := range r.place(s, tasks, chance) {
				if a.N < 1 || a.N > r.free[a.Member] {
					t.Fatalf("%s: %s gets %d, its credit is %d", s, a.Member, a.N, r.free[a.Member])
				}
				if a.Member <= last {
					t.Fatalf("%s: %s follows %s", s, a.Member, last)
				}
				last = a.Member
				sum += a.N
			}
			if want := min(tasks, most); sum != want {
				t.Fatalf("%s: placed %d of %d tasks with credit for %d, want %d", s, sum, tasks, most, want)
			}
		}
	}
}

func TestPlaceDoesNotDependOnTheOrderOfMembers(t *testing.T) {
	chance := seeded(t)
	for i := range uint64(100) {
		for _, s := range strategies {
			r := rooms(chance, 12)
			a := r.place(s, 100, rand.New(rand.NewPCG(i, 1)))
			r.members = shuffled(chance, r.members)
			b := r.place(s, 100, rand.New(rand.NewPCG(i, 1)))
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%s: got %v in one order, %v in another", s, a, b)
			}
		}
	}
}

// The oracle gives one task after the other to whoever is then least full.
func TestLeastLoadedKeepsTheFullestAsLowAsCanBe(t *testing.T) {
	chance := seeded(t)
	for range 500 {
		r := rooms(chance, 1+chance.IntN(10))
		tasks := chance.IntN(200)
		load := func(m Member, n int) float64 {
			return float64(max(m.Load, r.have[m.ID])+n) / float64(m.Slots)
		}
		oracle := map[string]int{}
		for range tasks {
			best := -1
			for i, m := range r.members {
				if oracle[m.ID] < r.free[m.ID] && (best < 0 || load(m, oracle[m.ID]+1) < load(r.members[best], oracle[r.members[best].ID]+1)) {
					best = i
				}
			}
			if best >= 0 {
				oracle[r.members[best].ID]++
			}
		}
		got := map[string]int{}
		for _, a := range r.place(LeastLoaded, tasks, chance) {
			got[a.Member] = a.N
		}
		var fullest, want float64
		for _, m := range r.members {
			if got[m.ID] > 0 {
				fullest = max(fullest, load(m, got[m.ID]))
			}
			if oracle[m.ID] > 0 {
				want = max(want, load(m, oracle[m.ID]))
			}
		}
		if fullest > want+1e-5 {
			t.Fatalf("the fullest of %v ends at %.4f, want %.4f", got, fullest, want)
		}
	}
}

func TestLeastLoadedSharesByFreeRoom(t *testing.T) {
	members := []Member{{ID: "a", Slots: 8}, {ID: "b", Slots: 4}, {ID: "c", Slots: 4, Load: 4}}
	got := Place(Placement{}, 6, members, nil, func(string) int { return 100 }, nil)
	if want := []Assignment{{"a", 4}, {"b", 2}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = Place(Placement{}, 100, members, nil, nil, nil)
	if want := []Assignment{{"a", 8}, {"b", 4}}; !slices.Equal(got, want) {
		t.Errorf("with the credit left to Place: got %v, want %v", got, want)
	}
}

func TestSpreadEvensOutTheRunWhateverTheSize(t *testing.T) {
	members := []Member{{ID: "a", Slots: 64, Load: 60}, {ID: "b", Slots: 1}, {ID: "c", Slots: 8}}
	have := map[string]int{"c": 2}
	got := Place(Placement{Strategy: Spread}, 7, members,
		func(id string) int { return have[id] }, func(string) int { return 10 }, nil)
	if want := []Assignment{{"a", 3}, {"b", 3}, {"c", 1}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAffinityWaitsForItsOwnerAndMovesWhenItLeft(t *testing.T) {
	members := pool(seeded(t), 5, 4)
	rank := Rank("customer-7", members)
	place := func(members []Member, credit int) []Assignment {
		return Place(Placement{Affinity, "customer-7"}, 10, members, nil, func(string) int { return credit }, nil)
	}
	if got, want := place(members, 3), []Assignment{{rank[0].ID, 3}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := place(members, 0); len(got) != 0 {
		t.Errorf("the owner is full: got %v, want the tasks to wait", got)
	}
	rest := slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.ID == rank[0].ID })
	if got, want := place(rest, 10), []Assignment{{rank[1].ID, 10}}; !slices.Equal(got, want) {
		t.Errorf("the owner left: got %v, want %v", got, want)
	}
}

// A run of one task must not always hit the member whose ID sorts first.
func TestTiesAreBrokenByChance(t *testing.T) {
	chance := seeded(t)
	members := []Member{{ID: "a", Slots: 4}, {ID: "b", Slots: 4}, {ID: "c", Slots: 4}}
	for _, s := range []Strategy{LeastLoaded, Spread, Random} {
		hit := map[string]int{}
		for range 300 {
			for _, a := range Place(Placement{Strategy: s}, 1, members, nil, nil, chance) {
				hit[a.Member] += a.N
			}
		}
		for _, m := range members {
			if hit[m.ID] < 40 {
				t.Errorf("%s: %s got %d of 300 single tasks, want about 100", s, m.ID, hit[m.ID])
			}
		}
	}
}

func TestPlaceBearsWhatGossipMayClaim(t *testing.T) {
	const huge = int(^uint(0) >> 1)
	members := []Member{{ID: "a", Slots: huge, Load: huge}, {ID: "b", Slots: 1, Load: huge}, {ID: "c", Slots: -1, Load: -huge}}
	for _, s := range strategies {
		sum := 0
		for _, a := range Place(Placement{Strategy: s}, 1000, members, func(string) int { return -1 }, func(string) int { return huge }, nil) {
			sum += a.N
		}
		if sum != 1000 {
			t.Errorf("%s: placed %d tasks, want 1000", s, sum)
		}
	}
}

func TestOnlyTheNamedStrategiesPass(t *testing.T) {
	for _, s := range strategies {
		if err := s.Check(); err != nil {
			t.Errorf("%q: got %v, want it accepted", s, err)
		}
	}
	want := `sharding: strategy "roundrobin": want "least-loaded", "random", "spread" or "affinity"`
	if err := Strategy("roundrobin").Check(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func BenchmarkPlace(b *testing.B) {
	for _, s := range []Strategy{LeastLoaded, Random, Affinity} {
		for _, n := range []int{3, 100} {
			chance := rand.New(rand.NewPCG(1, 2))
			r := rooms(chance, n)
			for id := range r.free {
				r.free[id] = 1000
			}
			b.Run(fmt.Sprintf("%s/members=%d", s, n), func(b *testing.B) {
				for b.Loop() {
					sum := 0
					for _, a := range r.place(s, 1000, chance) {
						sum += a.N
					}
					if sum != 1000 {
						b.Fatalf("placed %d, want 1000", sum)
					}
				}
			})
		}
	}
}
