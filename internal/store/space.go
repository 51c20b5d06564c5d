package store

import (
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	// A look at the file system is good for so long, or for so many bytes.
	lookEvery      = time.Second
	lookEveryBytes = 16 << 20

	leastReserve = 1 << 30
)

// Space watches how much of a file system is free, so that writers stop
// before it is full. It is safe for use by many goroutines.
type Space struct {
	dir   string
	probe func(dir string) (free, total uint64, err error)

	mu      sync.Mutex
	looked  time.Time // guarded by mu
	written int64     // bytes since then; guarded by mu
	free    uint64    // guarded by mu
	total   uint64    // guarded by mu
	err     error     // guarded by mu
}

// NewSpace returns a watch on the file system that holds dir.
func NewSpace(dir string) *Space { return &Space{dir: dir, probe: freeSpace} }

// Reserve returns how many bytes should stay free: the larger of 5 % of the
// file system and 1 GiB. It is 0 where free space can't be told.
func (s *Space) Reserve() int64 {
	_, total, known := s.look(0)
	if !known {
		return 0
	}
	return int64(min(max(total/20, leastReserve), math.MaxInt64))
}

// Room returns ErrFull if writing n bytes would leave less than reserve bytes
// free. It is cheap: it looks at the file system at most once a second, or
// whenever 16 MiB were asked for. Where free space can't be told, there is
// always room.
func (s *Space) Room(n, reserve int64) error {
	if reserve < 0 {
		return nil
	}
	free, _, known := s.look(n)
	if !known {
		return nil // a system that can't tell is no reason to stop
	}
	if need := uint64(reserve) + uint64(max(n, 0)); free < need {
		return fmt.Errorf("store: %s has %d bytes free, writing needs %d: free some space: %w", s.dir, free, need, ErrFull)
	}
	return nil
}

// look returns what is free after n more bytes were planned for, if the system
// can tell.
func (s *Space) look(n int64) (free, total uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += n
	if s.looked.IsZero() || s.written >= lookEveryBytes || time.Since(s.looked) >= lookEvery {
		s.free, s.total, s.err = s.probe(s.dir)
		s.looked, s.written = time.Now(), n
	}
	planned := min(uint64(max(s.written-n, 0)), s.free)
	return s.free - planned, s.total, s.err == nil
}
