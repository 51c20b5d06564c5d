package runlog

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// ErrFull says that the disk has no room for more lines.
var ErrFull error = &coded{"log-full", "runlog: no room on the disk"}

// ErrClosed says that the store was closed.
var ErrClosed error = &coded{"log-closed", "runlog: closed"}

type coded struct{ code, text string }

func (c *coded) Error() string     { return c.text }
func (c *coded) ErrorCode() string { return c.code }

// Config says where a store keeps lines and how many.
type Config struct {
	// Dir is the directory, which is made if it is not there.
	Dir string
	// Total bounds the bytes of all files. The oldest lines make room for new
	// ones. Zero means 1 GiB.
	Total int64
	// PerRun bounds the bytes of one run. Zero means 64 MiB, and never more than
	// a quarter of Total.
	PerRun int64
	// Segment is how large a file gets. Zero means 16 MiB, and never more than
	// an eighth of Total.
	Segment int64
	// Reserve is how much of the disk stays free. Zero means what package store
	// keeps free, a negative value nothing.
	Reserve int64
	// Logger is where to log. Nil means slog.Default().
	Logger *slog.Logger
}

// maxRefs bounds the batches that a store knows where to find, which takes
// memory.
const maxRefs = 2_000_000

// Store keeps the lines of runs on this node's disk. Its methods may be called
// at the same time.
type Store struct {
	cfg   Config
	log   *slog.Logger
	space *store.Space
	life  uint64
	turn  chan struct{} // held by whoever writes
	now   func() time.Time

	mu     sync.Mutex
	runs   map[job.RunID]*runLines // guarded by mu
	segs   []*segment              // the oldest first, and the one that is written to last; guarded by mu
	next   uint32                  // number of the next segment; guarded by mu
	total  int64                   // bytes of all segments; guarded by mu
	refs   int                     // in all runs; guarded by mu
	watch  map[job.RunID]*watch    // guarded by mu
	closed bool                    // guarded by mu
}

// runLines is where the lines of a run are.
type runLines struct {
	refs  []ref // in the order in which they came
	bytes int64
	gone  uint64 // batches that came before the first of refs
	lost  lost   // lines that were given up
	noted uint32 // the segment that says so
	heard int64  // when a batch came last, in nanoseconds
}

// ref is where a batch is.
type ref struct {
	seg         uint32
	at, size    uint32 // of the record
	lines       uint32
	first, last int64
}

type watch struct {
	came    chan struct{} // closed when something comes
	waiting int
}

// Open opens the store in a directory, with the lines that it held before.
func Open(cfg Config) (*Store, error) {
	cfg.Total = cmp.Or(cfg.Total, 1<<30)
	cfg.PerRun = min(cmp.Or(cfg.PerRun, 64<<20), cfg.Total/4)
	cfg.Segment = min(cmp.Or(cfg.Segment, 16<<20), cfg.Total/8)
	if cfg.Total < 1<<16 || cfg.PerRun < 1 || cfg.Segment < 1 {
		return nil, fmt.Errorf("runlog: Total %d, PerRun %d, Segment %d: want at least 64 KiB in all, or 0 for 1 GiB", cfg.Total, cfg.PerRun, cfg.Segment)
	}
	s := &Store{
		cfg: cfg, log: cfg.Logger, space: store.NewSpace(cfg.Dir), life: rand.Uint64(), turn: make(chan struct{}, 1), now: time.Now,
		runs: map[job.RunID]*runLines{}, watch: map[job.RunID]*watch{},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("runlog: %w", err)
	}
	if s.cfg.Reserve == 0 {
		s.cfg.Reserve = s.space.Reserve()
	}
	if err := s.load(); err != nil {
		for _, g := range s.segs {
			err = errors.Join(err, g.file.Close())
		}
		return nil, err
	}
	return s, nil
}

// load reads what earlier lives have written.
func (s *Store) load() error {
	paths, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*.runlog"))
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		var n uint32
		if _, err := fmt.Sscanf(filepath.Base(path), "%08x.runlog", &n); err != nil {
			continue // not ours
		}
		s.next = max(s.next, n+1)
		if err := s.loadSegment(n, path); err != nil {
			return err
		}
	}
	return s.clear()
}

func (s *Store) loadSegment(n uint32, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("runlog: %w", err), file.Close())
	}
	g := &segment{n: n, file: file, path: path, size: int64(len(b))}
	s.segs = append(s.segs, g)
	s.total += g.size
	damaged := 0
	for at, r := range records(b) {
		if r.err == nil {
			r.err = s.indexLocked(g, at, r.payload, info.ModTime().UnixNano())
		}
		if r.err != nil {
			damaged++
		}
	}
	if damaged > 0 {
		s.log.Warn("some lines of runs are damaged and left out", slog.String("file", path), slog.Int("places", damaged))
	}
	return nil
}

// indexLocked takes a record into the index.
func (s *Store) indexLocked(g *segment, at int, payload []byte, heard int64) error {
	if l, ok := decodeLost(payload); ok {
		r := s.runLocked(l.run)
		if l.lines >= r.lost.lines {
			r.lost = l
		}
		r.noted = g.n
		return nil
	}
	b, err := wire.DecodeLogBatch(payload)
	if err != nil {
		return err
	}
	r := s.runLocked(b.Run)
	size := recordHead + len(payload)
	r.refs = append(r.refs, ref{g.n, uint32(at), uint32(size), uint32(b.N), b.First, b.Last})
	r.bytes += int64(size)
	r.heard = heard
	g.live += int64(size)
	s.refs++
	for r.bytes > s.cfg.PerRun && len(r.refs) > 1 {
		s.popLocked(b.Run, r)
	}
	return nil
}

func (s *Store) runLocked(id job.RunID) *runLines {
	r := s.runs[id]
	if r == nil {
		r = &runLines{lost: lost{run: id}}
		s.runs[id] = r
	}
	return r
}

func (s *Store) segmentLocked(n uint32) *segment {
	i, ok := slices.BinarySearchFunc(s.segs, n, func(g *segment, n uint32) int { return cmp.Compare(g.n, n) })
	if !ok {
		return nil
	}
	return s.segs[i]
}

// Close ends all waiting and closes the files. What was appended stays.
func (s *Store) Close() error {
	err := s.Sync()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	segs := s.segs
	s.closed, s.segs, s.runs = true, nil, map[job.RunID]*runLines{}
	for id, w := range s.watch {
		close(w.came)
		delete(s.watch, id)
	}
	s.mu.Unlock()
	for _, g := range segs {
		err = errors.Join(err, g.file.Close())
	}
	return err
}
