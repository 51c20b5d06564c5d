package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What is done to a lot as such: it is created, and runs of it end or are
// forgotten.

func (tx *change) createLot(c *wire.CreateLot) (result, error) {
	old, err := tx.status(c.Lot)
	if err != nil {
		return result{}, err
	}
	if old != nil {
		return refuse(ErrExists, "lot %q", c.Lot)
	}
	if any, err := tx.anyOf(c.Lot); err != nil || any {
		r, _ := refuse(ErrExists, "a run of lot %q", c.Lot)
		return r, err
	}
	st := wire.RunStatus{
		Lot: c.Runs, Kept: c.Runs, Master: c.Master, Epoch: 1, State: job.Running, Chunks: uint64(len(c.Entries)), Created: c.Created,
		Namespace: c.Namespace, Job: c.Job, Priority: c.Priority, Line: c.Line, Keeps: true, KeepFor: c.KeepFor, KeepRuns: c.KeepRuns, Tags: c.Tags,
	}
	for i, e := range c.Entries {
		if !takesItem(st.Begins, uint64(i), len(e)) {
			return refuse(ErrInvalid, "the runs of lot %q begin with too much for a lot", c.Lot)
		}
		st.Begins = appendItem(st.Begins, 0, e...)
	}
	if c.Runs < 1 || c.Runs > job.MaxLot || c.Master == "" || length(c.Params) != c.Runs {
		return refuse(ErrInvalid, "lot %q of %d runs under master %q, with Params of %d", c.Lot, c.Runs, c.Master, length(c.Params))
	}
	last, err := tx.count(bornKey, int64(c.Runs))
	if err != nil {
		return result{}, err
	}
	st.Born = last - c.Runs + 1
	record := lotRecord{c.Record, c.Params}
	blob := record.bytes()
	st.Size = len(blob)
	for i := range c.Runs {
		tx.showInLot(c.Lot, &st, i, job.RunCreated, job.Running)
	}
	tx.lots = append(tx.lots, c.Lot)
	return result{run: c.Lot, status: &st}, errors.Join(
		tx.happened(c.Lot, &st, c.Created, "created"),
		tx.happened(c.Lot, &st, c.Created, "%s", masters(c.Called, &st)),
		tx.batch.Put(unfinishedKey(c.Lot), nil),
		putParts(tx.batch, recordKey(c.Lot), nil, blob),
		list(tx.batch, c.Lot, &st),
		tx.set(c.Lot, &st),
	)
}

// anyOf reports whether a run that could be one of a lot was created by itself: a
// lot that could not be created as such is runs like any others.
func (tx *change) anyOf(lot job.RunID) (bool, error) {
	begin := string(lot) + "."
	for _, id := range tx.touched {
		if strings.HasPrefix(string(id), begin) && tx.dirty[id] != nil {
			return true, nil
		}
	}
	for p, err := range tx.f.kv.Scan(append([]byte{'h'}, begin...)) {
		if err != nil {
			return false, err
		}
		if _, again := tx.dirty[runOf(p.Key, 0)]; !again {
			return true, nil
		}
	}
	return false, nil
}

// wasInLot reports whether a run that is not there was one of a lot that is.
func (tx *change) wasInLot(id job.RunID) (bool, error) {
	lot, i, ok := lotOf(id)
	if !ok {
		return false, nil
	}
	l, err := tx.status(lot)
	return err == nil && isLot(l) && i < l.Lot, err
}

// lot returns the status of a lot that must be there.
func (tx *change) lot(id job.RunID) (*wire.RunStatus, result, error) {
	l, err := tx.status(id)
	if err == nil && !isLot(l) {
		r, err := refuse(ErrNoRun, "lot %q", id)
		return nil, r, err
	}
	return l, result{}, err
}

func (tx *change) endInLot(c *wire.EndInLot) (result, error) {
	l, r, err := tx.lot(c.Lot)
	if err != nil || r.err != nil {
		return r, err
	}
	// Who waits for the end of a run of this job hears of each by itself.
	heard := len(tx.listeners(topic{l.Namespace, job.TopicUpstream(l.Job)})) > 0
	st := *l
	over, taken, leftOut := bits(l.Over).room(l.Lot), []uint64(nil), []uint64(nil)
	end := lotEnd{max(c.At, l.Finished+1), bytes.Clone(c.Progress), c.Last} // no two at the same time
	for it, err := range items(c.Last) {
		if err != nil || len(taken) > 0 && it.n <= taken[len(taken)-1] {
			return refuse(ErrInvalid, "lot %q: the ends of its runs can't be read, or are not in order", c.Lot)
		}
		if heard || c.Epoch != l.Epoch || c.First != l.Chunks || !holds(l, it.n) || over.has(it.n) || !takesItem(l.Begins, l.Chunks, len(it.data)) {
			leftOut = append(leftOut, it.n)
			continue
		}
		over.add(it.n)
		taken = append(taken, it.n)
	}
	if len(taken) == 0 {
		return result{leftOut: leftOut}, nil
	}
	if len(leftOut) > 0 {
		end.last = without(c.Last, leftOut)
	}
	st.Over, st.Finished = over, end.at
	counted := tx.countEnded(&st, len(taken))
	for _, i := range taken {
		tx.showInLot(c.Lot, l, i, job.RunEnded, job.Succeeded)
	}
	listed := endedKey(l.Namespace, l.Job, c.Lot, end.at)
	tx.inLots = append(tx.inLots, overInLot{c.Lot, &st, end})
	return result{leftOut: leftOut}, errors.Join(
		counted,
		tx.batch.Put(listed, binary.AppendUvarint(endedValue(&wire.RunStatus{State: job.Succeeded, Keeps: true, KeepFor: l.KeepFor, KeepRuns: l.KeepRuns}), l.Next)),
		tx.rest(c.Lot, &st),
		tx.put(c.Lot, c.Epoch, &st, [][]byte{end.bytes()}),
	)
}

// without returns a list without those of some numbers.
func without(list []byte, numbers []uint64) []byte {
	var rest []byte
	for it, err := range items(list) {
		if err != nil {
			break // whoever asks has read it
		}
		if len(numbers) > 0 && numbers[0] == it.n {
			numbers = numbers[1:]
			continue
		}
		rest = addItem(rest, it.n, it.data)
	}
	return rest
}

// rest notes in the status of a lot, which is going to be set, if no run of it
// goes on any more.
func (tx *change) rest(lot job.RunID, l *wire.RunStatus) error {
	if l.State != job.Running {
		return nil
	}
	for i := range l.Lot {
		if holds(l, i) && !bits(l.Over).has(i) {
			return nil
		}
	}
	l.State = job.Succeeded
	return tx.batch.Delete(unfinishedKey(lot))
}

// leaveLot has a run leave its lot, unless it has or there is none, because its
// status is going to be st.
func (tx *change) leaveLot(id job.RunID, st *wire.RunStatus) error {
	lot, i, ok := lotOf(id)
	if !ok || st == nil {
		return nil
	}
	l, err := tx.status(lot)
	if err != nil || !holds(l, i) {
		return err
	}
	next := *l
	next.Left = bits(l.Left).room(l.Lot)
	bits(next.Left).add(i)
	switch {
	case bits(l.Over).has(i): // nothing becomes of it but that it is forgotten
		err = fmt.Errorf("state: run %q has ended in its lot and is changed: %w", id, store.ErrCorrupt)
	case st.State == job.Running:
		err = tx.batch.Put(unfinishedKey(id), nil)
	}
	return errors.Join(err, tx.rest(lot, &next), tx.set(lot, &next))
}

func (tx *change) forgetInLot(c *wire.ForgetInLot) (result, error) {
	l, r, err := tx.lot(c.Lot)
	if err != nil || r.err != nil {
		return r, err
	}
	if len(c.Runs) > job.MaxLot {
		return refuse(ErrInvalid, "lot %q: %d runs to forget, the limit is %d", c.Lot, len(c.Runs), job.MaxLot)
	}
	st := *l
	left, now, leftOut := bits(l.Left).room(l.Lot), bits(nil).room(l.Lot), []uint64(nil)
	for _, i := range c.Runs {
		if !holds(l, i) || !bits(l.Over).has(i) || now.has(i) {
			leftOut = append(leftOut, i)
			continue
		}
		left.add(i)
		now.add(i)
		st.Kept--
		tx.showInLot(c.Lot, l, i, job.RunRemoved, job.Succeeded)
	}
	if st.Kept == l.Kept {
		return result{leftOut: leftOut}, nil
	}
	st.Left = left
	_, counted := tx.count(finishedKey(l.Namespace, l.Job), int64(st.Kept)-int64(l.Kept))
	if err := errors.Join(counted, tx.unlistEnded(c.Lot, &st, now)); err != nil {
		return result{}, err
	}
	r, err = tx.keepLot(c.Lot, &st)
	r.leftOut = leftOut
	return r, err
}

// unlistEnded takes out of the list of runs that have ended those that ended
// together and are all gone now, some of them as gone says.
func (tx *change) unlistEnded(lot job.RunID, l *wire.RunStatus, gone bits) error {
	for seq := range l.Next {
		end, err := readLotEnd(tx.batch, lot, l, seq)
		if err != nil {
			return err
		}
		some, all := false, true
		for it, err := range items(end.last) {
			if err != nil {
				return err
			}
			some, all = some || gone.has(it.n), all && bits(l.Left).has(it.n)
		}
		if !some || !all {
			continue
		}
		if err := tx.batch.Delete(endedKey(l.Namespace, l.Job, lot, end.at)); err != nil {
			return err
		}
	}
	return nil
}

// keepLot makes l the status of a lot, or removes the lot if no run of it is
// there any more.
func (tx *change) keepLot(lot job.RunID, l *wire.RunStatus) (result, error) {
	if l.Kept > 0 {
		return result{}, tx.set(lot, l)
	}
	if err := errors.Join(unlist(tx.batch, lot, l), tx.dropRecord(lot, l), tx.dropHistory(lot, l)); err != nil {
		return result{}, err
	}
	return tx.dropJournal(lot, l, discardStep)
}

// forgotten notes that a run was forgotten which had left its lot.
func (tx *change) forgotten(id job.RunID) error {
	lot, i, _ := lotOf(id)
	l, err := tx.status(lot)
	if err != nil {
		return err
	}
	if !isLot(l) || !bits(l.Left).has(i) || l.Kept == 0 {
		return fmt.Errorf("state: run %q has a status of its own and has not left its lot: %w", id, store.ErrCorrupt)
	}
	next := *l
	next.Kept--
	_, err = tx.keepLot(lot, &next) // what it leaves, Sweep removes
	return err
}

// lotSize is an upper bound of what it takes to have a run leave its lot, or to
// remove that with its last run.
func (tx *change) lotSize(id job.RunID) (int, error) {
	lot, _, _ := lotOf(id)
	l, err := tx.status(lot)
	if err != nil || l == nil {
		return 0, err
	}
	names := len(lot) + len(l.Namespace) + len(l.Job) + perRecord
	return statusSize(lot, l) + statusShort(lot) + 2*int((l.Lot+7)/8) + listingsSize(lot, l.Tags) + indexRecords*names + lotDrops(lot), nil
}

// lotDrops is an upper bound of what it takes to begin to remove a lot, beside
// its lists.
func lotDrops(lot job.RunID) int {
	return (maxRecord/partSize + 2 + discardStep*(MaxEntry/partSize+1)) * (len(lot) + perRecord)
}
