package runlog

import (
	"errors"
	"fmt"
	"os"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
)

// Append keeps batches, each encoded by wire.AppendLogBatch. They are in the
// hands of the operating system when it returns. The error is ErrFull if there
// is no room; then none is kept.
func (s *Store) Append(batches [][]byte) error {
	size := int64(0)
	for i, b := range batches {
		if err := check(b); err != nil {
			return fmt.Errorf("runlog: batch %d: %w", i, err)
		}
		size += recordHead + int64(len(b))
	}
	if err := s.space.Room(size, s.cfg.Reserve); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if err := s.write(batches); err != nil {
		return err
	}
	return s.makeRoom()
}

// check reads a batch to its end.
func check(b []byte) error {
	if len(b) > maxRecord {
		return fmt.Errorf("it has %d bytes: want at most %d", len(b), maxRecord)
	}
	batch, err := wire.DecodeLogBatch(b)
	if err != nil {
		return err
	}
	n := 0
	for l, err := range wire.LogLines(batch.Run, batch.Lines) {
		if err != nil {
			return err
		}
		if at := l.Time.UnixNano(); at < batch.First || at > batch.Last {
			return errors.New("a line is not of the time that the batch says")
		}
		n++
	}
	if n != batch.N {
		return fmt.Errorf("it has %d lines and says %d", n, batch.N)
	}
	return nil
}

// write appends records. It is called by whoever has the turn.
func (s *Store) write(payloads [][]byte) error {
	for len(payloads) > 0 {
		g, err := s.active()
		if err != nil {
			return err
		}
		var b []byte
		n := 0
		for ; n < len(payloads) && (n == 0 || g.size+int64(len(b)+len(payloads[n])) < s.cfg.Segment); n++ {
			b = appendRecord(b, payloads[n])
		}
		if _, err := g.file.WriteAt(b, g.size); err != nil {
			return fmt.Errorf("%w: %w", ErrFull, err) // what is half there will be written over
		}
		s.mu.Lock()
		at, now := g.size, s.now().UnixNano()
		g.size += int64(len(b))
		s.total += int64(len(b))
		for _, p := range payloads[:n] {
			if err = s.indexLocked(g, int(at), p, now); err != nil {
				break
			}
			at += recordHead + int64(len(p))
			s.cameLocked(p)
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
		payloads = payloads[n:]
	}
	return nil
}

// active returns the segment to write to.
func (s *Store) active() (*segment, error) {
	s.mu.Lock()
	var last *segment
	if len(s.segs) > 0 {
		last = s.segs[len(s.segs)-1]
	}
	isClosed, n := s.closed, s.next
	full := last == nil || !last.writes() || last.size >= s.cfg.Segment
	s.mu.Unlock()
	switch {
	case isClosed:
		return nil, ErrClosed
	case !full:
		return last, nil
	case last != nil && last.writes():
		if err := last.file.Sync(); err != nil {
			s.log.Warn("lines of runs may be lost if the power fails", telemetry.Err(err))
		}
	}
	path := segmentPath(s.cfg.Dir, n)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = file.WriteString(segmentMagic)
	}
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close(), os.Remove(path))
		}
		return nil, fmt.Errorf("%w: %w", ErrFull, err)
	}
	g := &segment{n: n, file: file, path: path, size: int64(len(segmentMagic)), ours: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.segs = append(s.segs, g)
	s.total += g.size
	return g, nil
}

// writes reports whether this life of the store writes the segment.
func (g *segment) writes() bool { return g.ours }

// Sync has the disk take what was appended, so that it survives a loss of power.
func (s *Store) Sync() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	var last *segment
	if n := len(s.segs); n > 0 && s.segs[n-1].writes() && s.segs[n-1].size != s.segs[n-1].synced {
		last = s.segs[n-1]
		last.synced = last.size
	}
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	if err := last.file.Sync(); err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	return nil
}
