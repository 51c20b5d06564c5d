package state

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// discardStep is how many staged entries one command removes at most.
const discardStep = 64

func (tx *change) create(c *wire.CreateRun) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil {
		return result{}, err
	}
	switch {
	case old == nil:
		if was, err := tx.wasInLot(c.Run); err != nil || was {
			r, _ := gone(c.Run)
			return r, err
		}
		old = &wire.RunStatus{}
	case isLot(old):
		return refuse(ErrExists, "%q, and it is a lot", c.Run)
	case old.Gone:
		return gone(c.Run)
	case !old.Staged:
		return tx.again(c, old)
	}
	if r, err := tx.mayCreate(c); err != nil || r.err != nil || r.status != nil {
		return r, err
	}
	added, r, err := tx.fresh(c.Run, old, old.Next, 0, 0, c.Entries)
	if err != nil || r.err != nil {
		return r, err
	}
	if have := old.Next + uint64(len(added)); have != c.Chunks {
		return refuse(ErrConflict, "run %q is to begin with %d journal entries and has %d", c.Run, c.Chunks, have)
	}
	born, err := tx.count(bornKey, 1)
	if err != nil {
		return result{}, err
	}
	st := wire.RunStatus{
		Born: born, Next: old.Next, Journal: old.Journal, Chunks: c.Chunks, Epoch: c.Epoch, Created: c.Created,
		Namespace: c.Namespace, Job: c.Job, Priority: c.Priority, NotBefore: c.NotBefore,
		Key: c.Key, Of: c.Of, Attempt: c.Attempt, Fired: c.Fired, Line: c.Line,
		Tags: c.Tags, Size: len(c.Record), Keeps: c.Keeps, KeepFor: c.KeepFor, KeepRuns: c.KeepRuns,
	}
	if c.Master != "" && c.Fired {
		st.Ahead = c.Ahead
	}
	if err := errors.Join(
		tx.begin(c, &st),
		putParts(tx.batch, recordKey(c.Run), nil, c.Record),
		tx.put(c.Run, 0, &st, added),
		list(tx.batch, c.Run, &st),
	); err != nil {
		return result{}, err
	}
	if old.Staged {
		err = errors.Join(err, tx.batch.Delete(stagedKey(c.Run)))
	}
	if c.Key != "" {
		err = errors.Join(err, tx.take(c))
	}
	if c.Of != "" {
		err = errors.Join(err, tx.batch.Put(attemptKey(c.Of, c.Attempt), []byte(c.Run)))
	}
	return result{run: c.Run, status: &st}, err
}

// again answers to a run that was created before: with that if it is the same.
func (tx *change) again(c *wire.CreateRun, old *wire.RunStatus) (result, error) {
	record, err := recordOf(tx.batch, c.Run, old)
	if err != nil {
		return result{}, err
	}
	if !bytes.Equal(record, c.Record) || c.Chunks != old.Chunks {
		return refuse(ErrExists, "%q, and it is another", c.Run)
	}
	if !old.Rewritten {
		_, r, err := tx.fresh(c.Run, old, old.Chunks, 0, 0, c.Entries)
		if err != nil {
			return result{}, err
		}
		if r.err != nil {
			return refuse(ErrExists, "%q, and it began with other journal entries", c.Run)
		}
	}
	return result{run: c.Run, status: old}, nil
}

// mayCreate refuses a run that may not be, or answers with the one that has
// its key.
func (tx *change) mayCreate(c *wire.CreateRun) (result, error) {
	if c.Key != "" {
		if r, err := tx.holder(c); err != nil || r.err != nil || r.status != nil {
			return r, err
		}
	}
	if c.Of != "" {
		before := job.Again(c.Of, c.Attempt-1)
		st, err := tx.status(before)
		if err != nil {
			return result{}, err
		}
		if isRun(st) && !st.State.Done() {
			return refuse(ErrNotFinal, "run %q is %v, it can't be tried again as %q", before, st.State, c.Run)
		}
	}
	if c.Master == "" && c.NotBefore == 0 {
		return tx.room(c)
	}
	return result{}, nil
}

// begin makes a run that is new run, or wait.
func (tx *change) begin(c *wire.CreateRun, st *wire.RunStatus) error {
	switch {
	case c.Master != "":
		st.Master, st.State = c.Master, job.Running
		st.Epoch++
		return errors.Join(
			tx.batch.Put(unfinishedKey(c.Run), nil),
			tx.happened(c.Run, st, c.Created, "created"),
			tx.happened(c.Run, st, c.Created, "%s", masters(c.Called, st)),
		)
	case c.NotBefore != 0:
		return errors.Join(
			tx.wait(c.Run, st, wire.WaitsForTime),
			tx.happened(c.Run, st, c.Created, "created, to begin at %s", timeOf(c.NotBefore).Format(time.RFC3339)),
		)
	}
	return errors.Join(
		tx.wait(c.Run, st, wire.WaitsForMaster),
		tx.happened(c.Run, st, c.Created, "created"),
	)
}

func (tx *change) stage(c *wire.StageEntry) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil {
		return result{}, err
	}
	switch {
	case old == nil:
		if was, err := tx.wasInLot(c.Run); err != nil || was {
			r, _ := gone(c.Run)
			return r, err
		}
		old = &wire.RunStatus{}
	case old.Gone:
		return gone(c.Run)
	case !old.Staged:
		return tx.staged(c, old)
	}
	added, r, err := tx.fresh(c.Run, old, old.Next, 0, c.Seq, [][]byte{c.Entry})
	if err != nil || r.err != nil || len(added) == 0 {
		return r, err
	}
	st := wire.RunStatus{Staged: true, Next: old.Next, Journal: old.Journal, Created: max(old.Created, c.At)}
	if !old.Staged {
		if err := tx.batch.Put(stagedKey(c.Run), nil); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.put(c.Run, 0, &st, added)
}

// staged answers to an entry for a run that was created meanwhile.
func (tx *change) staged(c *wire.StageEntry, old *wire.RunStatus) (result, error) {
	if c.Seq < old.Chunks {
		if old.Rewritten {
			return result{}, nil
		}
		_, r, err := tx.fresh(c.Run, old, old.Chunks, 0, c.Seq, [][]byte{c.Entry})
		if err != nil || r.err == nil {
			return result{}, err
		}
	}
	return refuse(ErrExists, "%q, without journal entry %d as it is staged", c.Run, c.Seq)
}

func gone(id job.RunID) (result, error) {
	return refuse(ErrExists, "%q, and it is being removed", id)
}

func (tx *change) discard(c *wire.DiscardStaged) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil || old == nil {
		return result{}, err
	}
	if !old.Staged {
		return refuse(ErrExists, "%q", c.Run)
	}
	if c.Before != 0 && !old.Gone && old.Created >= c.Before {
		return result{}, nil
	}
	st := *old
	if len(st.Journal) > 0 { // all of it is in the status
		st.Next = 0
	}
	for range min(c.Limit, discardStep, st.Next) {
		key := entryKey(c.Run, st.Next-1)
		first, err := tx.batch.Get(key)
		if err == nil && len(first) == 0 {
			err = fmt.Errorf("state: record %q is empty: %w", key, store.ErrCorrupt)
		}
		if err != nil {
			return result{}, missing(err)
		}
		if err := deleteParts(tx.batch, key, first); err != nil {
			return result{}, err
		}
		tx.freed += int(first[0]) * len(first)
		st.Next--
	}
	if st.Next > 0 {
		return result{left: st.Next}, tx.set(c.Run, &st)
	}
	return result{}, errors.Join(tx.set(c.Run, nil), tx.batch.Delete(stagedKey(c.Run)))
}
