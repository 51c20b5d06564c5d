package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// refuse is the result of a command that changes nothing.
func refuse(sentinel error, format string, args ...any) (result, error) {
	return result{err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}, nil
}

// run carries out c. An error is not an answer but the end: the store could
// not be read or written. A command that is refused has written nothing.
func (tx *change) run(c wire.Command) (result, error) {
	switch c := c.(type) {
	case *wire.CreateRun:
		return tx.create(c)
	case *wire.StageEntry:
		return tx.stage(c)
	case *wire.DiscardStaged:
		return tx.discard(c)
	case *wire.AdmitRun:
		return tx.admit(c)
	case *wire.AssignRun:
		return tx.assign(c)
	case *wire.AppendEntries:
		return tx.append(c)
	case *wire.FinishRun:
		return tx.finish(c)
	case *wire.CancelRun:
		return tx.cancel(c)
	case *wire.KillRun:
		return tx.kill(c)
	case *wire.NoteRun:
		return tx.note(c)
	case *wire.RewriteEntries:
		return tx.rewrite(c)
	case *wire.CompactedRun:
		return tx.compacted(c)
	case *wire.ForgetRun:
		return tx.forget(c)
	case *wire.FreeKey:
		return tx.free(c)
	case *wire.PutJob:
		return tx.putJob(c)
	case *wire.FireJob:
		return tx.fire(c)
	case *wire.DeleteJob:
		return tx.deleteJob(c)
	case *wire.FoundCluster:
		return tx.found(c)
	case *wire.PauseJob:
		return tx.pause(c)
	case *wire.ResumeJob:
		return tx.resume(c)
	case *wire.Agree:
		return tx.agree(c)
	case *wire.KeepRates:
		return tx.keepRates(c)
	case *wire.PutNamespace:
		return tx.putNamespace(c)
	case *wire.PutEvent:
		return tx.putEvent(c)
	case *wire.ForgetEvent:
		return tx.forgetEvent(c)
	case *wire.DropLetters:
		return tx.dropLetters(c)
	case *wire.NoteNode:
		return tx.noteNode(c)
	case *wire.PutToken:
		return tx.putToken(c)
	case *wire.RevokeToken:
		return tx.revokeToken(c)
	case *wire.RecordAudit:
		return tx.recordAudit(c)
	case *wire.ForgetAudit:
		return tx.forgetAudit(c)
	case *wire.BeginOperation:
		return tx.beginOperation(c)
	case *wire.AdvanceOperation:
		return tx.advanceOperation(c)
	case *wire.CancelOperation:
		return tx.cancelOperation(c)
	case *wire.ForgetOperations:
		return tx.forgetOperations(c)
	case *wire.CreateLot:
		return tx.createLot(c)
	case *wire.EndInLot:
		return tx.endInLot(c)
	case *wire.ForgetInLot:
		return tx.forgetInLot(c)
	case *wire.BeginAhead:
		return tx.beginAhead(c)
	}
	return result{}, fmt.Errorf("%w: %T", wire.ErrUnknownCommand, c)
}

// checkNames refuses what no key can be made of.
func checkNames(c wire.Command) error {
	switch c := c.(type) {
	case *wire.CreateRun:
		err := errors.Join(checkName("run", string(c.Run)), checkPart("namespace", c.Namespace),
			checkPart("job", c.Job), checkPart("key", c.Key), checkPart("run", string(c.Of)), checkPart("line", c.Line))
		for _, tag := range c.Tags {
			err = errors.Join(err, checkName("tag", tag))
		}
		return err
	case *wire.CreateLot:
		err := errors.Join(checkName("lot", string(c.Lot)), checkPart("namespace", c.Namespace), checkPart("job", c.Job), checkPart("line", c.Line))
		for _, tag := range c.Tags {
			err = errors.Join(err, checkName("tag", tag))
		}
		return err
	case *wire.FreeKey:
		return errors.Join(checkPart("namespace", c.Namespace), checkPart("job", c.Job), checkPart("key", c.Key))
	case *wire.PutJob:
		err := checkJob(c.Namespace, c.Name)
		for _, name := range c.Listens {
			err = errors.Join(err, checkName("topic", name))
		}
		return err
	case *wire.PutEvent:
		return errors.Join(checkName("namespace", c.Namespace), checkName("event", c.Name), checkName("event ID", c.ID))
	case *wire.ForgetEvent:
		return errors.Join(checkPart("namespace", c.Namespace), checkPart("event", c.Name), checkPart("event ID", c.ID))
	case *wire.DropLetters:
		return checkJob(c.Namespace, c.Name)
	case *wire.NoteNode:
		return errors.Join(checkName("node", c.Node), checkPart("node", c.Called))
	case *wire.FireJob:
		err := checkJob(c.Namespace, c.Name)
		for _, run := range c.Runs {
			err = errors.Join(err, checkNames(run))
		}
		return err
	case *wire.DeleteJob:
		return checkJob(c.Namespace, c.Name)
	case *wire.FoundCluster:
		return checkName("cluster", c.Cluster)
	case *wire.Agree:
		return nil
	case *wire.PauseJob:
		return checkJob(c.Namespace, c.Name)
	case *wire.ResumeJob:
		return checkJob(c.Namespace, c.Name)
	case *wire.PutNamespace:
		return checkName("namespace", c.Name)
	case *wire.PutToken:
		return checkName("token", c.ID)
	case *wire.RevokeToken:
		return checkName("token", c.ID)
	case *wire.RecordAudit:
		return checkName("audit ID", c.ID)
	case *wire.ForgetAudit:
		return checkAudits(c)
	case *wire.BeginOperation:
		return errors.Join(checkName("namespace", c.Namespace), checkName("operation", c.ID), checkPart("once", c.Once))
	case *wire.AdvanceOperation:
		return errors.Join(checkName("namespace", c.Namespace), checkName("operation", c.ID))
	case *wire.CancelOperation:
		return errors.Join(checkName("namespace", c.Namespace), checkName("operation", c.ID))
	case *wire.ForgetOperations:
		return checkOperations(c)
	case *wire.KeepRates, *wire.BeginAhead:
		return nil
	}
	id, _ := cost(c)
	return checkName("run", string(id))
}

func (tx *change) assign(c *wire.AssignRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	switch {
	case old.State.Done():
		return final(c.Run, old)
	case tx.early(old):
		return early(c.Run, old)
	case old.State == job.Running && old.Epoch == c.After+1 && old.Master == c.Master:
		return result{status: old}, nil // an answer that was lost, and a second try
	case old.Epoch != c.After:
		return fenced(c.Run, c.After, old)
	}
	st := *old
	st.Master, st.Epoch, st.State = c.Master, old.Epoch+1, job.Running
	if old.State == job.Pending {
		err = errors.Join(tx.leave(c.Run, &st), tx.batch.Put(unfinishedKey(c.Run), nil))
	}
	if err := errors.Join(err,
		tx.happened(c.Run, &st, c.At, "%s", because(masters(c.Called, &st), c.Why)),
	); err != nil {
		return result{}, err
	}
	return tx.update(c.Run, &st)
}

func (tx *change) append(c *wire.AppendEntries) (result, error) {
	old, r, err := tx.mastered(c.Run, c.Epoch)
	if err != nil || r.err != nil {
		return r, err
	}
	added, r, err := tx.fresh(c.Run, old, old.Next, c.Epoch, c.First, c.Entries)
	if old.State.Done() && (r.err != nil || len(added) > 0) {
		return final(c.Run, old)
	}
	if err != nil || r.err != nil || len(added) == 0 {
		return r, err
	}
	st := *old
	return result{}, tx.put(c.Run, c.Epoch, &st, added)
}

func (tx *change) finish(c *wire.FinishRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.Epoch != c.Epoch || c.Last != nil && old.Master == "" {
		return fenced(c.Run, c.Epoch, old)
	}
	if tx.early(old) {
		return early(c.Run, old)
	}
	var last, added [][]byte
	if c.Last != nil {
		last = [][]byte{c.Last}
	}
	if added, r, err = tx.fresh(c.Run, old, old.Next, c.Epoch, c.First, last); err != nil || r.err != nil && !old.State.Done() {
		return r, err
	}
	state, reason := c.State, c.Reason
	if old.Cancel != "" && state != job.Canceled {
		// Whoever asked for the end was told that it was recorded, before this.
		state, reason = job.Canceled, old.Cancel
	}
	if old.State.Done() {
		if old.State == state && !old.Killed && r.err == nil && len(added) == 0 { // an answer that was lost, and a second try
			return result{status: old}, nil
		}
		return final(c.Run, old)
	}
	if !state.Done() || state > job.Canceled {
		return refuse(ErrInvalid, "run %q: state %v is not one to end in", c.Run, state)
	}
	st := *old
	st.State, st.Reason, st.Finished, st.Progress, st.Compacted, st.Plain = state, reason, c.At, bytes.Clone(c.Progress), c.Plain, c.Plain
	if n := statusSize(c.Run, &st) + statusShort(c.Run); n > store.MaxValue {
		return refuse(ErrInvalid, "the status of run %q would take %d bytes, the limit is %d", c.Run, n, store.MaxValue)
	}
	if err := errors.Join(tx.conclude(c.Run, &st), tx.put(c.Run, c.Epoch, &st, added)); err != nil {
		return result{}, err
	}
	return result{status: &st}, nil
}

func (tx *change) cancel(c *wire.CancelRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.State.Done() || old.Cancel != "" {
		return result{status: old}, nil
	}
	if tx.early(old) { // nobody is there to end it
		return tx.kill(&wire.KillRun{Run: c.Run, Reason: cmp.Or(c.Reason, "canceled"), At: c.At})
	}
	st := *old
	st.Cancel = cmp.Or(c.Reason, "canceled") // what says that somebody asked
	if err := tx.happened(c.Run, &st, c.At, "%s", because("asked to end", c.Reason)); err != nil {
		return result{}, err
	}
	return tx.update(c.Run, &st)
}

func (tx *change) kill(c *wire.KillRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.State.Done() {
		return result{status: old}, nil
	}
	st := *old
	st.State, st.Reason, st.Finished, st.Killed = job.Canceled, c.Reason, c.At, true
	if st.Cancel == "" {
		st.Cancel = c.Reason
	}
	if err := tx.conclude(c.Run, &st); err != nil {
		return result{}, err
	}
	return tx.update(c.Run, &st)
}

// existing returns the status of a run that must have been created.
func (tx *change) existing(id job.RunID) (*wire.RunStatus, result, error) {
	st, err := tx.status(id)
	if err != nil {
		return nil, result{}, err
	}
	if !isRun(st) {
		r, err := refuse(ErrNoRun, "%q", id)
		return nil, r, err
	}
	return st, result{}, nil
}

// mastered returns the status of a run that must be in the given epoch, under
// a master.
func (tx *change) mastered(id job.RunID, epoch uint64) (*wire.RunStatus, result, error) {
	st, r, err := tx.existing(id)
	if err == nil && r.err == nil && (epoch != st.Epoch || st.State == job.Pending || st.Master == "") {
		r, err = fenced(id, epoch, st)
	}
	if err == nil && r.err == nil && tx.early(st) {
		r, err = early(id, st)
	}
	return st, r, err
}

// early refuses what a run is to do whose time has not come.
func early(id job.RunID, st *wire.RunStatus) (result, error) {
	return refuse(ErrFenced, "run %q does not begin before %s", id, timeOf(st.Ahead).Format(time.RFC3339Nano))
}

// update makes st the status of a run that was created. Only what a run ends
// with can make that more than a record holds.
func (tx *change) update(id job.RunID, st *wire.RunStatus) (result, error) {
	return result{status: st}, tx.set(id, st)
}

func final(id job.RunID, st *wire.RunStatus) (result, error) {
	return refuse(ErrFinal, "run %q is %v", id, st.State)
}

func fenced(id job.RunID, epoch uint64, st *wire.RunStatus) (result, error) {
	return refuse(ErrFenced, "run %q has epoch %d under %q, not %d", id, st.Epoch, st.Master, epoch)
}

// fresh returns those of entries, numbered from first, that a journal of next
// entries does not have. It refuses a gap, and entries that are there already
// but differ or were written under another epoch.
func (tx *change) fresh(id job.RunID, st *wire.RunStatus, next, epoch, first uint64, entries [][]byte) ([][]byte, result, error) {
	if first > next {
		r, err := refuse(ErrConflict, "run %q has %d journal entries, number %d would leave a gap", id, next, first)
		return nil, r, err
	}
	for i, e := range entries {
		seq := first + uint64(i)
		if seq >= next {
			return entries[i:], result{}, nil
		}
		had, data, err := readEntry(tx.batch, id, st, seq)
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

func putEntry(b *store.Batch, id job.RunID, seq, epoch uint64, entry []byte) error {
	return putParts(b, entryKey(id, seq), binary.AppendUvarint(nil, epoch), entry)
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
