package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/store"
)

// partSize is how much of a blob one record holds: well below the store's
// limit, and large enough that most blobs are one record.
const partSize = 256 << 10

// maxParts is set by the one byte that counts them.
const maxParts = 255

// putParts stores head and blob under key, whose last byte is the part's
// number. The first part begins with the count of all.
func putParts(b *store.Batch, key, head, blob []byte) error {
	n := parts(len(blob))
	if n > maxParts {
		return fmt.Errorf("state: record %q has %d bytes: %w", key, len(blob), store.ErrTooLarge)
	}
	for i := range n {
		part := blob[min(i*partSize, len(blob)):min((i+1)*partSize, len(blob))]
		var err error
		if i == 0 {
			err = b.Put(key, []byte{byte(n)}, head, part)
		} else {
			err = b.Put(partKey(key, i), part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parts returns in how many records a blob of so many bytes is.
func parts(size int) int { return max(1, (size+partSize-1)/partSize) }

// deleteParts removes what putParts stored, given the first part.
func deleteParts(b *store.Batch, key, first []byte) error {
	for i := range int(first[0]) {
		if err := b.Delete(partKey(key, i)); err != nil {
			return err
		}
	}
	return nil
}

type getter interface {
	Get(key []byte) ([]byte, error)
}

// getParts returns what putParts stored, head and blob in one, or
// store.ErrNotFound.
func getParts(g getter, key []byte) ([]byte, error) {
	first, err := g.Get(key)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, fmt.Errorf("state: record %q is empty: %w", key, store.ErrCorrupt)
	}
	blob := first[1:]
	for i := 1; i < int(first[0]); i++ {
		part, err := g.Get(partKey(key, i))
		if errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("state: part %d of record %q is missing: %w", i, key, store.ErrCorrupt)
		}
		if err != nil {
			return nil, err
		}
		blob = append(blob, part...)
	}
	return blob, nil
}

// blob is what putParts stored under key, head and blob in one.
type blob struct{ key, data []byte }

// joinParts puts the parts that a scan yields together. Key and data are the
// receiver's to keep.
func joinParts(scan iter.Seq2[store.Pair, error]) iter.Seq2[blob, error] {
	return func(yield func(blob, error) bool) {
		var b blob
		have, want := 0, 0
		for p, err := range scan {
			if err != nil {
				yield(blob{}, err)
				return
			}
			last := len(p.Key) - 1
			if int(p.Key[last]) != have || have == 0 && len(p.Value) == 0 || have > 0 && !bytes.Equal(p.Key[:last], b.key[:last]) {
				yield(blob{}, fmt.Errorf("state: record %q is not part %d of %d: %w", p.Key, have, want, store.ErrCorrupt))
				return
			}
			if have == 0 {
				want = int(p.Value[0])
				b = blob{bytes.Clone(p.Key), bytes.Clone(p.Value[1:])}
			} else {
				b.data = append(b.data, p.Value...)
			}
			if have++; have < want {
				continue
			}
			if !yield(b, nil) {
				return
			}
			have = 0
		}
		if have > 0 {
			yield(blob{}, fmt.Errorf("state: record %q has %d of %d parts: %w", b.key, have, want, store.ErrCorrupt))
		}
	}
}

func partKey(key []byte, part int) []byte {
	k := bytes.Clone(key)
	k[len(k)-1] = byte(part)
	return k
}
