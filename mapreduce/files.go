package mapreduce

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
)

// Files returns the files of s, each as a whole. An error ends the iteration.
// It is permanent for a file of more than MaxFile bytes, and for a split that
// was cut between lines.
func (s Split) Files(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		m := newMeter(ctx)
		defer m.flush()
		for _, r := range s.Ranges {
			data, err := readFile(ctx, r, m)
			if err != nil {
				yield(File{}, err)
				return
			}
			if !yield(File{Path: r.Path, Data: data}, nil) {
				return
			}
		}
	}
}

func readFile(ctx context.Context, r Range, m *meter) ([]byte, error) {
	src, err := open(ctx, r, 0, m)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if r.cut(cmp.Or(r.Size, src.size)) {
		return nil, Permanent(fmt.Errorf("mapreduce: input %s was cut into ranges of lines: declare the input with job.Files to get whole files, or read it with Lines", r.Path))
	}
	if src.size > MaxFile {
		return nil, tooLarge(r)
	}
	// One byte more than there should be tells a file that is too large, and
	// saves the read that would only find the end.
	var buf bytes.Buffer
	buf.Grow(int(src.size) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(src, MaxFile+1)); err != nil {
		return nil, fmt.Errorf("mapreduce: input %s: %w", r.Path, err)
	}
	if buf.Len() > MaxFile {
		return nil, tooLarge(r)
	}
	if !r.compressed() {
		m.add(buf.Len())
	}
	return buf.Bytes(), nil
}

func tooLarge(r Range) error {
	return Permanent(fmt.Errorf("mapreduce: input %s has more than %d bytes, too many for one record: map its lines instead", r.Path, MaxFile))
}
