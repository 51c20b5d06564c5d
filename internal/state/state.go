// Package state is the replicated truth: jobs, runs and the journals of runs.
//
// What it acknowledges was decided by raft, is in the log on a quorum's disk
// and was carried out here, so it survives the loss of power. A node alone is a
// raft of one. Every write is a command in the log; the state is what the
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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
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
	// Reserve is how many bytes of the file system stay free: with less, new
	// runs are refused with ErrFull, and with less than two fifths of it all
	// writes are. Zero means the larger of 5 % and 1 GiB.
	Reserve int64
}

// leastFree is what the store never writes into, because a full disk would
// kill the process: it has to do with the size of the files it maps.
const leastFree = 192 << 20

// State is the truth as this node holds it. It is safe for use by many
// goroutines.
type State struct {
	id      raft.ServerID
	log     *slog.Logger
	now     func() time.Time
	space   *store.Space
	reserve int64

	kv      *store.KV
	raftLog *raftLog
	snaps   *raft.FileSnapshotStore
	hub     *hub
	fsm     *fsm
	raft    *raft.Raft

	proposals chan *proposal
	flights   chan flight // closed by gather
	closing   chan struct{}
	once      sync.Once
	writing   sync.WaitGroup // gather and land
	wg        sync.WaitGroup // all others
}

// Open opens the state in cfg.Dir and returns when this node leads and has
// carried out the whole log. A new directory becomes a raft of one. ctx bounds
// the opening. store.ErrLocked says that another process has the directory,
// store.ErrCorrupt that it is damaged, and ErrBroken that a newer version
// wrote it.
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
	s := &State{
		id: raft.ServerID(cfg.ID), log: cfg.Logger, now: cfg.Now, hub: newHub(),
		space: store.NewSpace(cfg.Dir), reserve: cfg.Reserve,
		proposals: make(chan *proposal),
		flights:   make(chan flight, entriesInFlight-1),
		closing:   make(chan struct{}),
	}
	if err := s.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *State) open(ctx context.Context, cfg Config) error {
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
	s.raftLog = newRaftLog(log)
	if err := s.claim(cfg.ID); err != nil {
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
	if s.snaps, err = raft.NewFileSnapshotStoreWithLogger(cfg.Dir, 1, newRaftLogger(s.log)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := s.recover(); err != nil {
		return err
	}
	if err := s.startRaft(); err != nil {
		return err
	}
	if err := s.lead(ctx); err != nil {
		return err
	}
	s.writing.Go(s.gather)
	s.writing.Go(s.land)
	s.wg.Go(s.compact)
	return s.tidy(ctx)
}

// claim refuses a directory that belongs to another node.
func (s *State) claim(id string) error {
	key := []byte("muster/node")
	owner, err := s.raftLog.Value(key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.raftLog.Set(key, []byte(id))
	case err != nil:
		return err
	case string(owner) != id:
		return fmt.Errorf("%w: the directory belongs to node %q, not to %q: give each node its own", ErrInvalid, owner, id)
	}
	return nil
}

// tidy removes what was staged for runs that were never created.
func (s *State) tidy(ctx context.Context) error {
	var left []job.RunID
	for p, err := range s.kv.Scan([]byte("g")) {
		if err != nil {
			return err
		}
		left = append(left, runOf(p.Key, 0))
	}
	for _, id := range left {
		if err := s.Discard(ctx, id); errors.Is(err, ErrFull) {
			return nil // they wait for the next time
		} else if err != nil {
			return err
		}
		s.log.Debug("input of a run that was not created removed", telemetry.Run(id))
	}
	return nil
}

// Close records what is on its way, ends what is watched and lets go of the
// directory. Closing twice is harmless.
func (s *State) Close() error {
	var errs []error
	s.once.Do(func() {
		close(s.closing)
		s.writing.Wait()
		if s.raft != nil {
			errs = append(errs, s.raft.Shutdown().Error())
		}
		s.wg.Wait()
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
