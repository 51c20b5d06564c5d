package input

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
)

// RecordBytes is how long a record usually is, with the end of its line; KeyBytes
// of them are its key.
const (
	RecordBytes = 100
	KeyBytes    = 10
	maxRecord   = 1 << 20
)

// digits are what records are made of, in the order of their bytes.
const digits = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// Records are lines of one length whose first 10 bytes are a random key. What has
// to come out is all of them in the order of their keys.
type Records struct {
	length int
	seed   maphash.Seed
	want   tally
}

// tally is what a set of records comes to, in whatever order they are.
type tally struct {
	records  int64
	checksum uint64
}

// MakeRecords writes records of length bytes each, with the end of the line, and
// about size bytes together.
func MakeRecords(ctx context.Context, dir string, size int64, length int, seed uint64) (*Records, error) {
	if length <= KeyBytes || length > maxRecord {
		return nil, fmt.Errorf("input: records of %d bytes: want %d to %d", length, KeyBytes+1, maxRecord)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	r := &Records{length: length, seed: maphash.MakeSeed()}
	_, err := write(ctx, dir, fileCount(size), size, func(dst []byte) []byte {
		for len(dst) < length {
			bits := rng.Uint64()
			for range 10 {
				dst = append(dst, digits[bits&63])
				bits >>= 6
			}
		}
		dst = append(dst[:length-1], '\n')
		r.want.add(r.seed, dst[:length-1])
		return dst
	})
	return r, err
}

func (t *tally) add(seed maphash.Seed, record []byte) {
	t.records++
	t.checksum += maphash.Bytes(seed, record)
}

// Size returns the number of records.
func (r *Records) Size() (items, bytes int64) {
	return r.want.records, r.want.records * int64(r.length)
}

// Check demands that the keys ascend through all files, in the order of their
// names, and that the records are those that were made. There may be a tab
// between a key and the rest.
func (r *Records) Check(ctx context.Context, dir string) error {
	var got tally
	var last, record []byte
	err := eachLine(ctx, dir, func(line []byte) error {
		record = append(record[:0], line...)
		if len(line) == r.length && line[KeyBytes] == '\t' {
			record = append(record[:KeyBytes], line[KeyBytes+1:]...)
		}
		if len(record) != r.length-1 {
			return fmt.Errorf("line %.200q: want a record of %d bytes", line, r.length-1)
		}
		if bytes.Compare(last, record[:KeyBytes]) > 0 {
			return fmt.Errorf("key %q comes after %q", record[:KeyBytes], last)
		}
		last = append(last[:0], record[:KeyBytes]...)
		got.add(r.seed, record)
		return nil
	})
	if err == nil && got != r.want {
		err = fmt.Errorf("%d records with checksum %x: want %d with %x", got.records, got.checksum, r.want.records, r.want.checksum)
	}
	return err
}
