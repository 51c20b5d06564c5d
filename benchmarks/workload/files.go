package workload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/benchmarks"
)

// write makes n files of about size bytes together in dir: of what fill
// appends to each, piece by piece, until it has its share.
func write(ctx context.Context, dir string, n int, size int64, fill func(file int, dst []byte) []byte) (total int64, err error) {
	w := bufio.NewWriterSize(nil, 256<<10)
	for i := range n {
		written, err := writeFile(ctx, w, filepath.Join(dir, fmt.Sprintf("in-%06d.txt", i)), size/int64(n), func(dst []byte) []byte {
			return fill(i, dst)
		})
		total += written
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func writeFile(ctx context.Context, w *bufio.Writer, path string, size int64, fill func(dst []byte) []byte) (written int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w.Reset(f)
	for piece := []byte(nil); written < max(size, 1); {
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

// fileCount is how many files an input of size bytes is written to: several,
// as inputs are.
func fileCount(size int64) int { return int(min(max(size>>22, 4), 64)) }

const (
	minSplit = 64 << 10
	ample    = 16 << 20
)

// splitBytes is how much of an input one map task gets: what makes as many
// tasks as o asks for, or a few for every slot, or what muster makes of it (0)
// where the input is large enough for that.
func splitBytes(o benchmarks.Options, size int64) int64 {
	if o.Tasks > 0 {
		return max(size/int64(o.Tasks), 1)
	}
	if split := size / int64(4*o.Nodes*o.Slots); split < ample {
		return max(split, minSplit)
	}
	return 0
}
