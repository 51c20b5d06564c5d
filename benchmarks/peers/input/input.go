// Package input makes what is worked on, from a seed and the same for each
// side, and knows what has to come out: by ways that have nothing in common
// with those of any side.
//
// Inputs and outputs are directories of text files. What an output has to be
// does not depend on how many files it is in, nor, but for sorting, on the
// order of its lines.
package input

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An Input is files and what has to come of them.
type Input interface {
	// Size returns how many items the input has, and how many bytes.
	Size() (items, bytes int64)
	// Check returns an error unless the files in dir are what has to come out.
	Check(ctx context.Context, dir string) error
}

// write makes n files of about size bytes together in dir, of the pieces that
// fill appends.
func write(ctx context.Context, dir string, n int, size int64, fill func(dst []byte) []byte) (total int64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	for i := range n {
		written, err := writeFile(ctx, filepath.Join(dir, fmt.Sprintf("in-%04d.txt", i)), size*int64(i+1)/int64(n)-total, fill)
		if total += written; err != nil {
			return total, err
		}
	}
	return total, nil
}

func writeFile(ctx context.Context, path string, size int64, fill func(dst []byte) []byte) (written int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	for piece := []byte(nil); written < size; {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		piece = fill(piece[:0])
		if _, err := w.Write(piece); err != nil {
			return written, err
		}
		written += int64(len(piece))
	}
	return written, w.Flush()
}

// fileCount is how many files an input of size bytes is in: several, as inputs
// are.
func fileCount(size int64) int { return int(min(max(size>>24, 4), 64)) }

// Files returns the files of a directory, in the order of their names. Those
// that begin with an underscore are about the others, and left out.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), "_") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// eachLine calls each with every line of the files in dir, without its end.
func eachLine(ctx context.Context, dir string, each func(line []byte) error) error {
	files, err := Files(dir)
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := eachLineOf(ctx, path, each); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func eachLineOf(ctx context.Context, path string, each func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := r.ReadSlice('\n')
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
}
