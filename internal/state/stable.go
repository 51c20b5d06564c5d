package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
)

// The keys under which raft keeps what it has promised.
var (
	termKey = []byte("CurrentTerm")
	voteKey = []byte("LastVoteTerm")
)

// stable is the map beside the log, where raft keeps its term and its vote. To
// raft a key that is not there is nothing, not an error; and it panics if its
// term can't be written, so a write that fails is tried until it succeeds.
type stable struct {
	*store.Log
	dog     *watchdog
	log     *slog.Logger
	ballast *ballast
	stop    <-chan struct{} // closed when nothing that follows from a write can leave any more
}

func (s *stable) Get(key []byte) ([]byte, error) {
	b, err := s.Value(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (s *stable) GetUint64(key []byte) (uint64, error) {
	n, err := s.Uint64(key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return n, err
}

// SetUint64 is Set for a number. What is there already is not written again.
func (s *stable) SetUint64(key []byte, n uint64) error {
	if old, err := s.GetUint64(key); err == nil && old == n {
		return nil
	}
	return s.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// stableAgain is how long to wait before a write that failed is tried again.
const stableAgain = 200 * time.Millisecond

// Set returns when value is on disk. Each try writes all that it changes, so
// what a failed one has left does not matter.
func (s *stable) Set(key, value []byte) error {
	return s.dog.watch(func() error {
		for warned := false; ; warned = true {
			err := s.dog.write(func() error { return s.Log.Set(key, value) })
			if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrTooLarge) {
				return err
			}
			if errors.Is(err, store.ErrFull) {
				s.ballast.drop()
			}
			if !warned {
				s.log.Error("what this server promises can't be written; it waits until it can", telemetry.Err(err))
			}
			select {
			case <-time.After(stableAgain):
			case <-s.stop:
				if bytes.Equal(key, termKey) {
					return nil // whatever raft makes of it, nobody hears
				}
				return err
			}
		}
	})
}

// ballast is a file that does nothing but take room, which is there when all
// other is gone: what raft promises has to be written then too.
type ballast struct {
	path string
	log  *slog.Logger
}

const ballastBytes = 1 << 20

// take makes the ballast, if it is not there.
func (b *ballast) take() error {
	if info, err := os.Stat(b.path); err == nil && info.Size() == ballastBytes {
		return nil
	}
	if err := os.WriteFile(b.path, bytes.Repeat([]byte("muster"), ballastBytes/6+1)[:ballastBytes], 0o600); err != nil {
		return fmt.Errorf("state: ballast: %w", errors.Join(err, os.Remove(b.path)))
	}
	return nil
}

// drop gives its room away.
func (b *ballast) drop() {
	if err := os.Remove(b.path); err == nil {
		b.log.Warn("the disk is full; the room that was kept for that is given away")
	}
}
