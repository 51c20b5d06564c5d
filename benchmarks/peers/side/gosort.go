package side

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/musterhq/muster/benchmarks/peers/input"
)

// entry stands for a record while it is sorted.
type entry struct {
	prefix uint64 // of the key
	record uint32 // its number
}

// recordsOf is the records, which are all of one length and stay where they are
// until they are written.
type recordsOf struct {
	bytes  []byte
	length int
}

func (r recordsOf) at(e entry) []byte { return r.bytes[int(e.record)*r.length:][:r.length] }

func (r recordsOf) compare(a, b entry) int {
	if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
		return c
	}
	return bytes.Compare(r.at(a)[8:keyBytes], r.at(b)[8:keyBytes])
}

// goSort sorts as one does by hand, with everything in memory.
func goSort(ctx context.Context, w Work) error {
	all, err := readAll(w.Input)
	if err != nil {
		return err
	}
	records := recordsOf{all, bytes.IndexByte(all, '\n') + 1}
	n := len(all) / records.length
	index := make([]entry, n)
	runs := make([][]entry, w.Cores)
	var sorting sync.WaitGroup
	for core := range runs {
		from := n * core / w.Cores
		run := index[from : n*(core+1)/w.Cores]
		runs[core] = run
		sorting.Go(func() {
			for i := range run {
				run[i].record = uint32(from + i)
				run[i].prefix = binary.BigEndian.Uint64(records.at(run[i]))
			}
			slices.SortFunc(run, records.compare)
		})
	}
	sorting.Wait()
	return writeOutput(w, func(out *bufio.Writer) error { return records.merge(ctx, runs, n, out) })
}

// merge writes what is in the runs, which are as many as there are cores.
func (r recordsOf) merge(ctx context.Context, runs [][]entry, n int, out *bufio.Writer) error {
	for i := range n {
		if i%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		least := -1
		for k, run := range runs {
			if len(run) > 0 && (least < 0 || r.compare(run[0], runs[least][0]) < 0) {
				least = k
			}
		}
		_, _ = out.Write(r.at(runs[least][0])) // the error is that of Flush too
		runs[least] = runs[least][1:]
	}
	return nil
}

func readAll(dir string) ([]byte, error) {
	files, err := input.Files(dir)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		size += info.Size()
	}
	all := make([]byte, size)
	read := 0
	for _, path := range files {
		n, err := readInto(path, all[read:])
		if err != nil {
			return nil, err
		}
		read += n
	}
	return all[:read], nil
}

func readInto(path string, buf []byte) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, buf)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // the room is for all files
	}
	return n, err
}
