package sharding

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// words returns n keys of a few letters, many of them equal.
func words(chance *rand.Rand, n, letters int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		for range chance.IntN(4) {
			keys[i] = append(keys[i], byte('a'+chance.IntN(letters)))
		}
	}
	return keys
}

func TestBoundsAscendAndDiffer(t *testing.T) {
	chance := seeded(t)
	for range 500 {
		n := chance.IntN(20)
		r := Bounds(words(chance, chance.IntN(200), 1+chance.IntN(5)), n)
		if len(r) > max(n-1, 0) {
			t.Fatalf("got %d bounds for %d partitions", len(r), n)
		}
		for i := 1; i < len(r); i++ {
			if bytes.Compare(r[i-1], r[i]) >= 0 {
				t.Fatalf("bounds %q do not ascend", r)
			}
		}
	}
}

func TestRangesKeepTheOrderOfKeys(t *testing.T) {
	chance := seeded(t)
	for range 200 {
		r := Bounds(words(chance, 100, 4), 1+chance.IntN(12))
		keys := words(chance, 100, 6)
		slices.SortFunc(keys, bytes.Compare)
		last := 0
		for _, k := range keys {
			p := r.Partition(k)
			if p < last || p > len(r) {
				t.Fatalf("key %q is in partition %d of %d, the one before it in %d", k, p, len(r)+1, last)
			}
			last = p
		}
	}
}

func TestEachBoundIsTheLeastKeyOfItsPartition(t *testing.T) {
	r := Ranges{[]byte("g"), []byte("p")}
	for key, want := range map[string]int{"": 0, "f~": 0, "g": 1, "oz": 1, "p": 2, "z": 2} {
		if got := r.Partition([]byte(key)); got != want {
			t.Errorf("partition of %q: got %d, want %d", key, got, want)
		}
	}
	if got := Ranges(nil).Partition([]byte("x")); got != 0 {
		t.Errorf("without bounds: got partition %d, want 0", got)
	}
}

func TestBoundsCutDistinctKeysEvenly(t *testing.T) {
	chance := seeded(t)
	var keys [][]byte
	for i := range 10_000 {
		keys = append(keys, fmt.Appendf(nil, "%08d", i))
	}
	chance.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	r := Bounds(keys, 8)
	filled := make([]int, len(r)+1)
	for _, k := range keys {
		filled[r.Partition(k)]++
	}
	for p, n := range filled {
		if n != 1250 {
			t.Errorf("partition %d has %d keys, want 1250", p, n)
		}
	}
}

func TestAFrequentKeyGetsAPartitionToItself(t *testing.T) {
	var sample [][]byte
	for _, k := range []string{"a", "b"} {
		sample = append(sample, []byte(k))
	}
	for range 1000 {
		sample = append(sample, []byte("the"))
	}
	for _, k := range []string{"x", "y", "z"} {
		sample = append(sample, []byte(k))
	}
	got := Bounds(sample, 4)
	if want := (Ranges{[]byte("the"), []byte("x"), []byte("y")}); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("got bounds %q, want %q", got, want)
	}
}

func TestBoundsLeaveTheSampleAlone(t *testing.T) {
	sample := [][]byte{[]byte("c"), []byte("a"), []byte("b")}
	r := Bounds(sample, 3)
	for _, b := range r {
		b[0] = '!'
	}
	if got := string(bytes.Join(sample, nil)); got != "cab" {
		t.Errorf("the sample became %q", got)
	}
}

func TestASampleOfOneKeyHasNoBounds(t *testing.T) {
	if got := Bounds([][]byte{[]byte("k"), []byte("k")}, 5); len(got) != 0 {
		t.Errorf("got %q, want none", got)
	}
}
