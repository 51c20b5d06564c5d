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
	"github.com/musterhq/muster/internal/telemetry"
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

// popLocked gives up the oldest batch of a run.
func (s *Store) popLocked(id job.RunID, r *runLines) {
	first := r.refs[0]
	r.refs = r.refs[1:]
	r.gone++
	r.bytes -= int64(first.size)
	r.lost = lost{id, r.lost.lines + uint64(first.lines), max(r.lost.until, first.last)}
	s.refs--
	if g := s.segmentLocked(first.seg); g != nil {
		g.live -= int64(first.size)
	}
}

func (s *Store) segmentLocked(n uint32) *segment {
	i, ok := slices.BinarySearchFunc(s.segs, n, func(g *segment, n uint32) int { return cmp.Compare(g.n, n) })
	if !ok {
		return nil
	}
	return s.segs[i]
}

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

// maxBare bounds the runs of which only that they have lost all of their lines is
// known.
const maxBare = 10_000

// makeRoom gives up the oldest lines while there are too many. It is called by
// whoever has the turn.
func (s *Store) makeRoom() error {
	for {
		s.mu.Lock()
		if (s.total <= s.cfg.Total && s.refs <= maxRefs) || len(s.segs) < 2 {
			s.mu.Unlock()
			return s.clear()
		}
		oldest := s.segs[0]
		var notes [][]byte
		bare := 0
		for id, r := range s.runs {
			had := r.noted == oldest.n && r.lost.lines > 0
			for len(r.refs) > 0 && r.refs[0].seg == oldest.n {
				s.popLocked(id, r)
				had = true
			}
			if len(r.refs) == 0 {
				bare++
			}
			switch {
			case len(r.refs) == 0 && bare > maxBare:
				delete(s.runs, id)
			case had:
				notes = append(notes, appendLost(nil, r.lost))
			}
		}
		oldest.live = 0
		s.mu.Unlock()
		if err := s.write(notes); err != nil {
			return err
		}
		if err := s.clear(); err != nil {
			return err
		}
	}
}

// clear removes the segments in which nothing is left. It is called by whoever
// has the turn.
func (s *Store) clear() error {
	s.mu.Lock()
	noted := map[uint32]bool{}
	empty := slices.ContainsFunc(s.segs, func(g *segment) bool { return g.live == 0 })
	if empty {
		for _, r := range s.runs {
			if r.lost.lines > 0 {
				noted[r.noted] = true
			}
		}
	}
	var gone []*segment
	for i, g := range s.segs {
		if g.live == 0 && !noted[g.n] && (!g.writes() || i < len(s.segs)-1) {
			gone = append(gone, g)
			s.total -= g.size
		}
	}
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return slices.Contains(gone, g) })
	s.mu.Unlock()
	var err error
	for _, g := range gone {
		err = errors.Join(err, g.file.Close(), os.Remove(g.path))
	}
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	return nil
}

// Runs returns the runs that there are lines of, but for those that a line came
// of within the last while.
func (s *Store) Runs(quiet time.Duration) []job.RunID {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(-quiet).UnixNano()
	var ids []job.RunID
	for id, r := range s.runs {
		if r.heard <= until {
			ids = append(ids, id)
		}
	}
	return ids
}

// Forget gives up the lines of runs.
func (s *Store) Forget(ids ...job.RunID) error {
	if len(ids) == 0 {
		return nil
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	for _, id := range ids {
		if r := s.runs[id]; r != nil {
			for len(r.refs) > 0 {
				s.popLocked(id, r)
			}
			delete(s.runs, id)
		}
	}
	s.mu.Unlock()
	return s.clear()
}

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
