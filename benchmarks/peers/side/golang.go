package side

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// What one would write for the one machine: no run, no record of anything, and
// all in memory.
var golangData = []Side{
	{Kind: WordCount, Name: "go-plain-maps", Label: "Go, plain maps", About: aboutPlain, Do: plainly(countFields)},
	{Kind: WordCount, Name: "go-tuned-maps", Label: "Go, tuned maps", About: aboutMaps, Do: adder(words, newPointers)},
	{Kind: WordCount, Name: "go-table", Label: "Go, a tuned hash table", About: aboutTable, Do: adder(words, newTable)},
	{
		Kind: Sort, Name: "go", Label: "Go, by hand",
		About: "all in memory, an index of 8-byte prefixes sorted by a goroutine per core, merged",
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return timed(func() error { return goSort(ctx, w) })
		},
	},
	{Kind: GroupBy, Name: "go-plain-maps", Label: "Go, plain maps", About: aboutPlain, Do: plainly(addRow)},
	{Kind: GroupBy, Name: "go-tuned-maps", Label: "Go, tuned maps", About: aboutMaps, Do: adder(row, newPointers)},
	{Kind: GroupBy, Name: "go-table", Label: "Go, a tuned hash table", About: aboutTable, Do: adder(row, newTable)},
}

const (
	aboutPlain = "a goroutine per core, each with a bufio.Scanner over whole files and a map[string]int64, put together in the end"
	aboutMaps  = "a goroutine per core, each with a map[string]*int64 and large pieces of files, put together in the end"
	aboutTable = "a goroutine per core, each with an open-addressing table over an arena of keys and large pieces of files, put together in the end"
)

// sums adds up numbers by key.
type sums interface {
	add(key []byte, n int64)
	each(f func(key []byte, sum int64))
}

// pointers is a map of pointers, so that a key that is known takes one look-up,
// and is copied only when it is new.
type pointers map[string]*int64

func newPointers() sums { return pointers{} }

func (p pointers) add(key []byte, n int64) {
	if sum := p[string(key)]; sum != nil {
		*sum += n
		return
	}
	sum := new(int64)
	*sum = n
	p[string(key)] = sum
}

func (p pointers) each(f func(key []byte, sum int64)) {
	for key, sum := range p {
		f([]byte(key), *sum)
	}
}

// adder does the kinds of work that add up numbers by key.
func adder(split func([]byte, func([]byte, int64)) error, empty func() sums) func(ctx context.Context, w Work) (Measure, error) {
	return func(ctx context.Context, w Work) (Measure, error) {
		return timed(func() error {
			parts := make([]sums, w.Cores)
			for i := range parts {
				parts[i] = empty()
			}
			err := eachPiece(ctx, w, func(core int, piece []byte) error {
				add := parts[core].add
				for line := range bytes.Lines(piece) {
					if err := split(line[:len(line)-1], add); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			for _, part := range parts[1:] {
				part.each(parts[0].add)
			}
			return writeSums(w, parts[0].each)
		})
	}
}

func writeSums(w Work, each func(f func(key []byte, sum int64))) error {
	return writeOutput(w, func(out *bufio.Writer) error {
		var line []byte
		each(func(key []byte, sum int64) {
			line = append(append(line[:0], key...), '\t')
			line = append(strconv.AppendInt(line, sum, 10), '\n')
			_, _ = out.Write(line) // the error is that of Flush too
		})
		return nil
	})
}

func writeOutput(w Work, write func(out *bufio.Writer) error) (err error) {
	if err := os.MkdirAll(w.Output, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(w.Output, "out.txt"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(write(out), out.Flush())
}
