package mapreduce

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

const lineBuffer = 128 << 10

// buffers are those of line readers that are done: a task that reads one
// small split should not pay for a large buffer.
var buffers = sync.Pool{New: func() any { return new([lineBuffer]byte) }}

// A lineReader reads the lines of one range after the other. A bufio.Reader does
// that too, and takes as long for a short line as there is to do in it.
type lineReader struct {
	src     io.Reader
	buf     *[lineBuffer]byte
	at, end int    // of what was read and is not part of a line yet
	err     error  // what comes after that
	long    []byte // a line that was not read at once
	meter   *meter
	limit   int
}

func newLineReader(ctx context.Context) *lineReader {
	return &lineReader{buf: buffers.Get().(*[lineBuffer]byte), meter: newMeter(ctx), limit: MaxLine}
}

func (l *lineReader) close() {
	l.meter.flush()
	buffers.Put(l.buf)
}

// begin goes on with another source.
func (l *lineReader) begin(src io.Reader) {
	l.src, l.at, l.end, l.err = src, 0, 0, nil
}

// fill reads more, after all that there was.
func (l *lineReader) fill() {
	l.at, l.end = 0, 0
	if l.err == nil {
		l.end, l.err = l.src.Read(l.buf[:])
	}
}

var errTooLong = errors.New("line is too long")

// next returns the next line with its end, valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	rest := l.buf[l.at:l.end]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 {
		return l.nextCut()
	}
	l.at += i + 1
	return rest[:i+1], nil
}

// nextCut returns the next line if it has not been read to its end.
func (l *lineReader) nextCut() ([]byte, error) {
	l.long = append(l.long[:0], l.buf[l.at:l.end]...)
	for {
		l.fill()
		l.at = bytes.IndexByte(l.buf[:l.end], '\n') + 1
		ended := l.at > 0
		if !ended {
			l.at = l.end
		}
		l.long = append(l.long, l.buf[:l.at]...)
		ended = ended || errors.Is(l.err, io.EOF) && len(l.long) > 0
		switch {
		case len(l.long) > l.limit+len("\r\n"), ended && len(chomp(l.long)) > l.limit:
			return nil, errTooLong
		case ended:
			return l.long, nil
		case l.err != nil:
			return nil, l.err
		}
	}
}

// skip passes over the next end of line and returns how many bytes that were.
func (l *lineReader) skip() (n int64, err error) {
	for {
		rest := l.buf[l.at:l.end]
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			l.at += i + 1
			return n + int64(i+1), nil
		}
		n += int64(len(rest))
		if l.at = l.end; l.err != nil {
			return n, l.err
		}
		l.fill()
	}
}

// chomp returns a line without its end.
func chomp(line []byte) []byte {
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	if ended {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	return text
}
