package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A run that has ended stays as it is. All that becomes of it is that its journal
// is made smaller, and that it is forgotten.

// rewriteStep is how many entries one command rewrites at most.
const rewriteStep = 64

// Rewrite replaces entries of the journal of a run that has ended by others
// that are not larger, in the order of their numbers; what else there is
// stays. It may be repeated. ErrNotFinal says that the run has not ended,
// ErrInvalid that an entry is unknown or larger than the one it replaces, or that
// the run is plain; the entries before it may have been replaced.
func (s *State) Rewrite(ctx context.Context, id job.RunID, entries []Entry) error {
	if err := checkName("run", string(id)); err != nil {
		return err
	}
	var cuts [][]Entry
	for left := entries; len(left) > 0; {
		n, size := 0, 0
		for n < min(len(left), rewriteStep) && (n == 0 || size+len(left[n].Data)+perEntry <= maxStep) {
			size += len(left[n].Data) + perEntry
			n++
		}
		cuts, left = append(cuts, left[:n]), left[n:]
	}
	return s.steps(ctx, len(cuts), func(i int) wire.Command {
		c := &wire.RewriteEntries{Run: id}
		for _, e := range cuts[i] {
			c.Seqs, c.Entries = append(c.Seqs, e.Seq), append(c.Entries, e.Data)
		}
		return c
	})
}

// Compacted records that the journal of a run that has ended is as small as it
// gets: Uncompacted leaves it out from then on. It may be repeated.
// ErrNotFinal says that the run has not ended.
func (s *State) Compacted(ctx context.Context, id job.RunID) error {
	_, err := s.change(ctx, id, &wire.CompactedRun{Run: id})
	return err
}

// Forget removes a run that has ended with all that belongs to it, except that
// its key stays taken for as long as was promised. The run is gone at once;
// its journal follows in steps. If it is cut short, repeating it goes on, and
// so does Sweep; of a run that is not there nothing is removed. ErrNotFinal
// says that the run has not ended.
func (s *State) Forget(ctx context.Context, id job.RunID) error {
	if err := checkName("run", string(id)); err != nil {
		return err
	}
	r, err := s.propose(ctx, &wire.ForgetRun{Run: id, At: s.now().UnixNano()})
	if err != nil || r.left == 0 {
		return err
	}
	return s.Discard(ctx, id)
}

func (tx *change) rewrite(c *wire.RewriteEntries) (result, error) {
	old, r, err := tx.final(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.Plain {
		return refuse(ErrInvalid, "run %q: its journal has nothing that could be rewritten", c.Run)
	}
	if len(c.Seqs) != len(c.Entries) || len(c.Seqs) > rewriteStep {
		return refuse(ErrInvalid, "run %q: %d entries to rewrite, the limit is %d", c.Run, len(c.Seqs), rewriteStep)
	}
	// Nothing is written before all is known to be right.
	epochs, same, sizes := make([]uint64, len(c.Seqs)), make([]bool, len(c.Seqs)), make([]int, len(c.Seqs))
	for i, seq := range c.Seqs {
		if seq >= old.Next || i > 0 && seq <= c.Seqs[i-1] {
			return refuse(ErrInvalid, "run %q: journal entry %d of %d to rewrite is unknown or out of order", c.Run, seq, old.Next)
		}
		epoch, data, err := readEntry(tx.batch, c.Run, old, seq)
		if err != nil {
			return result{}, err
		}
		if len(c.Entries[i]) > len(data) {
			return refuse(ErrInvalid, "run %q: journal entry %d has %d bytes and can't be rewritten to %d", c.Run, seq, len(data), len(c.Entries[i]))
		}
		epochs[i], same[i], sizes[i] = epoch, bytes.Equal(data, c.Entries[i]), len(data)
	}
	st := *old
	if len(st.Journal) > 0 {
		if st.Journal, err = replaced(old.Journal, c.Seqs, c.Entries); err != nil {
			return result{}, err
		}
	}
	for i, seq := range c.Seqs {
		if same[i] {
			continue
		}
		st.Rewritten = true
		if len(st.Journal) > 0 {
			continue
		}
		tx.freed += sizes[i] - len(c.Entries[i])
		key := entryKey(c.Run, seq)
		first, err := tx.batch.Get(key)
		if err != nil {
			return result{}, missing(err)
		}
		if err := errors.Join(deleteParts(tx.batch, key, first), putEntry(tx.batch, c.Run, seq, epochs[i], c.Entries[i])); err != nil {
			return result{}, err
		}
	}
	return tx.update(c.Run, &st)
}

func (tx *change) compacted(c *wire.CompactedRun) (result, error) {
	old, r, err := tx.final(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.Compacted {
		return result{status: old}, nil
	}
	if err := tx.batch.Delete(uncompactedKey(c.Run, old.Finished)); err != nil {
		return result{}, err
	}
	st := *old
	st.Compacted = true
	return tx.update(c.Run, &st)
}

func (tx *change) forget(c *wire.ForgetRun) (result, error) {
	old, err := tx.status(c.Run)
	if err != nil || old == nil {
		return result{}, err
	}
	if isLot(old) {
		return result{}, nil // no run
	}
	if old.Staged {
		if old.Gone && c.Limit > 0 {
			return tx.discard(&wire.DiscardStaged{Run: c.Run, Limit: c.Limit})
		}
		if old.Gone {
			return result{left: old.Next}, nil
		}
		return result{}, nil // a run that is not there
	}
	if !old.State.Done() {
		return refuse(ErrNotFinal, "run %q is %v", c.Run, old.State)
	}
	if old.InLot {
		lot, i, _ := lotOf(c.Run)
		l, err := tx.status(lot)
		if err != nil {
			return result{}, err
		}
		if holds(l, i) {
			return tx.forgetInLot(&wire.ForgetInLot{Lot: lot, Runs: []uint64{i}})
		}
	}
	_, counted := tx.count(finishedKey(old.Namespace, old.Job), -1)
	if err := errors.Join(
		counted,
		tx.dropCreated(c.Run, old),
		tx.dropHistory(c.Run, old),
		tx.batch.Delete(endedKey(old.Namespace, old.Job, c.Run, old.Finished)),
	); err != nil {
		return result{}, err
	}
	if !old.Compacted {
		err = errors.Join(err, tx.batch.Delete(uncompactedKey(c.Run, old.Finished)))
	}
	if old.Of != "" {
		err = errors.Join(err, tx.batch.Delete(attemptKey(old.Of, old.Attempt)))
	}
	if err != nil {
		return result{}, err
	}
	return tx.dropJournal(c.Run, old, c.Limit)
}

// dropJournal removes the status of what is forgotten, and its journal if that is
// in it. Else at most limit entries are removed, and the others are left.
func (tx *change) dropJournal(id job.RunID, old *wire.RunStatus, limit uint64) (result, error) {
	if old.Next == 0 || len(old.Journal) > 0 {
		return result{}, tx.set(id, nil)
	}
	err := errors.Join(
		tx.set(id, &wire.RunStatus{Staged: true, Gone: true, Next: old.Next}),
		tx.batch.Put(stagedKey(id)),
	)
	if err != nil || limit == 0 {
		return result{left: old.Next}, err
	}
	return tx.discard(&wire.DiscardStaged{Run: id, Limit: limit})
}

// dropCreated removes what a run was created with and its places in the lists. Of
// a run that has left its lot they stay with that, for as long as it has others.
func (tx *change) dropCreated(id job.RunID, st *wire.RunStatus) error {
	if st.InLot {
		return tx.forgotten(id)
	}
	return errors.Join(tx.dropRecord(id, st), unlist(tx.batch, id, st))
}

// dropRecord removes what a run was created with.
func (tx *change) dropRecord(id job.RunID, st *wire.RunStatus) error {
	key := recordKey(id)
	if st.Size == 0 {
		first, err := tx.batch.Get(key)
		if err != nil {
			return missing(err)
		}
		tx.freed += int(first[0]) * len(first)
		return deleteParts(tx.batch, key, first)
	}
	tx.freed += st.Size
	return deleteParts(tx.batch, key, []byte{byte(parts(st.Size))})
}

// conclude records that a run has ended as st says, which is going to be set.
func (tx *change) conclude(id job.RunID, st *wire.RunStatus) error {
	var begun error
	if st.Waits == wire.WaitsForNothing {
		begun = tx.batch.Delete(unfinishedKey(id))
	}
	counted := tx.countEnded(st, 1)
	var uncompacted error
	if !st.Compacted {
		uncompacted = tx.batch.Put(uncompactedKey(id, st.Finished), []byte{byte(st.State)})
	}
	if st.Fired {
		begun = errors.Join(begun, tx.over(id, st))
	}
	return errors.Join(
		begun, counted,
		tx.runEnded(id, st),
		tx.leave(id, st),
		tx.release(id, st),
		tx.batch.Put(endedKey(st.Namespace, st.Job, id, st.Finished), endedValue(st)),
		uncompacted,
		tx.happened(id, st, st.Finished, "%s", because(st.State.String(), st.Reason)),
	)
}

// countEnded counts n runs of a job that have ended, as st says.
func (tx *change) countEnded(st *wire.RunStatus, n int) error {
	all, err := tx.count(finishedKey(st.Namespace, st.Job), int64(n))
	if err == nil && mayForget(st, all) {
		tx.surplus = append(tx.surplus, jobName{st.Namespace, st.Job})
	}
	return err
}

// endedValue is what is said of a run where those that have ended are listed.
func endedValue(st *wire.RunStatus) []byte {
	b := []byte{byte(st.State)}
	if st.Keeps {
		b = binary.AppendVarint(binary.AppendVarint(b, int64(st.KeepFor)), int64(st.KeepRuns))
	}
	return b
}

// final returns the status of a run that must have ended.
func (tx *change) final(id job.RunID) (*wire.RunStatus, result, error) {
	st, r, err := tx.existing(id)
	if err == nil && r.err == nil && !st.State.Done() {
		r, err = refuse(ErrNotFinal, "run %q is %v", id, st.State)
	}
	return st, r, err
}
