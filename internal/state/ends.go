package state

import (
	"errors"
	"fmt"
	"sync"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Ends collects which of some runs have ended, for somebody who waits for many:
// each costs a place in a map, and those that have ended come together. It is
// made by State.Ends.
type Ends struct {
	s     *State
	ready chan struct{} // holds one if there is something to take

	mu      sync.Mutex
	await   map[job.RunID]bool // guarded by mu
	ended   []End              // guarded by mu
	stopped bool               // guarded by mu

	reading sync.Mutex
	lot     openLot // that of the last run that had ended before; guarded by reading
}

// End is a run that has ended.
type End struct {
	ID     job.RunID
	status *wire.RunStatus // of a plain run, for which nothing is read; see Outcome
}

// Ends returns an Ends that waits for no run yet. It must be stopped.
func (s *State) Ends() *Ends {
	return &Ends{s: s, ready: make(chan struct{}, 1), await: map[job.RunID]bool{}}
}

// Add waits for a run. One that has ended already is among the next to be
// taken. ErrNoRun says that there is none of that ID.
func (e *Ends) Add(id job.RunID) error {
	e.mu.Lock()
	again := e.await[id]
	e.await[id] = true
	e.mu.Unlock()
	if !again {
		e.s.hub.await(id, e)
	}
	if e.s.fsm.goesOn(id) {
		return nil // its end will be told
	}
	v, err := e.s.view()
	if err != nil {
		return err
	}
	defer v.Close()
	st, err := e.read(v, id)
	switch {
	case err == nil && st.State.Done():
		e.tell(id, st)
	case errors.Is(err, ErrNoRun):
		e.drop(id)
	}
	return err
}

// read is createdStatus for runs of which many in a row are of one lot.
func (e *Ends) read(v *store.Snapshot, id job.RunID) (*wire.RunStatus, error) {
	lot, i, ok := lotOf(id)
	if !ok {
		return createdStatus(v, id)
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	if st := e.lot.ended[i]; st != nil && e.lot.id == lot {
		return st, nil // nothing more becomes of it
	}
	if ok, err := e.lot.at(v, lot); err != nil || !ok || i >= e.lot.status.Lot {
		return createdStatus(v, id)
	}
	st, err := e.lot.statusOf(id, i)
	if err == nil && !isRun(st) {
		err = fmt.Errorf("%w: %q", ErrNoRun, id)
	}
	return st, err
}

func (e *Ends) drop(id job.RunID) {
	e.s.hub.forget(id, e)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.await, id)
}

// tell notes that a run has ended, as st says.
func (e *Ends) tell(id job.RunID, st *wire.RunStatus) {
	if !st.Plain || len(st.Journal) == 0 { // it takes more than a status, which may be large
		st = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.await[id] || e.stopped {
		return
	}
	delete(e.await, id)
	e.ended = append(e.ended, End{id, st})
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// Ready returns a channel that holds a value once Take has something to give.
func (e *Ends) Ready() <-chan struct{} { return e.ready }

// Take returns the runs that have ended since it was called last.
func (e *Ends) Take() []End {
	e.mu.Lock()
	defer e.mu.Unlock()
	ends := e.ended
	e.ended = nil
	return ends
}

// Stop lets go of all runs.
func (e *Ends) Stop() {
	e.mu.Lock()
	e.stopped = true
	ids := e.await
	e.await = map[job.RunID]bool{}
	e.mu.Unlock()
	for id := range ids {
		e.s.hub.forget(id, e)
	}
}

// Outcome returns what is told of a run that has ended and, if its journal has no
// more entries than few, those. Of a plain run, which had a single task, it is what
// its end says, without a plan.
func (s *State) Outcome(end End, few uint64) (over wire.Over, entries []Entry, err error) {
	if end.status != nil {
		return plainOutcome(end)
	}
	v, err := s.view()
	if err != nil {
		return over, nil, err
	}
	defer v.Close()
	st, err := createdStatus(v, end.ID)
	if err != nil {
		return over, nil, err
	}
	run, err := readRun(v, end.ID, st)
	if over = wire.OverOf(&run); err != nil || st.Next > few {
		return over, nil, err
	}
	entries = make([]Entry, st.Next)
	for seq := range st.Next {
		_, data, err := readEntry(v, end.ID, st, seq)
		if err != nil {
			return over, nil, err
		}
		entries[seq] = Entry{Seq: seq, Data: data}
	}
	return over, entries, nil
}

func plainOutcome(end End) (over wire.Over, entries []Entry, err error) {
	st := end.status
	over = wire.Over{ID: end.ID, Epoch: st.Epoch, State: st.State, Reason: st.Reason}
	entries = make([]Entry, 0, st.Next)
	for it, err := range items(st.Journal) {
		if err != nil {
			return over, nil, err
		}
		entries = append(entries, Entry{Seq: uint64(len(entries)), Data: it.data})
	}
	if len(st.Progress) > 0 {
		err = wire.DecodeRecord(st.Progress, &over.Progress)
	}
	return over, entries, err
}
