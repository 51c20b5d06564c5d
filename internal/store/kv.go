package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// The limits of a KV.
const (
	// MaxValue is the largest value of a record in bytes. Larger ones are cut
	// by whoever has them, or kept as files.
	MaxValue = 512 << 10
	// MaxBatch is the largest batch: keys, values and a few bytes per record.
	MaxBatch = 3328 << 10
)

// The sizes of badger's files. A transaction may be 15 % of a memtable, which
// has to be above MaxBatch.
const (
	memtableSize = 24 << 20
	memtables    = 2
	fileSize     = 16 << 20
	blockCache   = 16 << 20
	indexCache   = 8 << 20
)

// Options says how a KV is opened. The zero value is right for most.
type Options struct {
	// Logger gets what the store has to say. Nil means nobody does.
	Logger *slog.Logger
	// Reserve is how many bytes of the file system a Commit leaves free. Zero
	// means the larger of 5 % and 1 GiB; a negative value means none, and that
	// a full disk may kill the process.
	Reserve int64
}

// KV is an ordered map of records in a directory, for one process. One
// goroutine writes; any number read.
type KV struct {
	db      *badger.DB
	dir     string
	log     *slog.Logger
	space   *Space
	reserve int64
	gate    *gate
}

// A Pair is one record. Key and Value are the store's and valid until the
// next one is asked for.
type Pair struct {
	Key, Value []byte
}

// Open opens the records in dir, which is made if there is none. ErrLocked
// says that another process has it.
func Open(dir string, opt Options) (*KV, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	kv := &KV{dir: dir, log: opt.Logger, space: NewSpace(dir), reserve: opt.Reserve, gate: newGate()}
	if kv.reserve == 0 {
		kv.reserve = kv.space.Reserve()
	}
	if err := kv.open(); err != nil {
		return nil, err
	}
	return kv, nil
}

func (kv *KV) open() error {
	opt := badger.DefaultOptions(kv.dir).
		WithLogger(badgerLog{kv.log}).
		WithMetricsEnabled(false).
		WithDetectConflicts(false). // there is one writer
		WithSyncWrites(false).      // see the package comment
		WithNumVersionsToKeep(1).
		WithMemTableSize(memtableSize).
		WithNumMemtables(memtables).
		WithNumCompactors(2).
		WithBaseTableSize(4 << 20).
		WithValueLogFileSize(fileSize).
		WithValueThreshold(1 << 20). // above MaxValue, so the value log stays empty and is never collected
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(indexCache).
		WithCompression(options.Snappy).
		WithCompactL0OnClose(false)

	var err error
	for range 2 { // a file that a crash left empty may only turn up in the first try
		var swept []string
		if swept, err = sweep(kv.dir); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if len(swept) > 0 {
			kv.log.Debug("empty files of a crash removed", slog.Any("files", swept))
		}
		kv.db, err = badger.Open(opt)
		switch {
		case err == nil:
			return nil
		case strings.Contains(err.Error(), "Cannot acquire directory lock"):
			return fmt.Errorf("store: %s: %w", kv.dir, ErrLocked)
		}
	}
	return fmt.Errorf("store: open %s: %w", kv.dir, err)
}

// Get returns a copy of the value under key, or ErrNotFound.
func (kv *KV) Get(key []byte) ([]byte, error) {
	s, err := kv.Snapshot()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Get(key)
}

// Scan yields the records whose keys begin with prefix, in the order of their
// keys and as they were when it began. An error is the last it yields.
func (kv *KV) Scan(prefix []byte) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		s, err := kv.Snapshot()
		if err != nil {
			yield(Pair{}, err)
			return
		}
		defer s.Close()
		s.Scan(prefix)(yield)
	}
}

// Sync returns when everything that was committed before is on disk.
func (kv *KV) Sync() error {
	if !kv.gate.enter() {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	defer kv.gate.leave()
	return kv.sync()
}

func (kv *KV) sync() error {
	if err := kv.db.Sync(); err != nil {
		return fmt.Errorf("store: sync %s: %w", kv.dir, err)
	}
	return nil
}

// DropAll removes every record. It waits for the readers that are under way,
// and those that come wait for it; so who holds a Snapshot asks that and not
// the KV.
func (kv *KV) DropAll() error {
	if err := kv.gate.exclude(kv.db.DropAll); err != nil {
		return fmt.Errorf("store: empty %s: %w", kv.dir, err)
	}
	return nil
}

// Close waits for those that are reading, writes out what is in memory and
// lets go of the directory. Closing twice is harmless.
func (kv *KV) Close() error {
	if !kv.gate.close() {
		return nil
	}
	if err := kv.db.Close(); err != nil {
		return fmt.Errorf("store: close %s: %w", kv.dir, err)
	}
	return nil
}

// badgerLog passes on what badger logs. What it calls Info is of interest to
// its own authors only.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, v ...any)   { l.pass(slog.LevelError, f, v) }
func (l badgerLog) Warningf(f string, v ...any) { l.pass(warning(f), f, v) }
func (l badgerLog) Infof(f string, v ...any)    { l.pass(slog.LevelDebug, f, v) }
func (l badgerLog) Debugf(string, ...any)       {}

// warning is the level of a warning. Badger warns every minute of caches that
// are as small as they are meant to be.
func warning(f string) slog.Level {
	if strings.Contains(f, "ache") {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func (l badgerLog) pass(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "badger", slog.String("says", strings.TrimSpace(fmt.Sprintf(format, v...))))
	}
}

func notFound(err error, key []byte) error {
	if errors.Is(err, badger.ErrKeyNotFound) {
		return absent(key)
	}
	return fmt.Errorf("store: read %q: %w", key, err)
}

// absent is an ErrNotFound that names the key. It is made text when that is read,
// which is hardly ever: most who ask for a record do so to find that there is none.
type absent string

func (a absent) Error() string { return fmt.Sprintf("store: record %q: %v", string(a), ErrNotFound) }
func (a absent) Unwrap() error { return ErrNotFound }
