package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// fsm carries out the commands of the log, each a function of the store and
// the command alone: no clock, no chance, no order of a map. The store and the
// place in the log it stands for change in one write.
type fsm struct {
	kv   *store.KV
	hub  *hub
	log  *slog.Logger
	dir  string          // where a snapshot is unpacked
	stop <-chan struct{} // closed when waiting for room is over

	// metrics gets how long entries take. Nil means nobody does.
	metrics *telemetry.Metrics

	// broken is why nothing is carried out any more.
	broken atomic.Pointer[error]
	// abandoned says that nobody waits for the log to be carried out.
	abandoned atomic.Bool
	// cluster is the ID of the cluster, once it has one.
	cluster atomic.Pointer[string]
	// origin is the ID of the one that it was restored from, if it was.
	origin atomic.Pointer[string]

	// agreed is the version of commands that every server understands, as far
	// as that is recorded.
	agreed atomic.Int32

	// freed is about how many bytes were removed since the disk got them back.
	freed atomic.Int64
	// lines, timed and wakes remember where those begin that wait for a master,
	// those that wait for a time, and the triggers that are to be looked at.
	lines, timed, wakes fronts
	// snapping is held by who takes a snapshot.
	snapping sync.Mutex

	// obstacles is what keeps runs from beginning.
	obstacles obstacles
	// surplus is the jobs that have too many runs.
	surplus surplus

	// mailed holds one if letters have come.
	mailed chan struct{}

	// live has the status of all runs that have begun and are not final, so
	// that an append need not read. Those that wait are on the disk only. The
	// goroutine that applies writes it, under living, and reads it as it is.
	living sync.RWMutex
	live   map[job.RunID]*wire.RunStatus

	// ahead is what was recorded ahead of its time.
	ahead ahead

	// Only the goroutine that applies uses these.
	at   cursor
	last extent
	// listeners is who listens to what, each list in order.
	listeners map[topic][]jobName
	// recent has the statuses of jobs that were looked at last.
	recent recent
}

// cursor is how far the log was carried out: Done commands of entry Index, or
// allDone, and all of the entries before it.
type cursor struct {
	Index uint64
	Done  uint32
}

const allDone = math.MaxUint32

// result is what a command came to.
type result struct {
	err       error                 // a refusal; nothing was recorded
	status    *wire.RunStatus       // of the run that it was about, if it was
	run       job.RunID             // that run
	left      uint64                // entries that belong to no run, after a discard
	leftOut   []uint64              // the runs of a lot that are not as the lot has them
	fired     *Fired                // of a fire that was carried out
	begun     []begunRun            // of those that were recorded ahead
	told      Told                  // of an event
	operation *wire.OperationStatus // that it was about, if it was
}

func newFSM(kv *store.KV, h *hub, dir string, log *slog.Logger, stop <-chan struct{}) (*fsm, error) {
	f := &fsm{kv: kv, hub: h, dir: dir, log: log, stop: stop, mailed: make(chan struct{}, 1)}
	if size := kv.Size(); size >= reclaimBytes { // how much of it was removed in an earlier life is not known
		f.freed.Store(worthwhile(size))
	}
	return f, f.load()
}

// load reads what the fsm keeps in memory.
func (f *fsm) load() error {
	v, err := f.kv.Snapshot()
	if err != nil {
		return err
	}
	defer v.Close()
	f.lines.forget()
	f.timed.forget()
	f.wakes.forget()
	f.recent = recent{}
	if f.at, err = readCursor(v); err != nil {
		return err
	}
	if err := f.migrate(v); err != nil {
		return err
	}
	if err := f.loadCluster(v); err != nil {
		return err
	}
	if err := f.loadAgreed(v); err != nil {
		return err
	}
	if err := f.loadListeners(v); err != nil {
		return err
	}
	if err := f.obstacles.load(v); err != nil {
		return err
	}
	f.living.Lock()
	defer f.living.Unlock()
	f.live = map[job.RunID]*wire.RunStatus{}
	for p, err := range v.Scan([]byte("u")) {
		if err != nil {
			return err
		}
		id := runOf(p.Key, 0)
		if f.live[id], err = readStatus(v, id); err != nil {
			return err
		}
		if f.live[id] == nil {
			return fmt.Errorf("state: run %q has no status: %w", id, store.ErrCorrupt)
		}
	}
	if err := f.ahead.load(v, f.live); err != nil {
		return err
	}
	f.hub.feed.begin(placeOf(f.at))
	return nil
}

// goOn takes in the statuses that some runs have now.
func (f *fsm) goOn(ids []job.RunID, now map[job.RunID]*wire.RunStatus) {
	f.living.Lock()
	defer f.living.Unlock()
	for _, id := range ids {
		if st := now[id]; st != nil && st.State == job.Running {
			f.live[id] = st
		} else {
			delete(f.live, id)
		}
	}
}

// goesOn reports whether a run has begun and not ended.
func (f *fsm) goesOn(id job.RunID) bool {
	f.living.RLock()
	defer f.living.RUnlock()
	if f.live[id] != nil {
		return true
	}
	lot, i, ok := lotOf(id)
	l := f.live[lot]
	return ok && holds(l, i) && !bits(l.Over).has(i)
}

func readCursor(g getter) (cursor, error) {
	b, err := g.Get(cursorKey)
	if errors.Is(err, store.ErrNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, err
	}
	if len(b) != 12 {
		return cursor{}, fmt.Errorf("state: the cursor has %d bytes: %w", len(b), store.ErrCorrupt)
	}
	return cursor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])}, nil
}

func (c cursor) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, c.Index), c.Done)
}

// before reports whether c is behind o.
func (c cursor) before(o cursor) bool {
	return c.Index < o.Index || c.Index == o.Index && c.Done < o.Done
}

// readStatus returns the status of a run, or nil.
func readStatus(g getter, id job.RunID) (*wire.RunStatus, error) {
	st, err := readOwnStatus(g, id)
	lot, i, ok := lotOf(id)
	if st != nil || err != nil || !ok {
		return st, err
	}
	l, err := readOwnStatus(g, lot)
	if err != nil {
		return nil, err
	}
	return inLot(g, lot, l, i)
}

// readOwnStatus returns the status of a run that has a record of its own, or of a
// lot, or nil.
func readOwnStatus(g getter, id job.RunID) (*wire.RunStatus, error) {
	b, err := g.Get(statusKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st := new(wire.RunStatus)
	return st, wire.DecodeRecord(b, st)
}

// Apply carries out one entry.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch carries out a row of entries in as few writes as their size
// allows. The answer to each is a []result, or an error that says why nothing
// is carried out any more.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	err := f.failure()
	switch {
	case err != nil:
	case f.abandoned.Load():
		err = ErrClosed
	default:
		began := f.metrics.Begin(context.Background())
		if err = f.apply(logs, answers); err != nil {
			err = f.fail(err)
		} else {
			f.metrics.Applied(context.Background(), began)
		}
	}
	if err != nil {
		for i := range answers {
			answers[i] = err
		}
	}
	return answers
}

func (f *fsm) apply(logs []*raft.Log, answers []any) error {
	tx, err := f.begin()
	if err != nil {
		return err
	}
	defer tx.end()
	for i, l := range logs {
		if l.Type != raft.LogCommand || l.Index < f.at.Index || l.Index == f.at.Index && f.at.Done == allDone {
			answers[i] = []result(nil)
			continue
		}
		if answers[i], err = tx.entry(l.Index, l.AppendedAt, l.Data); err != nil {
			return fmt.Errorf("entry %d of the log: %w", l.Index, err)
		}
	}
	return tx.commit()
}

// fail remembers the first reason to stop and returns it.
func (f *fsm) fail(err error) error {
	wrapped := fmt.Errorf("%w: %w", ErrBroken, err)
	if f.broken.CompareAndSwap(nil, &wrapped) {
		f.log.Error("the log can't be carried out; nothing is recorded any more", telemetry.Err(err))
	}
	return *f.broken.Load()
}

func (f *fsm) failure() error {
	if err := f.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// retryFull is how long to wait before the disk is looked at again.
const retryFull = time.Second

// write commits b. An entry of the log can't be refused, so it waits while
// the disk is full; the reserve that proposals respect makes that rare.
func (f *fsm) write(b *store.Batch) error {
	for warned := false; ; warned = true {
		err := b.Commit()
		if !errors.Is(err, store.ErrFull) {
			return err
		}
		if !warned {
			f.log.Error("the state waits for room on the disk", telemetry.Err(err))
		}
		select {
		case <-time.After(retryFull):
		case <-f.stop:
			return err
		}
	}
}
