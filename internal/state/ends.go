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
// each that goes on costs a place in a map, and those that have ended come
// together. It is made by State.Ends.
type Ends struct {
	s     *State
	ready chan struct{} // holds one if there is something to take

	mu      sync.Mutex
	await   map[job.RunID]bool // guarded by mu
	ended   []End              // guarded by mu
	stopped bool               // guarded by mu

	reading sync.Mutex
	lot     endedLot // that of the last run that had ended before; guarded by reading
}

// End is a run that has ended.
type End struct {
	ID     job.RunID
	status *wire.RunStatus // of a plain run, for which nothing is read; see Outcome
	inLot  *endsInLot      // the same of one that has ended in its lot,
	last   []byte          // whose journal ends with this
}

// Ends returns an Ends that waits for no run yet. It must be stopped.
func (s *State) Ends() *Ends {
	return &Ends{s: s, ready: make(chan struct{}, 1), await: map[job.RunID]bool{}}
}

// Add waits for runs. Those that have ended already are among the next to be
// taken. Those that are not there are unknown.
func (e *Ends) Add(ids ...job.RunID) (unknown []job.RunID, err error) {
	var over []End
	view := lastView{s: e.s}
	defer view.close()
	for _, id := range ids {
		if !e.s.fsm.goesOn(id) {
			end, ok, err := e.find(&view, id)
			if err != nil {
				return nil, err
			}
			if ok { // and nothing more becomes of it
				if over == nil {
					over = make([]End, 0, len(ids))
				}
				over = append(over, end)
				continue
			}
		}
		switch err := e.listen(id); {
		case errors.Is(err, ErrNoRun):
			unknown = append(unknown, id)
		case err != nil:
			return nil, err
		}
	}
	e.found(over)
	return unknown, nil
}

// find returns how a run that does not go on has ended, or false if that is not
// why. By what was looked at before it may go on yet.
func (e *Ends) find(view *lastView, id job.RunID) (end End, ok bool, err error) {
	for _, anew := range []bool{false, true} {
		v, err := view.open(anew)
		if err != nil {
			return end, false, err
		}
		end, state, _, err := e.read(v, id)
		if err != nil || state != job.Running {
			return end, state.Done(), err
		}
	}
	return end, false, nil
}

// lastView is a view that is used for as long as it will do.
type lastView struct {
	s *State
	v *store.Snapshot
}

func (l *lastView) open(anew bool) (*store.Snapshot, error) {
	if l.v != nil && !anew {
		return l.v, nil
	}
	l.close()
	v, err := l.s.view()
	if err == nil {
		l.v = v
	}
	return v, err
}

func (l *lastView) close() {
	if l.v != nil {
		l.v.Close()
		l.v = nil
	}
}

// listen has the end of a run told, unless there is none.
func (e *Ends) listen(id job.RunID) error {
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
	end, state, is, err := e.read(v, id)
	switch {
	case err != nil:
		return err
	case !is:
		e.drop(id)
		return fmt.Errorf("%w: %q", ErrNoRun, id)
	case state.Done():
		e.tell(end)
	}
	return nil
}

// read returns where a run stands, if there is one, and its end if it has ended. Of
// those of a lot many in a row are read at once.
func (e *Ends) read(v *store.Snapshot, id job.RunID) (end End, state job.State, is bool, err error) {
	if lot, i, ok := lotOf(id); ok {
		e.reading.Lock()
		defer e.reading.Unlock()
		if end, ok, err := e.lot.end(v, lot, id, i); ok || err != nil {
			return end, job.Succeeded, true, err
		}
	}
	st, err := readStatus(v, id)
	if err != nil || !isRun(st) {
		return end, job.Pending, false, err
	}
	if st.State.Done() {
		end = plainEnd(id, st)
	}
	return end, st.State, true, nil
}

// plainEnd is the end of a run that has a status of its own.
func plainEnd(id job.RunID, st *wire.RunStatus) End {
	if !st.Plain || len(st.Journal) == 0 { // it takes more than a status, which may be large
		st = nil
	}
	return End{ID: id, status: st}
}

func (e *Ends) drop(id job.RunID) {
	e.s.hub.forget(id, e)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.await, id)
}

// found notes runs that had ended before they were listened to. The list is e's.
func (e *Ends) found(over []End) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || len(over) == 0 {
		return
	}
	for i := 0; i < len(over) && len(e.await) > 0; i++ { // it may have been added twice
		delete(e.await, over[i].ID)
	}
	if len(e.ended) == 0 {
		e.ended = over
	} else {
		e.ended = append(e.ended, over...)
	}
	e.ring()
}

// tell notes that a run has ended, if it is listened to.
func (e *Ends) tell(end End) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.await[end.ID] || e.stopped {
		return
	}
	delete(e.await, end.ID)
	e.ended = append(e.ended, end)
	e.ring()
}

func (e *Ends) ring() {
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
	switch {
	case end.inLot != nil:
		over, entries = end.inLot.outcome(&end)
		return over, entries, nil
	case end.status != nil:
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
