package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/pkg/job"
)

// Backup writes what the cluster knows to w: jobs and their revisions, what
// became of their fires, runs and their journals, tokens, the audit. It is all
// that was acknowledged before Backup was called, at one moment, and the cluster
// goes on meanwhile. What nodes have for themselves is not in it: what runs log,
// and the pairs between Map and Reduce, which are made anew.
//
// Backup has checked what it wrote when it returns without an error; after one, what
// is in w is of no use.
func (n *Node) Backup(ctx context.Context, w io.Writer) (m job.Manifest, err error) {
	began := false
	var failed error // in the middle, where nobody else can go on
	err = n.leaders.try(ctx, func(ctx context.Context, leader string) error {
		in, err := n.openBackup(ctx, leader)
		if err != nil {
			return err
		}
		defer in.Close()
		r := bufio.NewReader(in)
		if _, err := r.Peek(1); err != nil { // it was refused
			return err
		}
		m, failed = state.CheckBackup(io.TeeReader(r, w))
		began = true
		return nil
	})
	switch {
	case err != nil:
		return m, fmt.Errorf("node: backup: %w", plain(err))
	case began && failed != nil:
		return m, fmt.Errorf("node: backup: it was cut off or could not be written; ask for another: %w", bare(failed))
	}
	return m, nil
}

func (n *Node) openBackup(ctx context.Context, leader string) (transport.Stream, error) {
	return n.transport.Open(ctx, leader, wire.MethodBackup, nil)
}

// serveBackup streams backups.
func (s *server) serveBackup() {
	s.n.transport.HandleStream(wire.MethodBackup, func(ctx context.Context, _ string, _ []byte, out transport.Stream) error {
		if err := s.n.awaitReady(ctx); err != nil {
			return err
		}
		return s.state.Backup(ctx, out)
	})
}

// CheckBackup reads a backup to its end and returns what is in it, or what is
// wrong with it.
func CheckBackup(r io.Reader) (job.Manifest, error) {
	m, err := state.CheckBackup(r)
	if err != nil {
		return m, fmt.Errorf("node: %w", bare(err))
	}
	return m, nil
}

// Restored is what a restore has made.
type Restored struct {
	// Manifest is what the backup says of itself.
	job.Manifest
	// ID is that of the node, and NewCluster that of the cluster.
	ID         string `json:"node"`
	NewCluster string `json:"new_cluster"`
}

// Restore makes dir the data directory of a node that begins a cluster with what
// a backup holds, and holds the state alone until others join it. The backup is
// checked first; a dir that holds a state already is refused. The cluster is a
// new one, which nodes of the old one can't join by mistake, with the same jobs,
// cursors, runs and tokens. Runs that went on go on; fires between the backup and
// now are those that were missed, for which jobs have their misfire policy.
func Restore(dir string, backup io.ReadSeeker) (Restored, error) {
	var r Restored
	if _, err := CheckBackup(backup); err != nil { // before anything is made
		return r, err
	}
	if _, err := backup.Seek(0, io.SeekStart); err != nil {
		return r, fmt.Errorf("node: backup: %w", err)
	}
	err := inDir(dir, func() (err error) {
		if r.ID, err = membership.Identity(dir); err != nil {
			return err
		}
		r.Manifest, r.NewCluster, err = state.Restore(filepath.Join(dir, "state"), r.ID, backup, time.Now(), slog.New(slog.DiscardHandler))
		return err
	})
	if err != nil {
		return Restored{}, fmt.Errorf("node: %w", bare(err))
	}
	return r, nil
}

// Rescue writes a backup of what a server has in its data directory dir that was
// stopped and can't be asked any more, as too few others are left. It has all
// that this server recorded: what was acknowledged but never reached it is lost,
// and what was never acknowledged may be in it. The directory is not changed; a
// copy of it is made in scratch, and removed.
func Rescue(dir, scratch string, w io.Writer) error {
	if _, err := os.Stat(filepath.Join(dir, "state")); err != nil {
		return fmt.Errorf("node: Dir %q holds no state: name the data directory of a server: %w", dir, err)
	}
	err := inDir(dir, func() error {
		return state.Rescue(filepath.Join(dir, "state"), scratch, w, time.Now(), slog.New(slog.DiscardHandler))
	})
	if err != nil {
		return fmt.Errorf("node: %w", bare(err))
	}
	return nil
}

// inDir calls do while no node can use a data directory.
func inDir(dir string, do func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return fmt.Errorf("node: Dir %q: %w", dir, err)
	}
	return errors.Join(do(), unlock())
}
