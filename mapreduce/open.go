package mapreduce

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// A source is one input file, open at the start of a range's bytes.
type source struct {
	io.Reader
	file *os.File
	size int64 // of the file, as it is on the disk
}

// open opens the file of r and, unless it is compressed, seeks to from. The
// bytes of a compressed file are counted here, where they are read; those of
// others by who knows which of them belong to the range.
func open(ctx context.Context, r Range, from int64, m *meter) (*source, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	f, err := os.Open(r.Path)
	if err != nil {
		return nil, fmt.Errorf("mapreduce: input: %w: every node that works on the run must be able to read it under this name", err)
	}
	s := &source{file: f}
	if err := s.begin(ctx, r, from, m); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) begin(ctx context.Context, r Range, from int64, m *meter) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("mapreduce: input: %w", err)
	}
	s.size = info.Size()
	if info.IsDir() {
		return Permanent(fmt.Errorf("mapreduce: input %s is a directory: name files", r.Path))
	}
	if s.size < r.Size {
		return fmt.Errorf("mapreduce: input %s has %d bytes and had %d when the run was accepted: it must not shrink during the run", r.Path, s.size, r.Size)
	}
	if !r.compressed() {
		s.Reader = &patient{ctx: ctx, r: s.file}
		if from > 0 {
			_, err = s.file.Seek(from, io.SeekStart)
		}
		if err != nil {
			return fmt.Errorf("mapreduce: input: %w", err)
		}
		if r.Size > 0 {
			// Every attempt sees the file as it was, even if it is a log that
			// others append to.
			s.Reader = io.LimitReader(s.Reader, r.Size-from)
		}
		return nil
	}
	if s.size == 0 {
		s.Reader = s.file // an empty file is empty, compressed or not
		return nil
	}
	z, err := gzip.NewReader(&patient{ctx: ctx, r: s.file, meter: m})
	if err != nil {
		return fmt.Errorf("mapreduce: input %s: %w: is it compressed by gzip, as its name says?", r.Path, err)
	}
	s.Reader = z
	return nil
}

func (s *source) close() { s.file.Close() }

// patient reads until ctx is done, and then returns its cause. Checking once a
// buffer costs nothing, where once a line would.
type patient struct {
	ctx   context.Context // of the iteration that reads
	r     io.Reader
	meter *meter // or nil
}

func (p *patient) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.r.Read(b)
	if p.meter != nil {
		p.meter.add(n)
	}
	return n, err
}
