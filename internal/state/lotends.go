package state

import (
	"bytes"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Who waits for runs of a lot is told what those that ended together have in
// common, which is found out once for all, and the last entry of each.

// endsInLot is what is told of runs of a lot that ended together.
type endsInLot struct {
	over   wire.Over // without an ID
	begins []Entry   // what the journal of each begins with
}

func (e *lotEnd) told(l *wire.RunStatus) (*endsInLot, error) {
	told := &endsInLot{over: wire.Over{Epoch: l.Epoch, State: job.Succeeded}}
	for it, err := range items(l.Begins) {
		if err != nil {
			return nil, err
		}
		told.begins = append(told.begins, Entry{Seq: uint64(len(told.begins)), Data: it.data})
	}
	if len(e.progress) == 0 {
		return told, nil
	}
	return told, wire.DecodeRecord(e.progress, &told.over.Progress)
}

// outcome is what is told of one of the runs. The last entry is a copy, so that who
// keeps one does not keep all.
func (t *endsInLot) outcome(end *End) (wire.Over, []Entry) {
	over, entries := t.over, make([]Entry, len(t.begins)+1)
	over.ID = end.ID
	n := copy(entries, t.begins)
	entries[n] = Entry{Seq: uint64(n), Data: bytes.Clone(end.last)}
	return over, entries
}

// endedLot is the ends of the runs of a lot, by their numbers: those that had ended
// in it when it was read.
type endedLot struct {
	id         job.RunID
	born, next uint64
	ends       []End // those that had not ended have no endsInLot
}

// end returns how a run has ended, or false if it has not in its lot.
func (o *endedLot) end(g getter, lot, id job.RunID, i uint64) (End, bool, error) {
	if o.id != lot || !o.has(i) {
		if err := o.read(g, lot); err != nil {
			return End{}, false, err
		}
	}
	if !o.has(i) {
		return End{}, false, nil
	}
	end := o.ends[i]
	end.ID = id
	return end, true, nil
}

func (o *endedLot) has(i uint64) bool { return i < uint64(len(o.ends)) && o.ends[i].inLot != nil }

// read makes o that of a lot as g has it. Of one that is not there it has nothing.
func (o *endedLot) read(g getter, lot job.RunID) error {
	l, err := readOwnStatus(g, lot)
	if err != nil {
		return err
	}
	if !isLot(l) {
		*o = endedLot{id: lot}
		return nil
	}
	if o.id == lot && o.born == l.Born && o.next == l.Next {
		return nil
	}
	*o = endedLot{id: lot, born: l.Born, next: l.Next, ends: make([]End, l.Lot)}
	for seq := range l.Next {
		end, err := readLotEnd(g, lot, l, seq)
		if err != nil {
			return err
		}
		told, err := end.told(l)
		if err != nil {
			return err
		}
		for it, err := range items(end.last) {
			if err != nil {
				return err
			}
			if holds(l, it.n) {
				o.ends[it.n] = End{inLot: told, last: it.data}
			}
		}
	}
	return nil
}
