package worker

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterhq/muster/sharding"
)

func TestCutsAreThoseOfTheRanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		// Of few letters, a zero among them, so that many keys begin alike.
		var keys [][]byte
		for range 200 {
			key := make([]byte, chance.IntN(12))
			for i := range key {
				key[i] = "\x00\x00\x00ab"[chance.IntN(5)]
			}
			keys = append(keys, key)
		}
		bounds := sharding.Bounds(keys[:100], 1+chance.IntN(40))
		c := newCuts(bounds)
		for _, key := range keys {
			if got, want := c.partition(key), bounds.Partition(key); got != want {
				t.Fatalf("partition of %q in %q: got %d, want %d", key, bounds, got, want)
			}
		}
	}
}
