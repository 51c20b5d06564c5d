package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

// A cluster that is restored is a new one, with an ID of its own, whose state
// begins with what the backup holds. So a server of the old one that comes back
// after all is refused as any stranger is, and what the two recorded since is
// never mixed.

// restoring is what a directory is called until it is whole.
const restoring = ".restoring"

// Restore makes dir, which must not be there, the directory of a server id that
// is the only voter of a new cluster with the state that a backup holds. The
// backup is checked to its last byte before the directory has its name. At is when
// this is, by which the new cluster is told from others. A crash leaves nothing
// that counts, or all.
func Restore(dir, id string, backup io.Reader, at time.Time, log *slog.Logger) (m job.Manifest, cluster string, err error) {
	if err := checkName("server", id); err != nil {
		return m, "", err
	}
	if err := vacant(dir); err != nil {
		return m, "", err
	}
	if m, err = readManifest(backup); err != nil {
		return m, "", err
	}
	tmp := dir + restoring
	if err := os.RemoveAll(tmp); err != nil {
		return m, "", fmt.Errorf("state: restore: %w", err)
	}
	cluster = mint(m.Cluster, id, m.Index, at)
	if err := lay(tmp, id, cluster, &m, backup, log); err != nil {
		return m, "", errors.Join(fmt.Errorf("state: restore: %w", err), os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return m, "", errors.Join(fmt.Errorf("state: restore: %w", err), os.RemoveAll(tmp))
	}
	return m, cluster, store.SyncDir(filepath.Dir(dir))
}

// vacant refuses a directory that is there.
func vacant(dir string) error {
	switch _, err := os.Stat(dir); {
	case err == nil:
		return fmt.Errorf("%w: %s holds a state, which a restore would replace: name another directory, or move this one away", ErrExists, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("state: restore: %w", err)
	}
	return nil
}

// lay writes what a server finds that has a snapshot and no log behind it. What
// is left to read of the backup is its snapshot.
func lay(dir, id, cluster string, m *job.Manifest, backup io.Reader, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, 1, newRaftLogger(log))
	if err != nil {
		return err
	}
	only := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)}}}
	_, addresses := raft.NewInmemTransport(raft.ServerAddress(id)) // which knows how they are written
	sink, err := snaps.Create(raft.SnapshotVersionMax, m.Index, m.Term, only, m.Index, addresses)
	if err != nil {
		return err
	}
	if err := reword(sink, backup, m, cluster); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	l, err := store.OpenLog(filepath.Join(dir, "raft.db"), log)
	if err != nil {
		return err
	}
	return errors.Join(
		l.SetUint64(termKey, m.Term),
		l.Set(ownerKey, []byte(id)),
		l.Set(identityKey, []byte(cluster+" "+digestOf([]string{id}))),
		l.Close(),
		store.SyncDir(dir),
	)
}

// reword copies the snapshot of a backup, which it checks, and gives it the ID of
// the new cluster.
func reword(dst io.Writer, src io.Reader, m *job.Manifest, cluster string) error {
	w := newImageWriter(dst)
	w.header(cursor{m.Index, allDone})
	done := false // the origin is there
	err := scanState(src, m, func(key, value []byte) error {
		switch string(key) {
		case string(cursorKey):
			value = cursor{m.Index, allDone}.bytes()
		case string(clusterKey):
			value = []byte(cluster)
		case string(originKey): // it was restored before
			done = true
		}
		if !done && string(key) > string(originKey) {
			done = true
			if err := w.record(originKey, []byte(m.Cluster)); err != nil {
				return err
			}
		}
		return w.record(key, value)
	})
	if err != nil {
		return err
	}
	return w.trailer()
}

// Rescue writes a backup of what a server has in dir that can't be asked for it,
// because too few others are left: all of its log, also what was never
// acknowledged to anybody. Nothing in dir is changed; dir must be one that
// nobody uses, and scratch a directory for a copy of it, which is removed.
func Rescue(dir, scratch string, w io.Writer, at time.Time, log *slog.Logger) (err error) {
	copied, err := os.MkdirTemp(scratch, "muster-rescue-")
	if err != nil {
		return fmt.Errorf("state: rescue: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		return fmt.Errorf("state: rescue: %w", err)
	}
	if err := rescue(copied, w, at, log); err != nil {
		return fmt.Errorf("state: rescue %s: %w", dir, err)
	}
	return nil
}

// rescue carries out all of a log and writes a backup of what that comes to.
func rescue(dir string, w io.Writer, at time.Time, log *slog.Logger) (err error) {
	l, err := store.OpenLog(filepath.Join(dir, "raft.db"), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	s := &State{log: log, raftLog: newRaftLog(l, newWatchdog(diskWait, log))}
	if s.kv, err = store.Open(filepath.Join(dir, "state"), store.Options{Logger: log, Reserve: leastFree}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kv.Close()) }()
	if s.fsm, err = newFSM(s.kv, newHub(), dir, log, nil); err != nil {
		return err
	}
	if s.snaps, err = raft.NewFileSnapshotStoreWithLogger(dir, 1, newRaftLogger(log)); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		return err
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	v, err := s.kv.Snapshot()
	if err != nil {
		return err
	}
	defer v.Close()
	m, err := manifestOf(v)
	if err != nil {
		return err
	}
	if m.Index == 0 {
		return fmt.Errorf("%w: it holds no state", ErrInvalid)
	}
	if m.Term, err = l.Uint64(termKey); err != nil {
		return err
	}
	m.At = at.UTC()
	return writeBackup(w, m, v)
}

// catchUp carries out what the log has behind the store.
func (s *State) catchUp() error {
	first, last := s.raftLog.First(), s.raftLog.Last()
	if first > s.fsm.at.Index+1 {
		return fmt.Errorf("the log begins with entry %d, and the store ends with %d: %w", first, s.fsm.at.Index, store.ErrCorrupt)
	}
	for i := max(first, s.fsm.at.Index); i != 0 && i <= last; i++ {
		var e raft.Log
		if err := s.raftLog.GetLog(i, &e); errors.Is(err, raft.ErrLogNotFound) && i == s.fsm.at.Index {
			continue
		} else if err != nil {
			return err
		}
		if s.fsm.Apply(&e); s.fsm.failure() != nil {
			return s.fsm.failure()
		}
	}
	return nil
}
