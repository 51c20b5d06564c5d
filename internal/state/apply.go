package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// discardStep is how many staged entries one command removes at most.
const discardStep = 64

// refuse is the result of a command that changes nothing.
func refuse(sentinel error, format string, args ...any) (result, error) {
	return result{err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}, nil
}

// run carries out c. An error is not an answer but the end: the store could
// not be read or written.
func (tx *change) run(c wire.Command) (result, error) {
	switch c := c.(type) {
	case *wire.CreateRun:
		return tx.create(c)
	case *wire.StageEntry:
		return tx.stage(c)
	case *wire.DiscardStaged:
		return tx.discard(c)
	case *wire.AssignRun:
		return tx.assign(c)
	case *wire.AppendEntries:
		return tx.append(c)
	case *wire.FinishRun:
		return tx.finish(c)
	case *wire.CancelRun:
		return tx.cancel(c)
	case *wire.PutJob:
		return result{}, putParts(tx.batch, jobKey(c.Namespace, c.Name), nil, c.Record)
	case *wire.DeleteJob:
		return tx.deleteJob(c)
	case *wire.FoundCluster:
		return tx.found(c)
	}
	return result{}, fmt.Errorf("%w: %T", wire.ErrUnknownCommand, c)
}

// checkNames refuses what no key can be made of.
func checkNames(c wire.Command) error {
	switch c := c.(type) {
	case *wire.PutJob:
		return checkJob(c.Namespace, c.Name)
	case *wire.DeleteJob:
		return checkJob(c.Namespace, c.Name)
	case *wire.FoundCluster:
		return checkName("cluster", c.Cluster)
	}
	id, _ := cost(c)
	return checkName("run", string(id))
}

// cost returns the run that c is about and an upper bound of what c writes,
// the run's status left out.
func cost(c wire.Command) (job.RunID, int) {
	switch c := c.(type) {
	case *wire.CreateRun:
		return c.Run, partsSize(len(c.Run), len(c.Record)) + entriesSize(c.Run, c.Entries) + len(c.Master)
	case *wire.StageEntry:
		return c.Run, entriesSize(c.Run, [][]byte{c.Entry})
	case *wire.DiscardStaged:
		return c.Run, discardStep * (MaxEntry/partSize + 1) * (len(c.Run) + perRecord)
	case *wire.AssignRun:
		return c.Run, len(c.Master)
	case *wire.AppendEntries:
		return c.Run, entriesSize(c.Run, c.Entries)
	case *wire.FinishRun:
		return c.Run, len(c.Reason) + len(c.Progress)
	case *wire.CancelRun:
		return c.Run, len(c.Reason)
	case *wire.PutJob:
		return "", partsSize(len(c.Namespace)+len(c.Name), len(c.Record))
	}
	return "", 0
}

func entriesSize(id job.RunID, entries [][]byte) int {
	n := 0
	for _, e := range entries {
		n += partsSize(len(id), len(e))
	}
	return n
}

// perRecord is an upper bound of what a record takes beyond names and value.
const perRecord = 128

// partsSize is an upper bound of what putParts writes for a blob under a key
// that holds names of the given length.
func partsSize(names, blob int) int { return blob + (blob/partSize+1)*(names+perRecord) }

func (tx *change) create(c *wire.CreateRun) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil {
		return result{}, err
	}
	if old != nil && !old.Staged {
		return refuse(ErrExists, "%q", c.Run)
	}
	st := wire.RunStatus{}
	if old != nil {
		st.Next = old.Next
	}
	added, r, err := tx.fresh(c.Run, st.Next, 0, 0, c.Entries)
	if err != nil || r.err != nil {
		return r, err
	}
	if have := st.Next + uint64(len(added)); have != c.Chunks {
		return refuse(ErrConflict, "run %q is to begin with %d journal entries and has %d", c.Run, c.Chunks, have)
	}
	if c.Master != "" {
		st.Master, st.Epoch, st.State = c.Master, 1, job.Running
	}
	if n := statusSize(c.Run, &st); n > store.MaxValue {
		return tooLarge(c.Run, n)
	}
	if old != nil {
		if err := tx.batch.Delete(stagedKey(c.Run)); err != nil {
			return result{}, err
		}
	}
	if err := errors.Join(
		putParts(tx.batch, recordKey(c.Run), nil, c.Record),
		tx.batch.Put(unfinishedKey(c.Run), nil),
		tx.put(c.Run, 0, &st, added),
	); err != nil {
		return result{}, err
	}
	return result{status: &st}, nil
}

func (tx *change) stage(c *wire.StageEntry) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil {
		return result{}, err
	}
	if old != nil && !old.Staged {
		return refuse(ErrExists, "%q", c.Run)
	}
	st := wire.RunStatus{Staged: true}
	if old != nil {
		st = *old
	}
	added, r, err := tx.fresh(c.Run, st.Next, 0, c.Seq, [][]byte{c.Entry})
	if err != nil || r.err != nil || len(added) == 0 {
		return r, err
	}
	if old == nil {
		if err := tx.batch.Put(stagedKey(c.Run), nil); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.put(c.Run, 0, &st, added)
}

func (tx *change) discard(c *wire.DiscardStaged) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil || old == nil {
		return result{}, err
	}
	if !old.Staged {
		return refuse(ErrExists, "%q", c.Run)
	}
	st := *old
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
		st.Next--
	}
	if st.Next > 0 {
		tx.set(c.Run, &st)
		return result{left: st.Next}, nil
	}
	tx.set(c.Run, nil)
	return result{}, tx.batch.Delete(stagedKey(c.Run))
}

func (tx *change) assign(c *wire.AssignRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.State.Done() {
		return refuse(ErrFinal, "run %q is %v", c.Run, old.State)
	}
	st := *old
	st.Master, st.Epoch, st.State = c.Master, old.Epoch+1, job.Running
	return tx.update(c.Run, &st)
}

func (tx *change) append(c *wire.AppendEntries) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if c.Epoch == 0 || c.Epoch != old.Epoch { // nobody has epoch 0
		return fenced(c.Run, c.Epoch, old)
	}
	added, r, err := tx.fresh(c.Run, old.Next, c.Epoch, c.First, c.Entries)
	if err != nil || r.err != nil || len(added) == 0 {
		return r, err
	}
	if old.State.Done() {
		return refuse(ErrFinal, "run %q is %v", c.Run, old.State)
	}
	st := *old
	return result{}, tx.put(c.Run, c.Epoch, &st, added)
}

func (tx *change) finish(c *wire.FinishRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.Epoch != c.Epoch {
		return fenced(c.Run, c.Epoch, old)
	}
	state, reason := c.State, c.Reason
	if old.Cancel != "" && state != job.Canceled {
		// Whoever asked for the end was told that it was recorded, before this.
		state, reason = job.Canceled, old.Cancel
	}
	if old.State.Done() {
		if old.State == state { // an answer that was lost, and a second try
			return result{status: old}, nil
		}
		return refuse(ErrFinal, "run %q is %v, not %v", c.Run, old.State, state)
	}
	st := *old
	st.State, st.Reason, st.Finished, st.Progress = state, reason, c.At, bytes.Clone(c.Progress)
	r, err = tx.update(c.Run, &st)
	if err != nil || r.err != nil {
		return r, err
	}
	return r, tx.batch.Delete(unfinishedKey(c.Run))
}

func (tx *change) cancel(c *wire.CancelRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.State.Done() || old.Cancel != "" {
		return result{status: old}, nil
	}
	st := *old
	st.Cancel = c.Reason
	return tx.update(c.Run, &st)
}

func (tx *change) deleteJob(c *wire.DeleteJob) (result, error) {
	key := jobKey(c.Namespace, c.Name)
	first, err := tx.batch.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(ErrNoJob, "%s/%s", c.Namespace, c.Name)
	}
	if err != nil {
		return result{}, err
	}
	return result{}, deleteParts(tx.batch, key, first)
}

// existing returns the status of a run that must have been created.
func (tx *change) existing(id job.RunID) (*wire.RunStatus, result, error) {
	st, err := tx.status(id)
	if err != nil {
		return nil, result{}, err
	}
	if st == nil || st.Staged {
		r, err := refuse(ErrNoRun, "%q", id)
		return nil, r, err
	}
	return st, result{}, nil
}

// update makes st the status of a run that was created, unless it is more than
// a record holds.
func (tx *change) update(id job.RunID, st *wire.RunStatus) (result, error) {
	if n := statusSize(id, st); n > store.MaxValue {
		return tooLarge(id, n)
	}
	tx.set(id, st)
	return result{status: st}, nil
}

func tooLarge(id job.RunID, n int) (result, error) {
	return refuse(ErrInvalid, "the status of run %q would take %d bytes, the limit is %d", id, n, store.MaxValue)
}

func fenced(id job.RunID, epoch uint64, st *wire.RunStatus) (result, error) {
	return refuse(ErrFenced, "run %q has epoch %d under %q, not %d", id, st.Epoch, st.Master, epoch)
}

// fresh returns those of entries, numbered from first, that a journal of next
// entries does not have. It refuses a gap, and entries that are there already
// but differ or were written under another epoch.
func (tx *change) fresh(id job.RunID, next, epoch, first uint64, entries [][]byte) ([][]byte, result, error) {
	if first > next {
		r, err := refuse(ErrConflict, "run %q has %d journal entries, number %d would leave a gap", id, next, first)
		return nil, r, err
	}
	for i, e := range entries {
		seq := first + uint64(i)
		if seq >= next {
			return entries[i:], result{}, nil
		}
		had, data, err := readEntry(tx.batch, id, seq)
		if err != nil {
			return nil, result{}, err
		}
		if had != epoch || !bytes.Equal(data, e) {
			r, err := refuse(ErrConflict, "journal entry %d of run %q is another, of epoch %d", seq, id, had)
			return nil, r, err
		}
	}
	return nil, result{}, nil
}

// put adds entries to the journal and makes st the status of the run.
func (tx *change) put(id job.RunID, epoch uint64, st *wire.RunStatus, entries [][]byte) error {
	head := binary.AppendUvarint(nil, epoch)
	for _, e := range entries {
		if err := putParts(tx.batch, entryKey(id, st.Next), head, e); err != nil {
			return err
		}
		st.Next++
	}
	tx.set(id, st)
	return nil
}

// readEntry returns a journal entry that must be there and its epoch.
func readEntry(g getter, id job.RunID, seq uint64) (epoch uint64, data []byte, err error) {
	key := entryKey(id, seq)
	b, err := getParts(g, key)
	if err != nil {
		return 0, nil, missing(err)
	}
	return splitEntry(blob{key, b})
}

func splitEntry(b blob) (epoch uint64, data []byte, err error) {
	epoch, n := binary.Uvarint(b.data)
	if n <= 0 {
		return 0, nil, fmt.Errorf("state: record %q has no epoch: %w", b.key, store.ErrCorrupt)
	}
	return epoch, b.data[n:len(b.data):len(b.data)], nil
}

// missing makes damage of the absence of what was recorded.
func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}
