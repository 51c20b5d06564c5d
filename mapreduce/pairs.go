package mapreduce

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// Limits on a pair, in encoded bytes. A larger one fails its attempt for good.
const (
	MaxKey   = 1 << 20
	MaxValue = 64 << 20
)

// A Pair is a key of a keyed run and what Reduce made of its values.
type Pair[K, V any] struct {
	Key   K
	Value V
}

// AppendPair appends an encoded key and value to dst: how the output of a
// reduce attempt is laid in bytes. NextPair takes it apart again.
func AppendPair(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// NextPair returns the first pair of b and what follows it. The bytes are part
// of b; key is never nil. It allocates nothing, whatever the bytes claim.
func NextPair(b []byte) (key, value, rest []byte, err error) {
	key, rest, err = nextItem(b)
	if err == nil {
		value, rest, err = nextItem(rest)
	}
	switch {
	case err != nil:
		return nil, nil, nil, fmt.Errorf("mapreduce: broken pair: %w", err)
	case len(key) > MaxKey || len(value) > MaxValue:
		return nil, nil, nil, fmt.Errorf("mapreduce: broken pair: key of %d and value of %d bytes: at most %d and %d are possible", len(key), len(value), MaxKey, MaxValue)
	}
	return key, value, rest, nil
}

// PairItems returns the pairs in b, the output of the reduce task of the given
// ID and number, as items of an Output.
func PairItems(task string, n int, b []byte) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for len(b) > 0 {
			key, value, rest, err := NextPair(b)
			if err != nil {
				yield(Item{}, fmt.Errorf("output of %s: %w", task, err))
				return
			}
			if !yield(Item{Task: task, N: n, Key: key, Value: value}, nil) {
				return
			}
			b = rest
		}
	}
}
