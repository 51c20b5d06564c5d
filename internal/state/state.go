// Package state is the replicated truth: jobs, runs and the journals of runs.
//
// What it acknowledges was decided by raft, is in the log on a quorum's disk
// and was carried out here, so it survives the loss of power. A node alone is a
// raft of one. With more servers one of them leads: it alone takes writes, and
// reads that see all that was acknowledged before; when it falls silent the
// others elect another. Every write is a command in the log; the state is what the
// commands make of an empty store, the same on every node, and it is kept in
// the node's store together with the place in the log that it stands for.
// Restarting reads the end of the log and rewrites nothing.
//
// Journals are rows of opaque entries. The package stores them, checks that
// the epoch is the run's and that there are no gaps, and never looks inside.
//
// It decides nothing that is not asked of it: it starts no run and no master.
// It has no clock and no chance; the commands carry what they need of both.
// When its own data is damaged it says so and stops writing; it does not guess.
package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
)

// Config says where the state is and whose it is.
type Config struct {
	// Dir is the directory that holds everything. It is made if there is none.
	Dir string
	// ID is the node's, and stays the same for as long as Dir does.
	ID string
	// Logger gets what an operator should know. Nil means nobody does.
	Logger *slog.Logger
	// Now is the clock that proposals are stamped with, as in time.Now. It is
	// required: the package itself reads no clock.
	Now func() time.Time
	// Metrics gets how long entries of the log take. Nil means nobody does.
	Metrics *telemetry.Metrics
	// Transport is how this server talks to the others. Nil means that there
	// will never be any.
	Transport *transport.Transport
	// Called returns what people call the node of an ID, for the histories of
	// runs. Nil means by its ID.
	Called func(id string) string
	// StableAfter is how long a new server is watched, alive and with a log
	// like the leader's, before it gets a vote. Zero means 10 s.
	StableAfter time.Duration
	// ReplaceAfter is how long a voter is missing before another takes its
	// place, if one stands ready. Zero means 10 minutes.
	ReplaceAfter time.Duration
	// ForgetAfter is how long a voter is missing before it loses its vote
	// though no other stands ready. Zero means 24 hours.
	ForgetAfter time.Duration
	// Reserve is how many bytes of the file system stay free: with less, new
	// runs are refused with ErrFull, and with less than two fifths of it all
	// writes are. Zero means the larger of 5 % and 1 GiB.
	Reserve int64

	// For tests: how long a write may take, what is done to each, and how much
	// room there is. Zero means what is real.
	diskWait time.Duration
	fault    func() error
	space    space
}

// space says whether there is room on the disk, as store.Space does.
type space interface {
	Room(n, reserve int64) error
	Reserve() int64
}

// leastFree is what the store never writes into, because a full disk would
// kill the process: it has to do with the size of the files it maps.
const leastFree = 192 << 20

// State is the truth as this node holds it. It is safe for use by many
// goroutines.
type State struct {
	id      raft.ServerID
	log     *slog.Logger
	metrics *telemetry.Metrics
	now     func() time.Time
	names   func(id string) string // nil if nodes have no names
	space   space
	reserve int64
	rules   rules

	kv       *store.KV
	raftLog  *raftLog
	stable   *stable
	snaps    *raft.FileSnapshotStore
	hub      *hub
	fsm      *fsm
	raft     *raft.Raft
	link     *link
	dog      *watchdog
	identity *identity
	throne   *throne
	tender   *tender
	settled  atomic.Bool   // this server has a part in a cluster
	elected  atomic.Uint64 // the last term that this server was elected for

	confirmations confirmations

	proposals chan *proposal
	flights   chan flight // closed by gather
	closing   chan struct{}
	over      chan struct{} // closed when raft has ended
	once      sync.Once
	wg        sync.WaitGroup // all that ends after raft

	mu      sync.Mutex
	closed  bool           // guarded by mu
	writing sync.WaitGroup // all that raft answers, which it does only while it runs; begun under mu
}

// diskWait is how long a write to the log may take before the disk is taken to
// hang.
const diskWait = 2 * time.Second

// Open opens the state in cfg.Dir and begins to take part: in an election, as
// a follower or, if the directory is new, in nothing until it is given a part
// by Bootstrap or by the leader of a cluster. It does not wait for a leader;
// for that there is Lead. ctx bounds the opening. store.ErrLocked says that
// another process has the directory, store.ErrCorrupt that it is damaged, and
// ErrBroken that a newer version wrote it.
func Open(ctx context.Context, cfg Config) (*State, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		return nil, fmt.Errorf("%w: Config.Now is nil: give it a clock, such as time.Now", ErrInvalid)
	}
	if cfg.Dir == "" {
		return nil, fmt.Errorf("%w: Config.Dir is empty: name a directory", ErrInvalid)
	}
	if err := checkName("Config.ID", cfg.ID); err != nil {
		return nil, err
	}
	if cfg.StableAfter < 0 || cfg.ReplaceAfter < 0 || cfg.ForgetAfter < 0 {
		return nil, fmt.Errorf("%w: a time in Config is negative: use zero for the default", ErrInvalid)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("state: open: %w", context.Cause(ctx))
	}
	s := &State{
		id: raft.ServerID(cfg.ID), log: cfg.Logger, metrics: cfg.Metrics, now: cfg.Now, names: cfg.Called, hub: newHub(),
		space: cfg.space, reserve: cfg.Reserve,
		rules: rules{
			stable:  cmp.Or(cfg.StableAfter, 10*time.Second),
			replace: cmp.Or(cfg.ReplaceAfter, 10*time.Minute),
			forget:  cmp.Or(cfg.ForgetAfter, 24*time.Hour),
		},
		throne: newThrone(), tender: newTender(),
		proposals: make(chan *proposal),
		flights:   make(chan flight, entriesInFlight-1),
		closing:   make(chan struct{}),
		over:      make(chan struct{}),
	}
	if s.space == nil {
		s.space = store.NewSpace(cfg.Dir)
	}
	s.dog = newWatchdog(cmp.Or(cfg.diskWait, diskWait), s.log)
	s.dog.fault = cfg.fault
	if err := s.open(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *State) open(cfg Config) error {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if s.reserve == 0 {
		s.reserve = s.space.Reserve()
	}
	log, err := store.OpenLog(filepath.Join(cfg.Dir, "raft.db"), s.log)
	if err != nil {
		return err
	}
	s.raftLog = newRaftLog(log, s.dog)
	s.link = newLink(s, cfg.Transport)
	s.stable = &stable{
		Log: log, dog: s.dog, log: s.log, stop: s.link.ctx.Done(),
		ballast: &ballast{filepath.Join(cfg.Dir, "ballast"), s.log},
	}
	if err := s.claim(cfg.ID); err != nil {
		return err
	}
	s.identity = &identity{self: cfg.ID, save: s.stable.Set, turn: make(chan struct{}, 1)}
	if err := s.identity.load(log); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(cfg.Dir, unpacked)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	s.kv, err = store.Open(filepath.Join(cfg.Dir, "state"), store.Options{Logger: s.log, Reserve: leastFree})
	if err != nil {
		return err
	}
	if s.fsm, err = newFSM(s.kv, s.hub, cfg.Dir, s.log, s.closing); err != nil {
		return err
	}
	s.fsm.metrics = s.metrics
	if s.snaps, err = raft.NewFileSnapshotStoreWithLogger(cfg.Dir, 1, newRaftLogger(s.log)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := s.recover(); err != nil {
		return err
	}
	if err := s.mend(); err != nil {
		return err
	}
	s.writing.Go(s.gather)
	s.writing.Go(s.land)
	if err := s.startRaft(); err != nil {
		return err
	}
	s.wg.Go(s.compact)
	s.wg.Go(s.care)
	return nil
}

// begin runs f in a goroutine that Close waits for before it ends raft. It
// reports whether it did, which it does not once the state is closing.
func (s *State) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.writing.Go(f)
	return true
}

func (s *State) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// ownerKey is where the log's file has whose the directory is.
var ownerKey = []byte("muster/node")

// claim refuses a directory that belongs to another node.
func (s *State) claim(id string) error {
	owner, err := s.raftLog.Value(ownerKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.raftLog.Set(ownerKey, []byte(id))
	case err != nil:
		return err
	case string(owner) != id:
		return fmt.Errorf("%w: the directory belongs to node %q, not to %q: give each node its own", ErrInvalid, owner, id)
	}
	return nil
}

// Close records what is on its way, hands over leadership if others can take
// it, ends what is watched and lets go of the directory. Closing twice is
// harmless.
func (s *State) Close() error {
	var errs []error
	s.once.Do(func() {
		s.abdicate()
		s.mu.Lock()
		s.closed = true
		close(s.closing)
		s.mu.Unlock()
		s.throne.turn(func(t *throne) { t.closed = true })
		s.writing.Wait()
		var ended raft.Future
		if s.raft != nil {
			ended = s.raft.Shutdown()
		}
		if s.link != nil {
			s.link.close() // so that raft waits for no answer
		}
		if ended != nil {
			errs = append(errs, ended.Error())
		}
		close(s.over)
		s.wg.Wait()
		s.throne.look(func() string { return "" })
		s.hub.close()
		if s.kv != nil {
			errs = append(errs, s.kv.Close())
		}
		if s.raftLog != nil {
			errs = append(errs, s.raftLog.Close())
		}
	})
	return errors.Join(errs...)
}

// abdicate hands leadership over before the state closes.
func (s *State) abdicate() {
	if s.raft == nil {
		return
	}
	r, _ := s.throne.now()
	if r == nil {
		return
	}
	if !r.isReady() {
		s.fsm.abandoned.Store(true) // nobody waits for the log to be carried out
	}
	if s.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*heartbeat)
	defer cancel()
	if err := s.Transfer(ctx); err != nil {
		s.log.Debug("leadership was not handed over before the stop", telemetry.Err(err))
	}
}
