// Package wire is what nodes say to each other and what the journal of a run
// is written in: messages, their layout in bytes and their limits.
//
// Messages are MessagePack maps with short keys, so that a field can be added
// without a new version. What there may be millions of, tasks and outcomes, is
// laid out by hand and carried by a message as one blob. Every length is
// checked against what is really there before anything is made of it; a
// message that does not hold is an error and never a panic.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The limits of what is carried in one piece.
const (
	// ChunkTasks and ChunkBytes bound a chunk of tasks: it is closed when it
	// reaches either.
	ChunkTasks = 1024
	ChunkBytes = 512 << 10
	// MaxPayload bounds the payload and the result of a task.
	MaxPayload = 1 << 20
	// MaxName bounds the name of a subtask.
	MaxName = 256
	// maxHead bounds the encoded head of a command or an entry.
	maxHead = 64 << 10
)

var errShort = errors.New("wire: it ends in the middle of a field")

// reader takes fields off the front of a blob; the first error sticks.
type reader struct {
	b   []byte
	err error
}

func (r *reader) byte() byte {
	if r.err != nil || len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// int reads a number that counts things, which has 31 bits.
func (r *reader) int() int {
	v := r.uvarint()
	if v > math.MaxInt32 {
		r.fail(fmt.Errorf("wire: %d is no count", v))
		return 0
	}
	return int(v)
}

// int64 reads a number that is never negative.
func (r *reader) int64() int64 {
	v := r.uvarint()
	if v > math.MaxInt64 {
		r.fail(fmt.Errorf("wire: %d is more than there can be", v))
		return 0
	}
	return int64(v)
}

// bytes returns a part of the blob itself.
func (r *reader) bytes(limit int) []byte {
	n := r.uvarint()
	if r.err != nil {
		return nil
	}
	if n > uint64(limit) {
		r.fail(fmt.Errorf("wire: a field of %d bytes is over its limit of %d", n, limit))
		return nil
	}
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func appendBytes[T []byte | string](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
