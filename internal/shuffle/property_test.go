package shuffle

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// randomPairs makes pairs with keys and values of all kinds: empty, with
// common prefixes, with zeros, and sometimes large.
func randomPairs(rng *rand.Rand, n, keys int, value func() string) []pair {
	pairs := make([]pair, n)
	prefixes := []string{"", "", "\x00", "a", "https://example.com/", strings.Repeat("\xff", 9)}
	for i := range pairs {
		k := rng.IntN(keys)
		key := prefixes[k%len(prefixes)]
		switch k % 4 {
		case 0:
			key += fmt.Sprint(k)
		case 1:
			key += string(binary.BigEndian.AppendUint32(nil, uint32(k)))
		case 2:
			key += strings.Repeat("\x00", k%11)
		}
		pairs[i] = pair{key, value()}
	}
	return pairs
}

func randomValue(rng *rand.Rand, large int) func() string {
	n := 0
	return func() string {
		n++
		size := rng.IntN(12)
		if large > 0 && rng.IntN(500) == 0 {
			size = rng.IntN(large)
		}
		v := make([]byte, size)
		for i := range v {
			v[i] = byte(rng.IntN(1 + n%256))
		}
		return fmt.Sprint(n, ":") + string(v)
	}
}

func TestGroupsAreThePairsSortedWhateverTheMemoryAndThePlacement(t *testing.T) {
	rng := chance(t)
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	for round := range rounds {
		memory := int64(2<<10) << rng.IntN(14)
		names := []string{"a", "b", "c", "d", "e"}[:1+rng.IntN(5)]
		p := newPool(t, memory, names...)
		parts := 1 + rng.IntN(7)
		large := []int{0, 5000, 300_000}[rng.IntN(3)]
		tasks := make([][]pair, 1+rng.IntN(12))
		sources := make([]job.Source, len(names))
		var spills int64
		for i, n := range names {
			sources[i].Node = n
		}
		for i := range tasks {
			tasks[i] = randomPairs(rng, rng.IntN(1500), 1+rng.IntN(500), randomValue(rng, large))
			at := rng.IntN(len(names))
			st := write(t, p.nodes[names[at]], i, parts, nil, tasks[i])
			spills += st.Spills
			if st.Records != int64(len(tasks[i])) || st.Kept != st.Records {
				t.Fatalf("round %d: stats %+v for %d pairs", round, st, len(tasks[i]))
			}
			sources[at].Maps = append(sources[at].Maps, outputID(i, 1))
		}
		for part := range parts {
			var in [][]pair
			for _, task := range tasks {
				in = append(in, inPart(task, parts, part))
			}
			read := func() *Reader {
				r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Partition: part, Sources: sources})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			want := oracle(in...)
			got, err := collect(read())
			if err == nil {
				err = equalGroups(got, want)
			}
			if err == nil {
				got, err = collectPairs(read())
			}
			if err == nil {
				err = equalGroups(got, want)
			}
			if err != nil {
				t.Fatalf("round %d, memory %d, %d tasks on %d nodes, partition %d of %d, %d spills: %v", round, memory, len(tasks), len(names), part, parts, spills, err)
			}
		}
	}
}

func TestCombinerChangesNothingButTheWork(t *testing.T) {
	rng := chance(t)
	for round := range 12 {
		memory := int64(2<<10) << rng.IntN(14)
		p := newPool(t, memory, "a", "b")
		parts := 1 + rng.IntN(5)
		sources := []job.Source{{Node: "a"}, {Node: "b"}}
		want := make(map[string]uint64)
		value := func() string { return string(binary.BigEndian.AppendUint64(nil, rng.Uint64N(1000))) }
		var kept, records int64
		for i := range 1 + rng.IntN(9) {
			pairs := randomPairs(rng, rng.IntN(5000), 1+rng.IntN(3000), value)
			for _, p := range pairs {
				want[p.key] += binary.BigEndian.Uint64([]byte(p.value))
			}
			st := write(t, p.nodes[sources[i%2].Node], i, parts, sum, pairs)
			kept += st.Kept
			records += st.Records
			sources[i%2].Maps = append(sources[i%2].Maps, outputID(i, 1))
		}
		if kept > records {
			t.Fatalf("round %d: %d records made of %d", round, kept, records)
		}
		got := make(map[string]uint64)
		for part := range parts {
			r, err := p.nodes["b"].Read(t.Context(), ReadConfig{Run: testRun, Partition: part, Sources: sources, Combine: sum})
			if err != nil {
				t.Fatal(err)
			}
			groups, err := collect(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				if _, ok := got[g.key]; ok {
					t.Fatalf("round %d: key %q comes twice", round, g.key)
				}
				got[g.key] = 0
				for _, v := range g.values {
					got[g.key] += binary.BigEndian.Uint64([]byte(v))
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("round %d, memory %d: %d keys, want %d", round, memory, len(got), len(want))
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("round %d, memory %d: %q is %d, want %d", round, memory, k, got[k], v)
			}
		}
	}
}

// A combination that grows with each value, like a list, must neither be lost
// nor make the buffer overflow.
func TestCombinerMayGrow(t *testing.T) {
	for _, memory := range []int64{4 << 10, 256 << 10, 64 << 20} {
		p := newPool(t, memory, "a")
		list := func(dst, a, b []byte) ([]byte, error) { return append(append(dst, a...), b...), nil }
		var pairs []pair
		want := make(map[string]int)
		for i := range 20_000 {
			k := fmt.Sprint("key", i%7*(i%3))
			pairs = append(pairs, pair{k, strings.Repeat("x", i%5)})
			want[k] += i % 5
		}
		write(t, p.nodes["a"], 0, 1, list, pairs)
		r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}, Combine: list})
		if err != nil {
			t.Fatal(err)
		}
		groups, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if got := len(strings.Join(g.values, "")); got != want[g.key] {
				t.Errorf("memory %d: %q has %d bytes, want %d", memory, g.key, got, want[g.key])
			}
			delete(want, g.key)
		}
		if len(want) > 0 {
			t.Errorf("memory %d: keys missing: %v", memory, want)
		}
	}
}

// With few repeats the table gives up, and with many it stays: the sums are
// the same.
func TestCombinerWhateverTheShareOfRepeats(t *testing.T) {
	for _, keys := range []int{10, 70_000} {
		s := newPool(t, 64<<20, "a").nodes["a"]
		const n = 100_000
		pairs := make([]pair, n)
		one := string(binary.BigEndian.AppendUint64(nil, 1))
		for i := range pairs {
			pairs[i] = pair{fmt.Sprint(i % keys), one}
		}
		if st := write(t, s, 0, 1, sum, pairs); st.Kept < int64(keys) || st.Kept > n {
			t.Errorf("%d keys: %+v", keys, st)
		}
		r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}, Combine: sum})
		if err != nil {
			t.Fatal(err)
		}
		groups, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		var total uint64
		for _, g := range groups {
			for _, v := range g.values {
				total += binary.BigEndian.Uint64([]byte(v))
			}
		}
		if len(groups) != keys || total != n {
			t.Errorf("%d keys with a sum of %d, want %d and %d", len(groups), total, keys, n)
		}
	}
}
