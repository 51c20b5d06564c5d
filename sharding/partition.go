package sharding

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Partition returns the partition, from 0 to n-1, of a key in its canonical
// bytes. It is the same in every process and release. An n below 2 is one
// partition.
func Partition(key []byte, n int) int { return PartitionOf(Hash(key), n) }

// Hash returns the 64-bit hash that Partition goes by, xxHash64 with seed 0.
// It is for those who keep keys in a table and want to hash each only once.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// PartitionOf returns the partition, from 0 to n-1, of a key whose Hash is h.
// It looks at the high bits, by Lemire's "Fast Random Integer Generation in an
// Interval", so the low bits are as good as new inside a partition: a table
// there may index by them.
func PartitionOf(h uint64, n int) int {
	if n < 2 {
		return 0
	}
	hi, _ := bits.Mul64(h, uint64(n))
	return int(hi)
}
