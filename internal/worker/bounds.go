package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterhq/muster/sharding"
)

// Where the partitions of a sorted run are cut travels as the result of the
// task before the others: the number of bounds, then each with its length.

const (
	// maxBound is how much of a bound is kept. Any start of a key cuts the
	// keys as well as the key; only keys that have the same one stay together.
	maxBound = 256
	// maxBounds is more than any run has partitions.
	maxBounds = 1 << 20
)

func encodeBounds(r sharding.Ranges) []byte {
	var short sharding.Ranges
	for _, bound := range r {
		bound = bound[:min(len(bound), maxBound)]
		if n := len(short); n == 0 || !bytes.Equal(short[n-1], bound) {
			short = append(short, bound)
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(short)))
	for _, bound := range short {
		b = binary.AppendUvarint(b, uint64(len(bound)))
		b = append(b, bound...)
	}
	return b
}

// decodeBounds returns what encodeBounds was given. It shares b.
func decodeBounds(b []byte) (sharding.Ranges, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 {
		return nil, errors.New("the result of the look at the input is missing")
	}
	if b = b[w:]; n > maxBounds || n > uint64(len(b)) {
		return nil, fmt.Errorf("%d bytes can't hold %d bounds", len(b), n)
	}
	r := make(sharding.Ranges, n)
	for i := range r {
		size, w := binary.Uvarint(b)
		if w <= 0 || size > uint64(len(b)-w) {
			return nil, fmt.Errorf("bound %d of %d is cut off", i, n)
		}
		r[i] = b[w : w+int(size) : w+int(size)]
		b = b[w+int(size):]
		if i > 0 && bytes.Compare(r[i-1], r[i]) >= 0 {
			return nil, fmt.Errorf("bound %d of %d does not ascend", i, n)
		}
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%d bytes after the %d bounds", len(b), n)
	}
	return r, nil
}
