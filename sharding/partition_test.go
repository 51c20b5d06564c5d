package sharding

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestPartitionStaysInRange(t *testing.T) {
	chance := seeded(t)
	for range 10_000 {
		key := make([]byte, chance.IntN(20))
		binary.Append(key[:0], binary.LittleEndian, chance.Uint64())
		n := 1 + chance.IntN(1000)
		if got := Partition(key, n); got < 0 || got >= n {
			t.Fatalf("partition of %x of %d: got %d", key, n, got)
		}
	}
	for _, n := range []int{-1, 0, 1} {
		if got := Partition([]byte("k"), n); got != 0 {
			t.Errorf("partition of %d: got %d, want 0", n, got)
		}
	}
	if got := PartitionOf(math.MaxUint64, math.MaxInt32); got != math.MaxInt32-1 {
		t.Errorf("partition of the largest hash: got %d, want %d", got, math.MaxInt32-1)
	}
}

// The map outputs of one run may be made by nodes of different releases.
func TestPartitionsAreTheSameForever(t *testing.T) {
	for _, c := range []struct {
		key  string
		n    int
		want int
	}{{"", 16, 14}, {"a", 16, 13}, {"muster", 256, 38}, {"the", 7, 2}, {"\x00\x00", 1000, 604}} {
		if got := Partition([]byte(c.key), c.n); got != c.want {
			t.Errorf("partition of %q of %d: got %d, want %d", c.key, c.n, got, c.want)
		}
	}
}

func TestPartitionsFillEvenlyFromKeysThatCount(t *testing.T) {
	const n, keys = 16, 64_000
	var filled [n]float64
	for i := range keys {
		filled[Partition(fmt.Append(nil, "user-", i), n)]++
	}
	want := float64(keys) / n
	for p, got := range filled {
		if math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("partition %d has %.0f keys, want about %.0f", p, got, want)
		}
	}
}

func TestLowBitsAreFreeInsideAPartition(t *testing.T) {
	const buckets, keys = 64, 200_000
	var filled [buckets]float64
	total := 0.0
	for i := range keys {
		if h := Hash(fmt.Append(nil, "user-", i)); PartitionOf(h, 8) == 3 {
			filled[h%buckets]++
			total++
		}
	}
	want := total / buckets
	for b, got := range filled {
		if math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("bucket %d of partition 3 has %.0f keys, want about %.0f", b, got, want)
		}
	}
}

func BenchmarkPartition(b *testing.B) {
	key := []byte("a key of usual length")
	chance := rand.New(rand.NewPCG(1, 2))
	n := 64 + chance.IntN(2)
	b.SetBytes(int64(len(key)))
	for b.Loop() {
		Partition(key, n)
	}
}
