package sharding

import (
	"slices"
	"testing"
)

func TestEveryRefusalHasItsReason(t *testing.T) {
	good := Member{
		ID: "n1", Name: "east-1", Slots: 4, Tags: []string{"gpu", "ssd"},
		CPU: 8, Memory: 16 << 30, Disk: 100 << 30,
	}
	for _, c := range []struct {
		name   string
		c      Constraint
		m      func(m *Member)
		reason string
	}{
		{"nothing asked", Constraint{}, func(*Member) {}, ""},
		{"all met", Constraint{[]string{"east-1"}, []string{"ssd", "gpu"}, 8, 16 << 30, 100 << 30, 1, ""}, func(*Member) {}, ""},
		{"named by ID", Constraint{Names: []string{"other", "n1"}}, func(*Member) {}, ""},
		{"name", Constraint{Names: []string{"west-1", "west-2"}}, func(*Member) {}, "is not named west-1 or west-2"},
		{"slots", Constraint{}, func(m *Member) { m.Slots = 0 }, "has no slots"},
		{"tag", Constraint{Tags: []string{"gpu", "tpu"}}, func(*Member) {}, "lacks tag tpu"},
		{"cores", Constraint{MinCPU: 9}, func(*Member) {}, "has fewer than 9 cores"},
		{"memory", Constraint{MinMemory: 32 << 30}, func(*Member) {}, "has less than 32 GiB of free memory"},
		{"memory unknown", Constraint{MinMemory: 1536 << 20}, func(m *Member) { m.Memory = 0 }, "has less than 1536 MiB of free memory"},
		{"disk", Constraint{MinDisk: 200_000_000_001}, func(*Member) {}, "has less than 200000000001 bytes of free disk"},
		{"busy is no reason", Constraint{}, func(m *Member) { m.Load = 100 }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good
			c.m(&m)
			ok, refused := Eligible(c.c, []Member{m})
			switch {
			case c.reason == "" && (len(ok) != 1 || len(refused) != 0):
				t.Errorf("got %v refused, want it accepted", refused)
			case c.reason != "" && (len(ok) != 0 || !slices.Equal(refused, []Refusal{{"n1", c.reason}})):
				t.Errorf("got refusals %v, want %q", refused, c.reason)
			}
		})
	}
}

func TestEveryMemberIsAcceptedOrRefused(t *testing.T) {
	chance := seeded(t)
	for range 200 {
		all := pool(chance, chance.IntN(12), 4)
		for i := range all {
			all[i].CPU = chance.IntN(8)
		}
		c := Constraint{MinCPU: chance.IntN(8), MaxWorkers: chance.IntN(6), Key: "run"}
		ok, refused := Eligible(c, all)
		got := ids(ok)
		for _, r := range refused {
			got = append(got, r.Member)
		}
		slices.Sort(got)
		want := ids(all)
		slices.Sort(want)
		if !slices.Equal(got, want) || c.MaxWorkers > 0 && len(ok) > c.MaxWorkers {
			t.Fatalf("%+v: accepted %v, refused %v of %v", c, ids(ok), refused, want)
		}
	}
}

func TestMaxWorkersReplacesOnlyTheChosenThatLeft(t *testing.T) {
	chance := seeded(t)
	all := pool(chance, 10, 8)
	c := Constraint{MaxWorkers: 4, Key: "reports/nightly@1"}
	before, _ := Eligible(c, all)
	again, _ := Eligible(c, shuffled(chance, all))
	for _, id := range ids(before) {
		if !slices.Contains(ids(again), id) {
			t.Errorf("%s is chosen in one order of the members and not in another", id)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.ID == id })
		after, _ := Eligible(c, rest)
		for _, stays := range ids(before) {
			if stays != id && !slices.Contains(ids(after), stays) {
				t.Errorf("%s lost its place when %s left", stays, id)
			}
		}
	}
}

func TestMaxWorkersChoosesAnewForAnotherKey(t *testing.T) {
	all := pool(seeded(t), 8, 1)
	used := map[string]bool{}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		ok, _ := Eligible(Constraint{MaxWorkers: 1, Key: key}, all)
		used[ok[0].ID] = true
	}
	if len(used) < 2 {
		t.Errorf("twelve runs of one worker all chose %v", used)
	}
}

func TestExplainSumsUp(t *testing.T) {
	for _, c := range []struct {
		refused []Refusal
		want    string
	}{
		{nil, "no worker: the pool has no members"},
		{[]Refusal{{"a", "lacks tag gpu"}, {"b", NoFreeSlots}, {"c", "lacks tag gpu"}, {"d", "lacks tag gpu"}}, "no worker: 3 lack tag gpu, 1 has 0 free slots"},
		{[]Refusal{{"a", "is not named x"}, {"b", "is not named x"}}, "no worker: 2 are not named x"},
		{[]Refusal{{"a", NoSlots}, {"b", NoSlots}, {"c", "drains"}}, "no worker: 2 have no slots, 1 drains"},
		{[]Refusal{{"a", "does not know wordcount"}, {"b", "does not know wordcount"}}, "no worker: 2 do not know wordcount"},
	} {
		if got := Explain(c.refused); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
