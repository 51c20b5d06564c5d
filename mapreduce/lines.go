package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
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
	l.begin(src)
	if r.Offset > 0 {
		n, err := l.skip()
		pos += n
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("mapreduce: input %s: %w", r.Path, err)
		}
	}
	for end := r.end(); pos < end; {
		line, err := l.next()
		if err != nil {
			return true, l.ended(r, pos, err)
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

// ended returns what is wrong if there is no line at pos for the given reason.
func (l *lineReader) ended(r Range, pos int64, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, errTooLong):
		return Permanent(fmt.Errorf("mapreduce: the line of %s that begins at byte %d has more than %d bytes: map the file as a whole, or cut its lines", r.Path, pos, l.limit))
	}
	return fmt.Errorf("mapreduce: input %s, byte %d: %w", r.Path, pos, err)
}
