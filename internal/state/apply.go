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

// discardStep is how many staged entries one command removes at most.
const discardStep = 64

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
	}
	return result{}, fmt.Errorf("%w: %T", wire.ErrUnknownCommand, c)
}

// checkNames refuses what no key can be made of.
func checkNames(c wire.Command) error {
	switch c := c.(type) {
	case *wire.CreateRun:
		return errors.Join(checkName("run", string(c.Run)), checkPart("namespace", c.Namespace),
			checkPart("job", c.Job), checkPart("key", c.Key), checkPart("run", string(c.Of)), checkPart("line", c.Line))
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
	case *wire.KeepRates:
		return nil
	}
	id, _ := cost(c)
	return checkName("run", string(id))
}

// cost returns the run that c is about and an upper bound of what c writes,
// the run's status and place in the indexes left out.
func cost(c wire.Command) (job.RunID, int) {
	switch c := c.(type) {
	case *wire.CreateRun:
		return c.Run, partsSize(len(c.Run), len(c.Record)) + entriesSize(c.Run, c.Entries) + len(c.Master)
	case *wire.StageEntry:
		return c.Run, entriesSize(c.Run, [][]byte{c.Entry})
	case *wire.DiscardStaged:
		return c.Run, discardStep * (MaxEntry/partSize + 1) * (len(c.Run) + perRecord)
	case *wire.AdmitRun:
		return c.Run, 0
	case *wire.AssignRun:
		return c.Run, len(c.Master) + len(c.Called)
	case *wire.AppendEntries:
		return c.Run, entriesSize(c.Run, c.Entries)
	case *wire.FinishRun:
		return c.Run, len(c.Reason) + len(c.Progress) + partsSize(len(c.Run), len(c.Last))
	case *wire.CancelRun:
		return c.Run, len(c.Reason)
	case *wire.KillRun:
		return c.Run, 2 * len(c.Reason)
	case *wire.NoteRun:
		return c.Run, 0
	case *wire.RewriteEntries:
		return c.Run, entriesSize(c.Run, c.Entries) + len(c.Seqs)*(MaxEntry/partSize+1)*(len(c.Run)+perRecord)
	case *wire.CompactedRun:
		return c.Run, 0
	case *wire.ForgetRun:
		return c.Run, partsSize(len(c.Run), maxRecord) - maxRecord + maxHistory*(len(c.Run)+perRecord) +
			int(min(c.Limit, discardStep))*(MaxEntry/partSize+1)*(len(c.Run)+perRecord)
	case *wire.FreeKey:
		return "", 2 * (len(c.Namespace) + len(c.Job) + len(c.Key) + perRecord)
	case *wire.PutJob:
		return "", topicsSize(c.Namespace, c.Name, c.Listens) + 2*partsSize(len(c.Namespace)+len(c.Name), len(c.Record)) + revisionSize(c.Namespace, c.Name) + (len(c.Chunks)+maxJobChunks)*(MaxEntry/partSize+1)*
			(len(c.Namespace)+len(c.Name)+perRecord) + stepSize(c.Chunks) + maxJobStatus
	case *wire.FireJob:
		n := maxJobStatus
		for _, run := range c.Runs {
			id, need := cost(run)
			n += need + statusSize(id, nil) + 2*maxWhat + 2*indexRecords*(namesSize(run, nil)+perRecord)
		}
		if c.Hears {
			names := len(c.Namespace) + len(c.Name)
			n += partsSize(names, len(c.Memory)) + (len(c.Consumed)+maxRemembered/partSize+8)*(names+perRecord)
		}
		return "", n
	case *wire.PutEvent:
		return "", maxTold + 2*(len(c.Namespace)+len(c.Name)+len(c.ID)+perRecord)
	case *wire.ForgetEvent:
		return "", 2 * (len(c.Namespace) + len(c.Name) + len(c.ID) + perRecord)
	case *wire.DropLetters:
		return "", maxJobStatus + (len(c.Seqs)+2)*(len(c.Namespace)+len(c.Name)+perRecord)
	case *wire.NoteNode:
		return "", len(c.Node) + perRecord
	case *wire.PauseJob:
		return "", maxJobStatus + 4*(len(c.Namespace)+len(c.Name)+perRecord) + len(c.Reason)
	case *wire.ResumeJob:
		return "", maxJobStatus + 4*(len(c.Namespace)+len(c.Name)+perRecord)
	case *wire.KeepRates:
		return "", ratesSize(c.Windows)
	case *wire.PutNamespace:
		return "", len(c.Name) + len(c.Record) + perRecord
	case *wire.PutToken:
		return "", 2*(len(c.ID)+perRecord) + len(c.Hash) + len(c.Record)
	case *wire.RevokeToken:
		return "", len(c.ID) + perRecord
	case *wire.RecordAudit:
		return "", len(c.ID) + len(c.Record) + perRecord
	case *wire.ForgetAudit:
		return "", len(c.IDs) * (maxName + perRecord)
	case *wire.BeginOperation:
		return "", operationSize(c.Namespace, c.ID, len(c.Selection))
	case *wire.AdvanceOperation:
		return "", operationSize(c.Namespace, c.ID, 0)
	case *wire.CancelOperation:
		return "", operationSize(c.Namespace, c.ID, 0)
	case *wire.ForgetOperations:
		return "", len(c.IDs) * 2 * (2*maxName + perRecord)
	case *wire.DeleteJob:
		return "", topicsSize(c.Namespace, c.Name, nil) + maxRevisions*revisionSize(c.Namespace, c.Name) + maxJobStatus + (maxRemembered/partSize+maxRecord/partSize+maxJobChunks*(MaxEntry/partSize+1)+8)*(len(c.Namespace)+len(c.Name)+perRecord)
	}
	return "", 0
}

// topicsSize is an upper bound of what it takes to listen to other topics than
// before, of which a trigger has at most a hundred.
func topicsSize(namespace, name string, topics []string) int {
	each := 2*len(namespace) + len(name) + perRecord
	n := 100*(each+maxTopic) + 4*each
	for _, t := range topics {
		n += each + len(t)
	}
	return n
}

// revisionSize is above what it takes to forget a revision.
func revisionSize(namespace, name string) int {
	return (maxRecord/partSize + 1) * (len(namespace) + len(name) + perRecord)
}

// maxTopic is above the length of what the triggers of this version listen to.
const maxTopic = 256

// indexRecords is above how many records of indexes, history and counts one
// command writes or removes, each with the names of one run.
const indexRecords = 14

// moves reports whether c may change a run's place in the indexes.
func moves(c wire.Command) bool {
	switch c.(type) {
	case *wire.StageEntry, *wire.DiscardStaged, *wire.AppendEntries, *wire.RewriteEntries:
		return false
	}
	return true
}

// namesSize is an upper bound of the names in a record about c's run.
func namesSize(c wire.Command, st *wire.RunStatus) int {
	id, _ := cost(c)
	n := len(id)
	if c, ok := c.(*wire.CreateRun); ok {
		n += len(c.Namespace) + len(c.Job) + len(c.Key) + len(c.Of) + len(c.Line)
	}
	if st != nil {
		n += len(st.Namespace) + len(st.Job) + len(st.Key) + len(st.Of) + len(st.Line)
	}
	return n
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
	switch {
	case old == nil:
		old = &wire.RunStatus{}
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
		Size: len(c.Record), Keeps: c.Keeps, KeepFor: c.KeepFor, KeepRuns: c.KeepRuns,
	}
	if err := errors.Join(
		tx.begin(c, &st),
		putParts(tx.batch, recordKey(c.Run), nil, c.Record),
		tx.put(c.Run, 0, &st, added),
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
	record, err := getParts(tx.batch, recordKey(c.Run))
	if err != nil {
		return result{}, missing(err)
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
		if st != nil && !st.Staged && !st.State.Done() {
			return refuse(ErrNotFinal, "run %q is %v, it can't be tried again as %q", before, st.State, c.Run)
		}
	}
	if c.Master == "" && c.NotBefore <= c.Created {
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
	case c.NotBefore > c.Created:
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
	switch {
	case old.State.Done():
		return final(c.Run, old)
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
	if st == nil || st.Staged {
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
	return st, r, err
}

// update makes st the status of a run that was created. Only what a run ends
// with can make that more than a record holds.
func (tx *change) update(id job.RunID, st *wire.RunStatus) (result, error) {
	tx.set(id, st)
	return result{status: st}, nil
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
