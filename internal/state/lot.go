package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Runs that are submitted together and differ in their Params alone are recorded
// together, as a lot: one record of what they were created with, one status, one
// place in the lists, and how they ended in a few entries. As long as a run takes
// the usual course it is a bit there, and its status is made of the lot's when
// somebody asks for it. A run that takes another course leaves its lot, by the
// very change that makes it differ: it has a status of its own from then on, and
// is like any other, but for what it was created with and its place in the lists,
// which stay with the lot. A lot is removed when all of its runs are forgotten.

// bits is a set of small numbers.
type bits []byte

func (b bits) has(i uint64) bool { return i/8 < uint64(len(b)) && b[i/8]>>(i%8)&1 == 1 }

func (b bits) add(i uint64) { b[i/8] |= 1 << (i % 8) }

// room returns a copy of b that has room for n numbers.
func (b bits) room(n uint64) bits {
	grown := make(bits, (n+7)/8)
	copy(grown, b)
	return grown
}

// isLot reports whether a status is that of a lot.
func isLot(st *wire.RunStatus) bool { return st != nil && st.Lot > 0 }

// isRun reports whether a status is that of a run that was created.
func isRun(st *wire.RunStatus) bool { return st != nil && !st.Staged && !isLot(st) }

// lotOf returns the lot that a run may be of, by its ID, and its number there.
func lotOf(id job.RunID) (lot job.RunID, i uint64, ok bool) {
	lot, n, ok := job.LotOf(id)
	return lot, uint64(n), ok
}

// holds reports whether run i of a lot has not left it.
func holds(l *wire.RunStatus, i uint64) bool {
	return isLot(l) && i < l.Lot && !bits(l.Left).has(i)
}

// begunInLot is the status of run i of a lot as it has begun.
func begunInLot(l *wire.RunStatus, i uint64) *wire.RunStatus {
	return &wire.RunStatus{
		Master: l.Master, Epoch: l.Epoch, State: job.Running, Next: l.Chunks, Chunks: l.Chunks, Created: l.Created,
		Namespace: l.Namespace, Job: l.Job, Priority: l.Priority, Line: l.Line, Keeps: l.Keeps, KeepFor: l.KeepFor, KeepRuns: l.KeepRuns,
		Born: l.Born + i, Tags: l.Tags, InLot: true, Happened: l.Happened, History: l.History, Journal: l.Begins,
	}
}

// inLot returns the status of run i of a lot that has not left it, or nil.
func inLot(g getter, lot job.RunID, l *wire.RunStatus, i uint64) (*wire.RunStatus, error) {
	if !holds(l, i) {
		return nil, nil
	}
	st := begunInLot(l, i)
	if !bits(l.Over).has(i) {
		return st, nil
	}
	for end, err := range endsOf(g, lot, l) {
		if err != nil {
			return nil, err
		}
		if end.n == i {
			end.conclude(st, end.data)
			return st, nil
		}
	}
	return nil, fmt.Errorf("state: the end of run %d of lot %q is missing: %w", i, lot, store.ErrCorrupt)
}

// lotEnd is how some runs of a lot ended together: an entry of its journal.
type lotEnd struct {
	at       int64
	progress []byte // of each, which keeps nothing else in memory
	last     []byte // the last entries of their journals, listed by their numbers
}

func (e *lotEnd) bytes() []byte {
	b := make([]byte, 0, 8+binary.MaxVarintLen32+len(e.progress)+len(e.last))
	b = binary.AppendUvarint(binary.BigEndian.AppendUint64(b, uint64(e.at)), uint64(len(e.progress)))
	return append(append(b, e.progress...), e.last...)
}

func readLotEnd(g getter, lot job.RunID, l *wire.RunStatus, seq uint64) (e lotEnd, err error) {
	_, b, err := readEntry(g, lot, l, seq)
	if err != nil {
		return e, err
	}
	if len(b) > 8 {
		n, k := binary.Uvarint(b[8:])
		if rest := b[8+max(k, 0):]; k > 0 && n <= uint64(len(rest)) {
			return lotEnd{int64(binary.BigEndian.Uint64(b)), bytes.Clone(rest[:n]), rest[n:]}, nil
		}
	}
	return e, fmt.Errorf("state: entry %d of lot %q, of %d bytes: %w", seq, lot, len(b), store.ErrCorrupt)
}

// endInLot is how one run of a lot ended: its number and last entry, and what it has
// in common with others.
type endInLot struct {
	*lotEnd
	item
}

// endsOf yields how the runs of a lot ended that have ended in it, the latest
// first.
func endsOf(g getter, lot job.RunID, l *wire.RunStatus) iter.Seq2[endInLot, error] {
	return func(yield func(endInLot, error) bool) {
		for seq := l.Next; seq > 0; seq-- {
			end, err := readLotEnd(g, lot, l, seq-1)
			if err != nil {
				yield(endInLot{}, err)
				return
			}
			for it, err := range items(end.last) {
				if !yield(endInLot{&end, it}, err) || err != nil {
					return
				}
			}
		}
	}
}

// conclude makes of the status of a run of the lot that of one that has ended.
func (e *lotEnd) conclude(st *wire.RunStatus, last []byte) {
	st.State, st.Finished, st.Progress, st.Compacted, st.Plain = job.Succeeded, e.at, e.progress, true, true
	st.Journal, st.Next = appendItem(st.Journal, st.Epoch, last...), st.Next+1
	st.History, st.Happened = appendItem(st.History, uint64(e.at), []byte(job.Succeeded.String())...), st.Happened+1
}

// lotRecord is what the runs of a lot were created with: one of them, and the
// Params of each.
type lotRecord struct{ run, params []byte }

func (r *lotRecord) bytes() []byte {
	b := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen32+len(r.run)+len(r.params)), uint64(len(r.run)))
	return append(append(b, r.run...), r.params...)
}

func readLotRecord(g getter, lot job.RunID) (r lotRecord, err error) {
	b, err := getParts(g, recordKey(lot))
	if err != nil {
		return r, missing(err)
	}
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return r, fmt.Errorf("state: record of lot %q, of %d bytes: %w", lot, len(b), store.ErrCorrupt)
	}
	return lotRecord{b[k : k+int(n)], b[k+int(n):]}, nil
}

// created returns run i as it was created.
func (r *lotRecord) created(id job.RunID, i uint64) (run job.Run, err error) {
	params, ok, err := itemAt(r.params, i)
	if err == nil && !ok {
		err = fmt.Errorf("state: the Params of run %q are missing: %w", id, store.ErrCorrupt)
	}
	if err == nil {
		err = wire.DecodeRecord(r.run, &run)
	}
	run.ID, run.Spec.Params = id, string(params.data)
	return run, err
}

// recordOf returns what a run was created with, as creation encodes it.
func recordOf(g getter, id job.RunID, st *wire.RunStatus) ([]byte, error) {
	if !st.InLot {
		b, err := getParts(g, recordKey(id))
		return b, missing(err)
	}
	run, err := createdInLot(g, id)
	if err != nil {
		return nil, err
	}
	return wire.EncodeRecord(run)
}

func createdInLot(g getter, id job.RunID) (job.Run, error) {
	lot, i, _ := lotOf(id)
	r, err := readLotRecord(g, lot)
	if err != nil {
		return job.Run{}, err
	}
	return r.created(id, i)
}

// openLot is a lot whose runs are read one after another: how they ended is read
// once for all.
type openLot struct {
	g      getter
	id     job.RunID
	status *wire.RunStatus
	ended  map[uint64]*wire.RunStatus // nil until it is needed
	record *lotRecord                 // nil until it is needed
}

// runs yields the runs of a lot with their statuses, in the order of their
// numbers or back, those that have left it too unless they were forgotten.
func (o *openLot) runs(backward bool) iter.Seq2[listedRun, error] {
	return func(yield func(listedRun, error) bool) {
		for n := range o.status.Lot {
			i := n
			if backward {
				i = o.status.Lot - 1 - n
			}
			at := listedRun{id: job.InLot(o.id, int(i)), born: o.status.Born + i, created: o.status.Created, lot: o}
			var err error
			if at.status, err = o.statusOf(at.id, i); err == nil && !isRun(at.status) {
				continue
			}
			if !yield(at, err) || err != nil {
				return
			}
		}
	}
}

// statusOf returns the status of run i, or nil if it was forgotten.
func (o *openLot) statusOf(id job.RunID, i uint64) (*wire.RunStatus, error) {
	switch {
	case !holds(o.status, i):
		return readOwnStatus(o.g, id)
	case !bits(o.status.Over).has(i):
		return begunInLot(o.status, i), nil
	case o.ended == nil:
		if err := o.readEnded(); err != nil {
			return nil, err
		}
	}
	if st := o.ended[i]; st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("state: the end of run %q is missing: %w", id, store.ErrCorrupt)
}

func (o *openLot) readEnded() error {
	o.ended = map[uint64]*wire.RunStatus{}
	for end, err := range endsOf(o.g, o.id, o.status) {
		if err != nil {
			return err
		}
		st := begunInLot(o.status, end.n)
		end.conclude(st, end.data)
		o.ended[end.n] = st
	}
	return nil
}

// read returns a run of the lot that has the status st.
func (o *openLot) read(id job.RunID, st *wire.RunStatus) (run job.Run, err error) {
	if o.record == nil {
		r, err := readLotRecord(o.g, o.id)
		if err != nil {
			return run, err
		}
		o.record = &r
	}
	_, i, _ := lotOf(id)
	if run, err = o.record.created(id, i); err == nil {
		err = changed(&run, st)
	}
	return run, err
}

// readAll adds those runs of the lot that are wanted to runs, up to a limit.
func (o *openLot) readAll(runs []job.Run, limit int, wanted func(*listedRun) bool) ([]job.Run, error) {
	for at, err := range o.runs(false) {
		if err != nil {
			return nil, err
		}
		if !wanted(&at) {
			continue
		}
		run, err := o.read(at.id, at.status)
		if err != nil {
			return nil, err
		}
		if runs = append(runs, run); len(runs) == limit {
			break
		}
	}
	return runs, nil
}

// goesOn reports whether a run goes on that has not left the lot.
func (o *openLot) goesOn(at *listedRun) bool {
	_, i, _ := lotOf(at.id)
	return holds(o.status, i) && !bits(o.status.Over).has(i)
}

// lotBefore returns the lot that a run is listed with, or nil if it is listed by
// itself.
func lotBefore(g getter, id job.RunID) (*openLot, error) {
	lot, i, ok := lotOf(id)
	if !ok {
		return nil, nil
	}
	l, err := readOwnStatus(g, lot)
	if err != nil || !isLot(l) || i >= l.Lot {
		return nil, err
	}
	return &openLot{g: g, id: lot, status: l}, nil
}
