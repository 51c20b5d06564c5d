package state

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Where many fires are due at one instant they are recorded ahead of it, each as
// a run that has its master and goes on in all but this: nobody conducts it, and
// readers see it wait for its time, until one command says that the instant has
// come. By then the masters can have all that they need. What is recorded of the
// job before that withdraws the run, as if it had never been, and leaves the fire
// to be settled when it is due.

// ahead is the runs that were recorded ahead of an instant that has not come.
type ahead struct {
	mu   sync.Mutex
	runs map[int64][]aheadRun // by instant, in the order in which they were created, and some that are not any more; guarded by mu

	// Only the goroutine that applies uses these.
	came  int64      // the last instant that has
	begun []begunRun // what began with it
}

// aheadRun is a run that was recorded ahead. Another of that ID, if it was
// withdrawn, is born later.
type aheadRun struct {
	id   job.RunID
	born uint64
}

// NextAhead returns the first instant that runs were recorded ahead of and that
// has not come, and whether there is one.
func (s *State) NextAhead() (at time.Time, ok bool) {
	a := &s.fsm.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	first := int64(math.MaxInt64)
	for at := range a.runs {
		first = min(first, at)
	}
	return timeOf(first), len(a.runs) > 0
}

// BeginAhead has all runs begin that were recorded ahead of instants up to at, and
// returns them. It may be repeated for the last instant that it was called for.
func (s *State) BeginAhead(ctx context.Context, at time.Time) ([]job.RunID, error) {
	r, err := s.propose(ctx, &wire.BeginAhead{At: nanos(at)})
	if err != nil {
		return nil, err
	}
	begun := make([]job.RunID, len(r.begun))
	for i, b := range r.begun {
		begun[i] = b.id
	}
	return begun, nil
}

// MayFireAhead reports whether f can be recorded ahead of its instant, as far as f
// itself says: see Firing.Ahead.
func (s *State) MayFireAhead(f *Firing) bool {
	if len(f.Runs) != 1 || len(f.Skipped) > 0 || f.Heard != nil || f.Runs[0].Run.Key != "" || !s.allKnow(2) {
		return false
	}
	size := 0
	for _, chunk := range f.Runs[0].Chunks {
		size += len(chunk) + 2*binary.MaxVarintLen64
	}
	return len(f.Runs[0].Chunks) < shortItems && size < shortBytes
}

func (tx *change) beginAhead(c *wire.BeginAhead) (result, error) {
	if c.At <= tx.came {
		if c.At == tx.came {
			return result{begun: tx.begunAhead()}, nil
		}
		return result{}, nil
	}
	due := tx.aheadOf(c.At)
	begun := make([]begunRun, 0, len(due))
	tx.news = slices.Grow(tx.news, len(due))
	for _, run := range due {
		st, err := tx.status(run.id)
		if err != nil {
			return result{}, err
		}
		if isRun(st) && st.Born == run.born && tx.early(st) && st.Ahead <= c.At {
			tx.show(job.Change{
				Of: job.RunChanged, What: job.RunBegun, Run: run.id, Namespace: st.Namespace, Job: st.Job, State: st.State.String(),
			})
			begun = append(begun, begunRun{run.id, st})
		}
	}
	tx.came, tx.begun = c.At, begun
	return result{begun: begun}, tx.batch.Put(cameKey, binary.BigEndian.AppendUint64(nil, uint64(c.At)))
}

// begunAhead returns what has begun with the last instant that has come.
func (tx *change) begunAhead() []begunRun {
	if tx.came != tx.f.ahead.came {
		return tx.begun
	}
	return tx.f.ahead.begun
}

// early reports whether a run was recorded ahead of an instant that has not come.
func (tx *change) early(st *wire.RunStatus) bool { return st.Ahead > tx.came && !st.State.Done() }

// aheadOf returns the runs that were recorded ahead of instants up to at, and maybe
// some that are not any more.
func (tx *change) aheadOf(at int64) (all []aheadRun) {
	a := &tx.f.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, instant := range slices.Sorted(maps.Keys(a.runs)) {
		if instant <= at {
			all = append(all, a.runs[instant]...)
		}
	}
	return append(all, tx.ahead...)
}

// isAhead notes that a run was recorded ahead, and what its job was before that,
// so that it can be withdrawn.
func (tx *change) isAhead(js, was *wire.JobStatus, run begunRun) {
	tx.ahead = append(tx.ahead, aheadRun{run.id, run.status.Born})
	js.Ahead, js.WasCursor, js.WasWake, js.WasLast = run.status.Ahead, was.Cursor, was.Wake, was.Last
}

// withdraw takes back that a fire of a job was recorded, if it was ahead of an
// instant that has not come: it is open again.
func (tx *change) withdraw(j jobName, js *wire.JobStatus) error {
	at, id := js.Ahead, js.Last
	if at == 0 {
		return nil
	}
	cursor, wake, last := js.WasCursor, js.WasWake, js.WasLast
	stays(js)
	if at <= tx.came {
		return nil
	}
	st, err := tx.status(id)
	if err == nil && (!isRun(st) || !tx.early(st)) {
		err = fmt.Errorf("state: run %q was recorded ahead and is not there: %w", id, store.ErrCorrupt)
	}
	if err != nil {
		return err
	}
	js.Over(id)
	js.Runs--
	js.Seq++ // what somebody is about to settle comes after what is taken back
	js.Done, js.Ended, js.Cursor, js.Last = 0, false, cursor, last
	if err := errors.Join(
		tx.wakeAt(j.namespace, j.name, js, wake),
		tx.batch.Delete(unfinishedKey(id)),
		tx.dropCreated(id, st),
		tx.dropHistory(id, st),
	); err != nil {
		return err
	}
	_, err = tx.dropJournal(id, st, 0)
	return err
}

// stays forgets that the last fire of a job was recorded ahead: it is settled.
func stays(js *wire.JobStatus) {
	js.Ahead, js.WasCursor, js.WasWake, js.WasLast = 0, 0, 0, ""
}

// goAhead takes in what a change has come to.
func (tx *change) goAhead() {
	a := &tx.f.ahead
	if tx.came != a.came {
		a.came, a.begun = tx.came, tx.begun
	} else if len(tx.ahead) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, run := range tx.ahead {
		if st := tx.dirty[run.id]; isRun(st) && st.Born == run.born && st.Ahead > a.came {
			a.runs[st.Ahead] = append(a.runs[st.Ahead], run)
		}
	}
	maps.DeleteFunc(a.runs, func(at int64, _ []aheadRun) bool { return at <= a.came })
}

// load reads which runs were recorded ahead, of those that go on.
func (a *ahead) load(g getter, live map[job.RunID]*wire.RunStatus) (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun, a.runs = nil, map[int64][]aheadRun{}
	if a.came, err = readCame(g); err != nil {
		return err
	}
	for id, st := range live {
		if st.Ahead > a.came {
			a.runs[st.Ahead] = append(a.runs[st.Ahead], aheadRun{id, st.Born})
		}
	}
	for _, runs := range a.runs {
		slices.SortFunc(runs, func(x, y aheadRun) int { return cmp.Compare(x.born, y.born) })
	}
	return nil
}

func readCame(g getter) (int64, error) {
	b, err := g.Get(cameKey)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("state: the instant that has come has %d bytes: %w", len(b), store.ErrCorrupt)
	}
	if err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// asSeen returns the status of a run as readers see it: one that was recorded ahead
// waits for its time.
func asSeen(g getter, st *wire.RunStatus) (*wire.RunStatus, error) {
	if st == nil || st.Ahead == 0 {
		return st, nil
	}
	came, err := readCame(g)
	return asSeenAt(came, st), err
}

// asSeenAt is asSeen if the last instant that has come is known.
func asSeenAt(came int64, st *wire.RunStatus) *wire.RunStatus {
	if st.Ahead <= came || st.State.Done() {
		return st
	}
	waits := *st
	waits.State, waits.Waits, waits.NotBefore = job.Pending, wire.WaitsForTime, instantOf(st.Ahead)
	waits.Master, waits.Epoch = "", 0
	return &waits
}

// instantOf returns the instant of what was recorded ahead of it, or of a part of it.
func instantOf(ahead int64) int64 { return ahead - ahead%int64(time.Microsecond) }
