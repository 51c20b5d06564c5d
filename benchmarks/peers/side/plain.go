package side

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster/benchmarks/peers/input"
)

// counts adds up numbers by key with what is at hand, and nothing to make it
// quick.
type counts map[string]int64

// countFields counts the words of a line.
func countFields(all counts, line []byte) error {
	for _, word := range bytes.Fields(line) {
		all[string(word)]++
	}
	return nil
}

// addRow adds the number of a line to what its key has.
func addRow(all counts, line []byte) error {
	key, number, ok := bytes.Cut(line, []byte{'\t'})
	n, err := strconv.ParseInt(string(number), 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("line %.100q: want a key and a number", line)
	}
	all[string(key)] += n
	return nil
}

func (c counts) each(f func(key []byte, sum int64)) {
	for key, sum := range c {
		f([]byte(key), sum)
	}
}

// plainly does the kinds of work that add up numbers by key, as who needs it
// once would: a core takes file after file, line by line.
func plainly(add func(all counts, line []byte) error) func(ctx context.Context, w Work) (Measure, error) {
	return func(ctx context.Context, w Work) (Measure, error) {
		return timed(func() error {
			files, err := input.Files(w.Input)
			if err != nil {
				return err
			}
			parts, errs := make([]counts, w.Cores), make([]error, w.Cores)
			var next atomic.Int64
			var working sync.WaitGroup
			for core := range w.Cores {
				parts[core] = counts{}
				working.Go(func() {
					for i := next.Add(1) - 1; i < int64(len(files)) && errs[core] == nil; i = next.Add(1) - 1 {
						errs[core] = parts[core].file(ctx, files[i], add)
					}
				})
			}
			working.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			all := parts[0]
			for _, part := range parts[1:] {
				for key, n := range part {
					all[key] += n
				}
			}
			return writeSums(w, all.each)
		})
	}
}

// file adds the lines of a file.
func (c counts) file(ctx context.Context, path string, add func(all counts, line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if err := add(c, lines.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return errors.Join(lines.Err(), context.Cause(ctx))
}
