package side

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster/benchmarks/peers/input"
)

// pieceBytes is how much of a file is worked on at a time, and lineSpace more
// than a line has, of the inputs that there are.
const (
	pieceBytes = 4 << 20
	lineSpace  = 4 << 10
)

// span is a piece of a file: the lines that begin from an offset on, and
// before that of the next piece.
type span struct {
	path string
	from int64
	size int
}

func spans(dir string, size int) (all []span, err error) {
	files, err := input.Files(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		for at := int64(0); at < info.Size(); at += int64(size) {
			all = append(all, span{path, at, size})
		}
	}
	return all, nil
}

// eachPiece has each core take pieces of the input, which are whole lines.
func eachPiece(ctx context.Context, w Work, each func(core int, piece []byte) error) error {
	all, err := spans(w.Input, pieceBytes)
	if err != nil {
		return err
	}
	var next atomic.Int64
	var working sync.WaitGroup
	errs := make([]error, w.Cores)
	for core := range w.Cores {
		working.Go(func() {
			buf := make([]byte, 1+pieceBytes+lineSpace)
			for ctx.Err() == nil && errs[core] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				piece, err := all[i].read(buf)
				if err == nil {
					err = each(core, piece)
				}
				errs[core] = err
			}
		})
	}
	working.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// read returns the lines of the span, in buf.
func (s span) read(buf []byte) ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	back := min(s.from, 1) // to see whether a line begins at the offset
	n, err := f.ReadAt(buf, s.from-back)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	buf = buf[:n]
	begin, end := 0, n
	if back > 0 {
		begin = bytes.IndexByte(buf, '\n') + 1
	}
	if last := int(back) + s.size - 1; last < n { // the line with this byte began in the span, or is its end
		i := bytes.IndexByte(buf[last:], '\n')
		if i < 0 {
			return nil, fmt.Errorf("%s: a line of more than %d bytes", s.path, lineSpace)
		}
		end = last + i + 1
	}
	return buf[min(begin, end):end], nil
}
