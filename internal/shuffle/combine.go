package shuffle

import (
	"bytes"
	"errors"
	"fmt"
)

// CombineFunc appends the combination of the values a and b to dst. It must be
// associative and commutative; how often it is applied is not promised.
type CombineFunc = func(dst, a, b []byte) ([]byte, error)

// growing is how large a combination may become while it grows with each value
// that it takes in. What is larger and still grows is passed on as it is:
// copying it again for each further value would cost more than it saves.
const growing = 8 << 10

// fold passes sorted records on to a sink, after combining those of a key.
type fold struct {
	*sink
	combine CombineFunc // nil means none

	key, acc, tmp []byte
	open          bool // acc is a value of key that is yet to be passed on
}

// combined calls combine and counts what it allocated. The caller owns the
// result and no longer dst.
func combined(acct *account, combine CombineFunc, dst, a, b []byte) ([]byte, error) {
	out, err := combine(dst, a, b)
	switch {
	case err != nil:
		return dst, fmt.Errorf("shuffle: combine: %w", err)
	case len(out) > maxValue:
		return dst, fmt.Errorf("shuffle: combine made a value of %d bytes: the limit is %d", len(out), maxValue)
	case overlap(out, a) || overlap(out, b):
		return dst, errors.New("shuffle: combine returned one of its arguments: it must append to dst")
	}
	acct.force(int64(cap(out) - cap(dst)))
	return out, nil
}

// overlap reports whether a and b begin at the same byte.
func overlap(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// add takes in a record.
func (f *fold) add(key, value []byte) error {
	if f.combine == nil {
		return f.sink.add(key, value)
	}
	if !f.open || !bytes.Equal(f.key, key) {
		if err := f.flushValue(); err != nil {
			return err
		}
		f.key = append(f.acct.room(f.key[:0], len(key)), key...)
		f.acc = append(f.acct.room(f.acc[:0], len(value)), value...)
		f.open = true
		return nil
	}
	tmp, err := combined(f.acct, f.combine, f.tmp[:0], f.acc, value)
	if err != nil {
		return err
	}
	grew := len(tmp) > growing && len(tmp) > max(len(f.acc), len(value))
	f.acc, f.tmp = tmp, f.acc
	if grew {
		return f.flushValue()
	}
	return nil
}

// flushValue passes on what was combined so far.
func (f *fold) flushValue() error {
	if !f.open {
		return nil
	}
	f.open = false
	return f.sink.add(f.key, f.acc)
}

// end closes the segment.
func (f *fold) end() (extent, error) {
	if err := f.flushValue(); err != nil {
		return extent{}, err
	}
	return f.sink.end()
}

// drop gives the buffers back.
func (f *fold) drop() {
	f.sink.drop()
	f.key, f.acc, f.tmp = f.acct.free(f.key), f.acct.free(f.acc), f.acct.free(f.tmp)
}
