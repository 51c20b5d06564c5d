package mapreduce

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// Lines returns the lines that belong to s, in order: those whose first byte
// is in one of its ranges. However large the files are, it holds one buffer
// and one line. A line ends with "\n" or "\r\n" or where its file ends; all
// other bytes are as they are in the file.
//
// An error ends the iteration. It is permanent for a line longer than MaxLine.
func (s Split) Lines(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		lines := newLineReader(ctx)
		defer lines.close()
		for _, r := range s.Ranges {
			more, err := lines.each(ctx, r, yield)
			if err != nil {
				yield(Line{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

const lineBuffer = 128 << 10

// buffers are those of line readers that are done: a task that reads one
// small split should not pay for a large buffer.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, lineBuffer) }}

// A lineReader reads the lines of one range after the other.
type lineReader struct {
	in    *bufio.Reader
	long  []byte // a line that is longer than the buffer of in
	meter *meter
	limit int
}

func newLineReader(ctx context.Context) *lineReader {
	return &lineReader{in: buffers.Get().(*bufio.Reader), meter: newMeter(ctx), limit: MaxLine}
}

func (l *lineReader) close() {
	l.meter.flush()
	l.in.Reset(nil)
	buffers.Put(l.in)
}

// each yields the lines of r, and reports whether more are wanted.
func (l *lineReader) each(ctx context.Context, r Range, yield func(Line, error) bool) (more bool, err error) {
	// The byte before the range says whether a line begins with it: if it is
	// an end of line, skipping to the next end skips nothing else.
	pos := max(r.Offset-1, 0)
	src, err := open(ctx, r, pos, l.meter)
	if err != nil {
		return false, err
	}
	defer src.close()
	l.in.Reset(src)
	if r.Offset > 0 {
		n, err := l.skip()
		pos += n
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("mapreduce: input %s: %w", r.Path, err)
		}
	}
	for end := r.end(); pos < end; {
		line, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case errors.Is(err, errTooLong):
			return false, Permanent(fmt.Errorf("mapreduce: the line of %s that begins at byte %d has more than %d bytes: map the file as a whole, or cut its lines", r.Path, pos, l.limit))
		case err != nil:
			return false, fmt.Errorf("mapreduce: input %s, byte %d: %w", r.Path, pos, err)
		}
		if !r.compressed() {
			l.meter.add(len(line))
		}
		if !yield(Line{File: r.Path, Offset: pos, Text: chomp(line)}, nil) {
			return false, nil
		}
		pos += int64(len(line))
	}
	return true, nil
}

var errTooLong = errors.New("line is too long")

// next returns the next line with its end, valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long, line...)
		if len(l.long) > l.limit+len("\r\n") {
			return nil, errTooLong
		}
		line, err = l.in.ReadSlice('\n')
	}
	if len(l.long) > 0 {
		l.long = append(l.long, line...)
		line = l.long
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case err != nil && len(line) == 0:
		return nil, io.EOF
	case len(chomp(line)) > l.limit:
		return nil, errTooLong
	}
	return line, nil
}

// skip passes over the next end of line and returns how many bytes that were.
func (l *lineReader) skip() (n int64, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		n += int64(len(part))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

func chomp(line []byte) []byte {
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	if ended {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	return text
}
