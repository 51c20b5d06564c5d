package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// shrunk is what the name of a log's file gets while it is written anew.
const shrunk = ".shrunk"

// FileSize returns how large the log's file is, of which entries that were
// removed may be the most.
func (l *Log) FileSize() (int64, error) {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	return info.Size(), nil
}

// Shrink writes the log's file anew, as large as what is in it, since removed
// entries make room in the file and not on the disk. Everybody else waits
// meanwhile, so it is for when little is left. After an error, and if the
// machine dies in the middle, the log is as it was.
func (l *Log) Shrink() error {
	l.swap.Lock()
	defer l.swap.Unlock()
	path := l.path + shrunk
	db, err := openBolt(path)
	if err != nil {
		return l.wrap("shrink", err)
	}
	err = bbolt.Compact(db, l.db, 1<<20)
	if err == nil {
		err = db.Sync()
	}
	if err == nil {
		err = os.Rename(path, l.path)
	}
	if err != nil {
		return l.wrap("shrink", errors.Join(err, db.Close(), os.Remove(path)))
	}
	// From here on the new file has the name, so it is the one to write to.
	old := l.db
	l.db = db
	return l.wrap("shrink", errors.Join(SyncDir(filepath.Dir(l.path)), old.Close()))
}

// SyncDir makes the names in dir durable, where the system can do that.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
