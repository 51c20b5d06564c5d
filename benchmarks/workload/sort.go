package workload

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// sorting is the sorting of records: everything goes through the shuffle and
// out again.
type sorting struct{}

// Name is what it is called.
func (sorting) Name() string { return "sort" }

// About says what it does.
func (sorting) About() string {
	return "order --bytes (default 64 MiB) of records of 100 bytes by their first 10, which are random, by --tasks map tasks and into files; items: records; latency: of the map attempts"
}

const (
	recordBytes = 100 // with the end of the line
	keyBytes    = 10
	valueBytes  = recordBytes - keyBytes - 1
)

// digits are what keys are made of, in the order of their bytes and without
// those that a file of pairs would have to escape.
const digits = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// Prepare writes the records and takes their checksum.
func (sorting) Prepare(ctx context.Context, o benchmarks.Options, dir string) (benchmarks.Trial, error) {
	size := cmp.Or(o.Bytes, 64<<20)
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	t := &sortTrial{dir: dir, seed: maphash.MakeSeed()}
	written, err := write(ctx, dir, fileCount(size), size, func(_ int, dst []byte) []byte {
		dst = appendRecord(dst, rng, t.want.records)
		t.want.add(t.seed, dst[:keyBytes], dst[keyBytes:recordBytes-1])
		return dst
	})
	t.split = splitBytes(o, written)
	return t, err
}

// appendRecord appends a line: a random key, the record's number, and filling
// that the number makes different for each.
func appendRecord(dst []byte, rng *rand.Rand, n int64) []byte {
	for bits, i := rng.Uint64(), 0; i < keyBytes; i++ {
		dst = append(dst, digits[bits&63])
		bits >>= 6
	}
	dst = fmt.Appendf(dst, "%016x", n)
	for i := keyBytes + 16; i < recordBytes-1; i++ {
		dst = append(dst, digits[(n+int64(i))&63])
	}
	return append(dst, '\n')
}

// records is what a set of records comes to, in whatever order they are.
type records struct {
	records  int64
	checksum uint64
}

func (r *records) add(seed maphash.Seed, key, value []byte) {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.Write(key)
	_, _ = h.Write(value)
	r.records++
	r.checksum += h.Sum64()
}

type sortTrial struct {
	latencies
	dir   string
	split int64
	seed  maphash.Seed
	want  records
	tries int
}

// Size returns the number of records.
func (t *sortTrial) Size() (items, bytes int64) {
	return t.want.records, t.want.records * recordBytes
}

// Processors is the one that sorts.
func (t *sortTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"sort": watch(mapreduce.OfMap(byKey{}), &t.latencies)}
}

// Run sorts, up to the files.
func (t *sortTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.tries++
	in := job.Lines(filepath.Join(t.dir, "in-*"))
	in.SplitBytes = t.split
	r, err := pool[0].Submit(ctx, job.Spec{Processor: "sort", Input: in, Sorted: true, Output: job.Output{Dir: t.out(), Format: mapreduce.TSV}})
	if err != nil {
		return err
	}
	_, err = r.Wait(ctx)
	return err
}

func (t *sortTrial) out() string { return filepath.Join(t.dir, fmt.Sprintf("out-%d", t.tries)) }

// Check reads the files one after the other: the keys have to be in order
// through all of them, and the records to be the same as before.
func (t *sortTrial) Check(ctx context.Context) error {
	parts, err := filepath.Glob(filepath.Join(t.out(), "part-*"))
	if err != nil {
		return err
	}
	var got records
	var last []byte
	for _, part := range parts {
		err := eachLine(ctx, part, func(line []byte) error {
			key, value, ok := bytes.Cut(line, []byte{'\t'})
			if !ok || len(key) != keyBytes || len(value) != valueBytes {
				return fmt.Errorf("the line %q is no record", line)
			}
			if bytes.Compare(last, key) > 0 {
				return fmt.Errorf("key %q comes after %q", key, last)
			}
			last = append(last[:0], key...)
			got.add(t.seed, key, value)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(part), err)
		}
	}
	if got != t.want {
		return fmt.Errorf("%d records with checksum %x: want %d with %x", got.records, got.checksum, t.want.records, t.want.checksum)
	}
	return os.RemoveAll(t.out())
}

// eachLine calls each with every line of a file, without its end.
func eachLine(ctx context.Context, path string, each func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := bufio.NewReaderSize(f, 1<<20); ctx.Err() == nil; {
		line, err := r.ReadSlice('\n')
		long := []byte(nil)
		for errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			line, err = r.ReadSlice('\n')
		}
		if long != nil {
			line = append(long, line...)
		}
		if len(line) > 0 {
			if err := each(bytes.TrimSuffix(line, []byte{'\n'})); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// byKey leaves everything to the order of the keys.
type byKey struct{}

func (byKey) Map(_ context.Context, record []byte, emit func([]byte, []byte)) error {
	if len(record) != recordBytes-1 {
		return mapreduce.Permanent(fmt.Errorf("sort: a record of %d bytes: want %d", len(record), recordBytes-1))
	}
	emit(record[:keyBytes], record[keyBytes:])
	return nil
}
