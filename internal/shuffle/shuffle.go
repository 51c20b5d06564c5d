// Package shuffle carries pairs between Map and Reduce.
//
// A map attempt adds its pairs to a Writer, which puts them into partitions,
// combines and sorts them, puts them on disk whenever memory runs short, and
// commits them as one file: the map output. A reduce attempt reads one
// partition of many map outputs through a Reader, which fetches what other
// nodes hold, merges it all, and hands out each key once with its values.
//
//	Add ─► arena ─► sort ─► layers ─► (merge) ─► map output ─► fetch ─► merge ─► Groups
//
// The package knows nothing of tasks that fail and are tried again: it keeps
// map outputs until their run is dropped, and says which of them it could not
// read. A map output is visible whole or not at all, and every byte of it is
// checked when it is read: what is damaged is reported as lost, and never
// handed on. Keys ascend, and the values of a key come in the order of the map
// tasks and of their Adds, so that what a reduce sees does not depend on where
// anything ran.
//
// All buffers of a node are counted against one bound in bytes. Who is refused
// more memory goes to disk; only a small floor for each writer and reader, and
// a record that is larger than that, are taken in any case.
package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/pkg/job"
)

// Config says where a node's shuffle keeps its files, and how much memory it
// may use.
type Config struct {
	// Dir is where the map outputs of each run live, in a directory of their
	// own. It is made if it is missing. What an earlier life of the node left
	// in it is removed; what the shuffle did not make is left alone. Required.
	Dir string
	// Memory bounds the bytes that all writers and readers of the node hold.
	// Less means more files and more merging. Zero means 256 MiB.
	Memory int64
	// Node is the node's own ID: sources that carry it are read from Dir.
	Node string
	// Transport is what map outputs are fetched and served on. Nil means that
	// only the node's own map outputs can be read.
	Transport *transport.Transport
	// Logger gets what an operator should know. Nil means slog.Default().
	Logger *slog.Logger
	// Metrics counts the bytes that are spilled, served and fetched. Nil means
	// that they are not counted.
	Metrics *telemetry.Metrics
}

// Shuffle holds the map outputs of one node and reads those of all.
type Shuffle struct {
	dir     string
	node    string
	log     *slog.Logger
	meter   *telemetry.Metrics
	budget  *budget
	serving *account // what is sent is read through; it has no share of its own
	open    opener   // nil means that there is nobody to fetch from
	pause   func(failures int) time.Duration
	serial  atomic.Int64 // makes names of files and directories unique

	ctx  context.Context // the life of the Shuffle: done once it is closed
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // streams being served

	mu     sync.Mutex
	closed bool               // guarded by mu
	runs   map[job.RunID]*run // guarded by mu
}

// Errors of a run or a shuffle that went away while it was in use.
var (
	// ErrDropped says that the run's map outputs were deleted. What was being
	// written is gone; what was read so far is sound but not all.
	ErrDropped = errors.New("shuffle: the run was dropped")
	// ErrClosed says that the node's shuffle was closed.
	ErrClosed = errors.New("shuffle: closed")
)

// New returns a shuffle that keeps its files in cfg.Dir and, if there is a
// transport, serves them to other nodes.
func New(cfg Config) (*Shuffle, error) {
	if cfg.Memory == 0 {
		cfg.Memory = 256 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	switch {
	case cfg.Dir == "":
		return nil, errors.New("shuffle: Dir is empty: name a directory for map outputs")
	case cfg.Memory < 0:
		return nil, fmt.Errorf("shuffle: Memory is %d: want a number of bytes, or 0 for 256 MiB", cfg.Memory)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("shuffle: make Dir: %w", err)
	}
	if err := sweep(cfg.Dir); err != nil {
		return nil, fmt.Errorf("shuffle: remove what an earlier life left in Dir: %w", err)
	}
	s := &Shuffle{
		dir:    cfg.Dir,
		node:   cfg.Node,
		log:    cfg.Logger,
		meter:  cfg.Metrics,
		budget: newBudget(cfg.Memory),
		pause:  pause,
		runs:   make(map[job.RunID]*run),
	}
	s.serving = &account{b: s.budget}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	if t := cfg.Transport; t != nil {
		s.open = func(ctx context.Context, node string, req []byte) (io.ReadCloser, error) {
			return t.Open(ctx, node, method, req)
		}
		t.HandleStream(method, func(ctx context.Context, _ string, req []byte, st transport.Stream) error {
			return s.serve(ctx, req, st)
		})
	}
	return s, nil
}

// Has reports whether the node holds the map output id of the run.
func (s *Shuffle) Has(runID job.RunID, id job.MapOutputID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[runID]
	return r != nil && r.outputs[id]
}

// Drop deletes all that the node holds of the run. Writers and readers of it
// fail with ErrDropped. A run that the node does not know is no error.
func (s *Shuffle) Drop(runID job.RunID) {
	s.mu.Lock()
	r := s.runs[runID]
	delete(s.runs, runID)
	s.mu.Unlock()
	if r != nil {
		s.remove(r, ErrDropped)
	}
}

// Close deletes the map outputs of all runs, stops serving, and waits for the
// streams that are being served. Writers and readers fail with ErrClosed.
func (s *Shuffle) Close() error {
	s.mu.Lock()
	s.closed = true
	runs := s.runs
	s.runs = nil
	s.mu.Unlock()
	s.stop(ErrClosed)
	s.wg.Wait()
	for _, r := range runs {
		s.remove(r, ErrClosed)
	}
	return nil
}

// enter counts the caller among those that Close waits for. It must call
// wg.Done unless it got an error.
func (s *Shuffle) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.wg.Add(1)
	return nil
}

// run is what the node holds of one run.
type run struct {
	id   job.RunID
	dir  string
	gone atomic.Bool     // ctx is done; cheap enough to ask for each record
	ctx  context.Context // the run's stay on this node
	end  context.CancelCauseFunc
	keys atomic.Int64 // that the table of the last Writer had; the next may have as many

	// outputs says of each map output whether it is committed. One that is not
	// is being written. Guarded by Shuffle.mu.
	outputs map[job.MapOutputID]bool
}

// run returns the run named id, which begins its stay here if need be.
func (s *Shuffle) run(id job.RunID) (*run, error) {
	if len(id) == 0 || len(id) > maxRunID {
		return nil, fmt.Errorf("shuffle: run ID %.64q has %d bytes: want 1 to %d", id, len(id), maxRunID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	r := s.runs[id]
	if r == nil {
		// A run that is dropped and comes back gets another directory, so that
		// what is still to be deleted can't take the new one with it.
		name := escape(string(id)) + "+" + strconv.FormatInt(s.serial.Add(1), 10)
		r = &run{id: id, dir: filepath.Join(s.dir, name), outputs: make(map[job.MapOutputID]bool)}
		r.ctx, r.end = context.WithCancelCause(s.ctx)
		s.runs[id] = r
	}
	return r, nil
}

// held returns the run named id if the node holds its map output.
func (s *Shuffle) held(id job.RunID, out job.MapOutputID) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[id]; r != nil && r.outputs[out] {
		return r
	}
	return nil
}

// damaged makes the node disown a map output that it can't read.
func (s *Shuffle) damaged(r *run, out job.MapOutputID, err error) {
	if r.err() != nil {
		return // it is not damaged but dropped
	}
	s.log.Warn("map output not readable", telemetry.Run(r.id), slog.String("output", outputName(out)), telemetry.Err(err))
	s.forget(r, out)
}

// forget makes the node say that it does not hold a map output.
func (s *Shuffle) forget(r *run, out job.MapOutputID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(r.outputs, out)
}

// remove ends the run's stay and deletes its files. The directory gets another
// name first: whoever still makes files in it by name then fails at once, and
// can't leave one behind.
func (s *Shuffle) remove(r *run, why error) {
	r.end(why)
	r.gone.Store(true)
	gone := r.dir + goneSuffix
	err := os.Rename(r.dir, gone)
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("map outputs not deleted", telemetry.Run(r.id), slog.String("dir", r.dir), telemetry.Err(err))
	}
}

// make makes the run's directory, unless the run has gone.
func (r *run) make() error {
	err := os.MkdirAll(r.dir, 0o755)
	for errors.Is(err, os.ErrExist) { // it was there, and was dropped before that was looked at
		err = os.MkdirAll(r.dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("shuffle: %w", err)
	}
	if err := r.err(); err != nil {
		os.Remove(r.dir)
		return err
	}
	return nil
}

// err returns why the run has gone, or nil.
func (r *run) err() error {
	if r.gone.Load() || r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return nil
}
