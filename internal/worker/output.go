package worker

import (
	"fmt"
	"io"

	"github.com/musterhq/muster/mapreduce"
)

// pairSink takes the pairs that a reduce attempt returns.
type pairSink interface {
	add(key, value []byte) error
	close() error
}

// chunkBytes is how much is handed to the host at a time.
const chunkBytes = 512 << 10

// packer hands pairs on in chunks.
type packer struct {
	a   *attempt
	buf []byte
	n   int // pairs in it
	seq int
}

func (p *packer) add(key, value []byte) error {
	size := len(key) + len(value)
	if limit := max(p.a.w.cfg.MaxResult, chunkBytes); int64(size) > limit {
		return mapreduce.Permanent(fmt.Errorf("worker: a pair that %s returns has %d bytes and may have %d: have it written to files with Output", p.a.task.ID, size, limit))
	}
	const framing = 16 // what AppendPair adds is less
	if p.n > 0 && len(p.buf)+size+framing > chunkBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.buf = mapreduce.AppendPair(p.buf, key, value)
	p.n++
	return nil
}

func (p *packer) flush() error {
	buf, n := p.buf, p.n
	p.buf, p.n = make([]byte, 0, cap(buf)), 0 // the old one is the host's now
	err := p.a.w.host.Output(p.a.ctx, p.a.id(), p.seq, buf, n)
	p.seq++
	return err
}

func (p *packer) close() error {
	if p.n == 0 {
		return nil
	}
	return p.flush()
}

// part writes pairs as lines of the attempt's file, many at a time.
type part struct {
	a      *attempt
	format string
	file   io.WriteCloser
	lines  []byte
}

const (
	partBuffer = 128 << 10
	// partLines is from where on lines are written: as many as the file does
	// not copy once more into a buffer of its own.
	partLines = fileBuffer
)

func newPart(a *attempt, format string) (*part, error) {
	f, err := a.Create(fmt.Sprintf("part-%05d", a.what.ID.N))
	if err != nil {
		return nil, err
	}
	return &part{a: a, format: format, file: f, lines: make([]byte, 0, partBuffer)}, nil
}

func (p *part) add(key, value []byte) (err error) {
	if p.lines, err = p.a.batch.processor.Keyed.AppendText(p.lines, p.format, key, value); err != nil {
		return err
	}
	if len(p.lines) < partLines {
		return nil
	}
	return p.flush()
}

func (p *part) flush() error {
	_, err := p.file.Write(p.lines)
	if p.lines = p.lines[:0]; cap(p.lines) > 4*partBuffer { // for one large value
		p.lines = make([]byte, 0, partBuffer)
	}
	return err
}

func (p *part) close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.file.Close()
}
