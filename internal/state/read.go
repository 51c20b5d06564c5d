package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Reads are answered by this node's copy. On the node that leads it has
// whatever was acknowledged; elsewhere it may be a little behind.

// Entry is one entry of a run's journal.
type Entry struct {
	Seq  uint64
	Data []byte
}

// Run returns the run with its history, or ErrNoRun. Its maps and slices are
// the caller's.
func (s *State) Run(id job.RunID) (job.Run, error) {
	v, err := s.view()
	if err != nil {
		return job.Run{}, err
	}
	defer v.Close()
	st, err := createdStatus(v, id)
	if err != nil {
		return job.Run{}, err
	}
	run, err := readRun(v, id, st)
	if err != nil {
		return job.Run{}, err
	}
	run.History, err = readHistory(v, id, st)
	return run, err
}

// Retries returns the attempts of a run that there are, in order, given any of
// them; the first is the run itself.
func (s *State) Retries(id job.RunID) ([]job.RunID, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	st, err := createdStatus(v, id)
	if err != nil && !errors.Is(err, ErrNoRun) {
		return nil, err
	}
	var all []job.RunID
	if err == nil && st.Of != "" {
		id = st.Of
		if _, err = createdStatus(v, id); err != nil && !errors.Is(err, ErrNoRun) {
			return nil, err
		}
	}
	if err == nil {
		all = append(all, id)
	}
	for p, scanErr := range v.Scan(named('a', string(id))) {
		if scanErr != nil {
			return nil, scanErr
		}
		all = append(all, job.RunID(p.Value))
	}
	if len(all) == 0 {
		return nil, err
	}
	return all, nil
}

// Runs returns at most limit runs in the order of their IDs, from the first
// whose ID is above after. A limit of zero or less means 100.
func (s *State) Runs(after job.RunID, limit int) ([]job.Run, error) {
	if limit <= 0 {
		limit = 100
	}
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	start := []byte("r")
	l, err := lotBefore(v, after)
	switch {
	case err != nil:
		return nil, err
	case l != nil:
		start = recordKey(l.id)
	case after != "":
		start = append(append(start, after...), 1) // above all parts of after
	}
	var runs []job.Run
	for b, err := range joinParts(v.ScanFrom([]byte("r"), start)) {
		if err != nil {
			return nil, err
		}
		id := runOf(b.key, 1)
		st, err := readStatus(v, id)
		if err != nil {
			return nil, err
		}
		if st == nil {
			return nil, fmt.Errorf("state: run %q has no status: %w", id, store.ErrCorrupt)
		}
		if isLot(st) {
			o := &openLot{g: v, id: id, status: st}
			if runs, err = o.readAll(runs, limit, func(at *listedRun) bool { return at.id > after }); err != nil || len(runs) == limit {
				return runs, err
			}
			continue
		}
		if st, err = asSeen(v, st); err != nil {
			return nil, err
		}
		run, err := composeRun(b.data, st)
		if err != nil {
			return nil, err
		}
		if runs = append(runs, run); len(runs) == limit {
			break
		}
	}
	return runs, nil
}

// Unfinished returns the runs that have begun and not ended, in the order of
// their IDs. It takes time for those alone.
func (s *State) Unfinished() ([]job.Run, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	came, err := readCame(v)
	if err != nil {
		return nil, err
	}
	var runs []job.Run
	for p, err := range v.Scan([]byte("u")) {
		if err != nil {
			return nil, err
		}
		id := runOf(p.Key, 0)
		st, err := readStatus(v, id)
		if err == nil && isLot(st) {
			o := &openLot{g: v, id: id, status: st}
			if runs, err = o.readAll(runs, math.MaxInt, func(at *listedRun) bool { return o.goesOn(at) }); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil && !isRun(st) {
			err = fmt.Errorf("state: run %q goes on and has no status: %w", id, store.ErrCorrupt)
		}
		if err != nil {
			return nil, err
		}
		if st.Ahead > came {
			continue
		}
		run, err := readRun(v, id, st)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// Journal yields the entries of a run's journal from number from on, as they
// were when it began. An error is the last it yields. Data is the caller's.
func (s *State) Journal(id job.RunID, from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		v, err := s.view()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer v.Close()
		st, err := createdStatus(v, id)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if len(st.Journal) > 0 {
			short(st.Journal, from, yield)
			return
		}
		prefix, next := journalPrefix(id), from
		for b, err := range joinParts(v.ScanFrom(prefix, entryKey(id, from))) {
			var e Entry
			if err == nil {
				e.Seq = seqOf(b.key, len(prefix))
				_, e.Data, err = splitEntry(b)
			}
			if err == nil && (e.Seq != next || e.Seq >= st.Next) {
				err = fmt.Errorf("state: journal of run %q: entry %d where %d of %d is due: %w", id, e.Seq, next, st.Next, store.ErrCorrupt)
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if next++; !yield(e, nil) {
				return
			}
		}
		if next < st.Next {
			yield(Entry{}, fmt.Errorf("state: journal of run %q ends before entry %d of %d: %w", id, next, st.Next, store.ErrCorrupt))
		}
	}
}

// journalStep is how many entries are read together from the end of a journal,
// each of them up to half a MiB.
const journalStep = 8

// JournalBack is Journal from the last of the entries below a number to the first.
func (s *State) JournalBack(id job.RunID, below uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		v, err := s.view()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		st, err := createdStatus(v, id)
		v.Close()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for below = min(below, st.Next); below > 0; {
			first := below - min(below, journalStep)
			some := make([]Entry, 0, journalStep)
			for e, err := range s.Journal(id, first) {
				if err != nil {
					yield(Entry{}, err)
					return
				}
				if e.Seq >= below {
					break
				}
				e.Data = bytes.Clone(e.Data)
				some = append(some, e)
			}
			for _, e := range slices.Backward(some) {
				if !yield(e, nil) {
					return
				}
			}
			below = first
		}
	}
}

// short yields what Journal does of one that is in the status.
func short(journal []byte, from uint64, yield func(Entry, error) bool) {
	seq := uint64(0)
	for it, err := range items(journal) {
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if seq >= from && !yield(Entry{seq, it.data}, nil) {
			return
		}
		seq++
	}
}

// Entry returns one entry of a run's journal, or ErrNoEntry.
func (s *State) Entry(id job.RunID, seq uint64) ([]byte, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	st, err := createdStatus(v, id)
	if err != nil {
		return nil, err
	}
	if seq >= st.Next {
		return nil, fmt.Errorf("%w: number %d of the %d of run %q", ErrNoEntry, seq, st.Next, id)
	}
	_, data, err := readEntry(v, id, st, seq)
	return data, err
}

// Watch returns a channel that gets the run as it is, once there is one, and
// then each change of it; who is slow gets the latest only. The channel is
// closed by stop, or when the state closes. The journal is no part of the run,
// nor is its history. What is received is shared by all who watch: nobody
// writes it.
func (s *State) Watch(id job.RunID) (ch <-chan job.Run, stop func()) {
	w := s.hub.watch(id)
	run, err := s.Run(id)
	switch {
	case err == nil:
		w.offer(run, false)
	case !errors.Is(err, ErrNoRun) && !errors.Is(err, ErrClosed):
		s.log.Error("a run that is watched can't be read", telemetry.Run(id), telemetry.Err(err))
	}
	return w.ch, func() { s.hub.leave(id, w) }
}

// Await returns the run once it has ended. ErrNoRun says that there is none
// of that ID when it is called.
func (s *State) Await(ctx context.Context, id job.RunID) (job.Run, error) {
	if run, err := s.Run(id); err != nil || run.State.Done() {
		return run, err
	}
	ch, stop := s.Watch(id)
	defer stop()
	for {
		select {
		case run, ok := <-ch:
			if !ok {
				return job.Run{}, ErrClosed
			}
			if run.State.Done() {
				return run, nil
			}
		case <-ctx.Done():
			return job.Run{}, fmt.Errorf("state: wait for run %q: %w", id, context.Cause(ctx))
		}
	}
}

func (s *State) view() (*store.Snapshot, error) {
	v, err := s.kv.Snapshot()
	if errors.Is(err, store.ErrClosed) {
		return nil, ErrClosed
	}
	return v, err
}

// createdStatus returns the status of a run, or ErrNoRun.
func createdStatus(g getter, id job.RunID) (*wire.RunStatus, error) {
	st, err := readStatus(g, id)
	if err == nil && !isRun(st) {
		err = fmt.Errorf("%w: %q", ErrNoRun, id)
	}
	if err != nil {
		return st, err
	}
	return asSeen(g, st)
}

// readRun returns a run that must be there, with the status st.
func readRun(g getter, id job.RunID, st *wire.RunStatus) (job.Run, error) {
	if st.InLot {
		run, err := createdInLot(g, id)
		if err == nil {
			err = changed(&run, st)
		}
		return run, err
	}
	record, err := getParts(g, recordKey(id))
	if err != nil {
		return job.Run{}, missing(err)
	}
	return composeRun(record, st)
}

func loadRun(g getter, id job.RunID, st *wire.RunStatus) func() (job.Run, error) {
	return func() (job.Run, error) { return readRun(g, id, st) }
}

// composeRun puts what a run was created with and what changed together.
func composeRun(record []byte, st *wire.RunStatus) (job.Run, error) {
	var run job.Run
	if err := wire.DecodeRecord(record, &run); err != nil {
		return run, err
	}
	err := changed(&run, st)
	return run, err
}

// changed takes into a run what changed of it since it was created.
func changed(run *job.Run, st *wire.RunStatus) error {
	run.Master, run.Epoch, run.State = st.Master, st.Epoch, st.State
	run.Reason, run.CancelReason = st.Reason, st.Cancel
	run.Created, run.Fire, run.NotBefore = timeOf(st.Created), utc(run.Fire), utc(run.NotBefore)
	if st.Waits == wire.WaitsForTime {
		run.NotBefore = timeOf(st.NotBefore)
	}
	run.Attempt = max(run.Attempt, 1)
	run.Finished, run.Compacted = timeOf(st.Finished), st.Rewritten
	if len(st.Progress) == 0 {
		return nil
	}
	return wire.DecodeRecord(st.Progress, &run.Progress)
}

// utc makes equal times equal values, the zero time included.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
