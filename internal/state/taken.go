package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A key that is taken names the run that has it and says until when it stays
// taken once that run has ended. Then it is listed by that time as well, so
// that those whose time is over are found.

// hashed returns what a key is stored as: any text may be one.
func hashed(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// standsFor returns the number that a key is told apart by where many are kept
// in one record. It is never zero for a key.
func standsFor(key string) uint64 {
	if key == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(key))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// taken is who has a key.
type taken struct {
	run   job.RunID
	until int64
}

func readTaken(g getter, key []byte) (*taken, error) {
	b, err := g.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) <= 8 {
		return nil, fmt.Errorf("state: record %q has %d bytes: %w", key, len(b), store.ErrCorrupt)
	}
	return &taken{job.RunID(b[8:]), disordered(b)}, nil
}

// holder answers with the run that has the key of c's run, if one does.
func (tx *change) holder(c *wire.CreateRun) (result, error) {
	t, err := readTaken(tx.batch, takenKey(c.Namespace, c.Job, c.Key))
	if err != nil || t == nil {
		return result{}, err
	}
	st, err := tx.owner(t, c.Namespace, c.Job, c.Key)
	if err != nil {
		return result{}, err
	}
	switch {
	case st == nil:
		if c.Created < t.until {
			return refuse(ErrExists, "the key of run %q is taken for %v more by run %q, which was removed", c.Run, time.Duration(t.until-c.Created), t.run)
		}
	case st.State.Done() && c.Of != "" && (t.run == c.Of || st.Of == c.Of):
		// It takes over the key of the run that it tries again.
	case !st.State.Done() || c.Created < t.until:
		return result{run: t.run, status: st}, nil
	}
	return result{}, nil
}

// take gives c's run its key, which nobody else has.
func (tx *change) take(c *wire.CreateRun) error {
	key := takenKey(c.Namespace, c.Job, c.Key)
	until := int64(math.MinInt64)
	if c.KeyFor > 0 {
		until = max(c.Created+int64(c.KeyFor), c.Created) // it may be beyond what there is
	}
	t, err := readTaken(tx.batch, key)
	if err != nil {
		return err
	}
	if t != nil {
		if c.Of != "" && c.Created < t.until {
			until = max(until, t.until)
		}
		if err := tx.batch.Delete(freeKey(c.Namespace, c.Job, c.Key, t.until)); err != nil {
			return err
		}
	}
	return tx.batch.Put(key, binary.BigEndian.AppendUint64(nil, ordered(until)), []byte(c.Run))
}

// owner returns the status of the run that took a key, or nil if that was
// removed; another run may have its ID since.
func (tx *change) owner(t *taken, namespace, name, key string) (*wire.RunStatus, error) {
	st, err := tx.status(t.run)
	if err != nil || st == nil || st.Staged || st.Namespace != namespace || st.Job != name || st.Key != key {
		return nil, err
	}
	return st, nil
}

// release lets go of the key of a run that has ended, at once or when its time
// comes.
func (tx *change) release(id job.RunID, st *wire.RunStatus) error {
	if st.Key == "" {
		return nil
	}
	key := takenKey(st.Namespace, st.Job, st.Key)
	t, err := readTaken(tx.batch, key)
	if err != nil || t == nil || t.run != id {
		return err
	}
	if t.until > st.Finished {
		return tx.batch.Put(freeKey(st.Namespace, st.Job, st.Key, t.until))
	}
	return tx.batch.Delete(key)
}

// free removes a key whose time is over.
func (tx *change) free(c *wire.FreeKey) (result, error) {
	key := takenKey(c.Namespace, c.Job, c.Key)
	t, err := readTaken(tx.batch, key)
	if err != nil || t == nil || t.until > c.At {
		return result{}, err
	}
	st, err := tx.owner(t, c.Namespace, c.Job, c.Key)
	if err != nil || st != nil && !st.State.Done() {
		return result{}, err
	}
	return result{}, errors.Join(
		tx.batch.Delete(key),
		tx.batch.Delete(freeKey(c.Namespace, c.Job, c.Key, t.until)),
	)
}
