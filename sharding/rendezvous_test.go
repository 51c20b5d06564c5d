package sharding

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// seeded returns chance that a failure can be repeated with.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// pool returns n members with up to slots slots each.
func pool(chance *rand.Rand, n, slots int) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{
			ID:    fmt.Sprintf("node-%d-%x", i, chance.Uint32()),
			Name:  fmt.Sprintf("n%d", i),
			Slots: 1 + chance.IntN(slots),
		}
	}
	return members
}

func shuffled(chance *rand.Rand, members []Member) []Member {
	members = slices.Clone(members)
	chance.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return members
}

func ids(members []Member) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = m.ID
	}
	return out
}

func TestOwnerMovesOnlyWhatTheLeaverOwned(t *testing.T) {
	all := pool(seeded(t), 12, 16)
	for gone := range all {
		rest := slices.Delete(slices.Clone(all), gone, gone+1)
		for i := range 500 {
			key := fmt.Sprint("key", i)
			was, _ := Owner(key, all)
			is, _ := Owner(key, rest)
			if was.ID != all[gone].ID && was.ID != is.ID {
				t.Fatalf("key %s moved from %s to %s when %s left", key, was.ID, is.ID, all[gone].ID)
			}
		}
	}
}

func TestOwnerMovesOnlyToTheMemberThatGrew(t *testing.T) {
	before := pool(seeded(t), 8, 16)
	after := slices.Clone(before)
	after[3].Slots *= 3
	for i := range 2000 {
		key := fmt.Sprint("key", i)
		was, _ := Owner(key, before)
		is, _ := Owner(key, after)
		if was.ID != is.ID && is.ID != after[3].ID {
			t.Fatalf("key %s moved from %s to %s when %s grew", key, was.ID, is.ID, after[3].ID)
		}
	}
}

func TestRankWithoutAMemberIsTheRankOfTheRest(t *testing.T) {
	chance := seeded(t)
	all := pool(chance, 9, 8)
	all[4].Slots = 0
	for i := range 200 {
		key := fmt.Sprint(i)
		gone := chance.IntN(len(all))
		want := slices.DeleteFunc(ids(Rank(key, all)), func(id string) bool { return id == all[gone].ID })
		got := ids(Rank(key, slices.Delete(slices.Clone(all), gone, gone+1)))
		if !slices.Equal(got, want) {
			t.Fatalf("rank of %s without %s: got %v, want %v", key, all[gone].ID, got, want)
		}
	}
}

func TestOwnerIsTheFirstInRankWhateverTheOrder(t *testing.T) {
	chance := seeded(t)
	all := pool(chance, 20, 4)
	for i := range 200 {
		key := fmt.Sprint(i)
		owner, _ := Owner(key, shuffled(chance, all))
		a, b := Rank(key, all), Rank(key, shuffled(chance, all))
		if owner.ID != a[0].ID || !slices.Equal(ids(a), ids(b)) {
			t.Fatalf("key %s: owner %s, rank %v, in another order %v", key, owner.ID, ids(a), ids(b))
		}
	}
}

// Of n keys, a member with share p should own n*p. Six standard deviations
// make a false alarm a matter of one in a hundred million.
func TestOwnerGivesEachMemberTheShareOfItsSlots(t *testing.T) {
	chance := seeded(t)
	all := pool(chance, 10, 32)
	all[0].Slots = 1 // the extremes
	all[1].Slots = 64
	total := 0
	for _, m := range all {
		total += m.Slots
	}
	const n = 50_000
	owned := map[string]int{}
	salt := chance.Uint64()
	for i := range n {
		m, _ := Owner(fmt.Sprintf("%x/%d", salt, i), all)
		owned[m.ID]++
	}
	for _, m := range all {
		p := float64(m.Slots) / float64(total)
		want, slack := n*p, 6*math.Sqrt(n*p*(1-p))
		if got := float64(owned[m.ID]); math.Abs(got-want) > slack {
			t.Errorf("%s with %d of %d slots owns %.0f of %d keys, want %.0f give or take %.0f", m.ID, m.Slots, total, got, n, want, slack)
		}
	}
}

func TestMembersWithoutSlotsComeLast(t *testing.T) {
	all := pool(seeded(t), 6, 4)
	all[1].Slots, all[5].Slots = 0, -3
	for i := range 100 {
		rank := Rank(fmt.Sprint(i), all)
		if rank[4].Slots > 0 || rank[5].Slots > 0 {
			t.Fatalf("rank %v puts a member without slots before one that has some", rank)
		}
	}
	if _, ok := Owner("k", all[1:2]); !ok {
		t.Error("the only member owns nothing")
	}
}

func TestNobodyOwnsAnythingInAnEmptyPool(t *testing.T) {
	if m, ok := Owner("k", nil); ok {
		t.Errorf("got owner %v, want none", m)
	}
	if got := Rank("k", nil); len(got) != 0 {
		t.Errorf("got %v, want nobody", got)
	}
}

// Nodes of different releases must agree, so these may never change.
func TestOwnersAreTheSameForever(t *testing.T) {
	members := []Member{{ID: "a", Slots: 1}, {ID: "b", Slots: 2}, {ID: "c", Slots: 4}, {ID: "d", Slots: 8}}
	got := ""
	for i := range 40 {
		m, _ := Owner(fmt.Sprintf("key-%d", i), members)
		got += m.ID
	}
	if want := "cddddcacdbcccdddcacdbddbcdcddbccddccdcbd"; got != want {
		t.Errorf("got owners %s, want %s", got, want)
	}
}

func TestLog2IsTheLogarithm(t *testing.T) {
	chance := seeded(t)
	xs := []uint64{1, 2, 3, 1 << 40, 1<<63 - 1, 1 << 63, math.MaxUint64}
	for range 1000 {
		xs = append(xs, chance.Uint64()>>chance.IntN(64))
	}
	for _, x := range xs {
		x = max(x, 1)
		got, want := float64(log2(x))/(1<<logBits), math.Log2(float64(x))
		if math.Abs(got-want) > 1e-10 {
			t.Errorf("log2(%d): got %v, want %v", x, got, want)
		}
	}
	if log2(math.MaxUint64) >= 64<<logBits {
		t.Error("the largest hash costs nothing, want a positive cost")
	}
}

func BenchmarkOwner(b *testing.B) {
	for _, n := range []int{3, 100} {
		members := pool(rand.New(rand.NewPCG(1, 2)), n, 8)
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, ok := Owner("reports/nightly", members); !ok {
					b.Fatal("no owner")
				}
			}
		})
	}
}
