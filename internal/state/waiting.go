package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Runs that wait are on the disk only. Those that wait for a master are in
// lines, those that are not due yet in the order of time, and how many wait is
// counted as they come and go.

// Waiting is a run that has not begun, at its place in the order.
type Waiting struct {
	ID             job.RunID
	Namespace, Job string
	Line           string // that of its keys, of a run that waits for a master
	Priority       int
	Created        time.Time
	NotBefore      time.Time // zero for one that never waited for a time
}

// Limits bounds how many runs may wait for a master. Zero means any number.
type Limits struct {
	Job     int // of the run's job
	Cluster int // of all jobs together
}

// Due returns at most limit of the runs that wait for a time that has come by
// now, the earliest first. They are begun by Assign, or join those that wait
// for a master by Admit.
func (s *State) Due(now time.Time, limit int) ([]Waiting, error) {
	return s.waitingForTime(limit, func(w *Waiting) bool { return !w.NotBefore.After(now) })
}

// NextDue returns when the next of the runs that wait for a time is due, and
// whether there is one.
func (s *State) NextDue() (at time.Time, ok bool, err error) {
	w, err := s.waitingForTime(1, func(*Waiting) bool { return true })
	if err != nil || len(w) == 0 {
		return at, false, err
	}
	return w[0].NotBefore, true, nil
}

// Queued returns how many runs wait for a master, of one job and of all. It
// costs nothing to speak of while none do.
func (s *State) Queued(namespace, name string) (ofJob, all int, err error) {
	if !s.fsm.obstacles.anyQueued() {
		return 0, 0, nil
	}
	v, err := s.view()
	if err != nil {
		return 0, 0, err
	}
	defer v.Close()
	one, err := readCount(v, queuedKey(namespace, name))
	if err != nil {
		return 0, 0, err
	}
	sum, err := readCount(v, allQueuedKey)
	return int(one), int(sum), err
}

// Admit lets runs that wait for a time wait for a master instead, whether the
// time has come or not. One that does not wait for a time is left as it is, so
// it may be repeated. An error says that it happened to some of them only.
func (s *State) Admit(ctx context.Context, ids ...job.RunID) error {
	for _, id := range ids {
		if err := checkName("run", string(id)); err != nil {
			return err
		}
	}
	return s.steps(ctx, len(ids), func(i int) wire.Command { return &wire.AdmitRun{Run: ids[i]} })
}

func (tx *change) admit(c *wire.AdmitRun) (result, error) {
	old, r, err := tx.existing(c.Run)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.Waits != wire.WaitsForTime {
		return result{status: old}, nil
	}
	st := *old
	if err := errors.Join(tx.leave(c.Run, &st), tx.wait(c.Run, &st, wire.WaitsForMaster)); err != nil {
		return result{}, err
	}
	return tx.update(c.Run, &st)
}

// room refuses a run that would have to wait behind more than it may.
func (tx *change) room(c *wire.CreateRun) (result, error) {
	ofJob, err := tx.count(queuedKey(c.Namespace, c.Job), 0)
	if err != nil {
		return result{}, err
	}
	all, err := tx.count(allQueuedKey, 0)
	if err != nil {
		return result{}, err
	}
	switch {
	case c.MaxQueued > 0 && ofJob >= c.MaxQueued:
		return refuse(ErrOverloaded, "%d runs of job %s/%s wait, the limit of the job is %d", ofJob, c.Namespace, c.Job, c.MaxQueued)
	case c.MaxQueuedAll > 0 && all >= c.MaxQueuedAll:
		return refuse(ErrOverloaded, "%d runs wait, the limit of the cluster is %d", all, c.MaxQueuedAll)
	}
	return result{}, nil
}

// wait puts a run among those that wait for what.
func (tx *change) wait(id job.RunID, st *wire.RunStatus, what wire.Waits) error {
	st.Waits = what
	if what == wire.WaitsForTime {
		head := binary.BigEndian.AppendUint64(ranked(st.Priority), ordered(st.Created))
		key := dueKey(id, st.NotBefore)
		tx.placed = append(tx.placed, placed{key[:1], key})
		return tx.batch.Put(key, head, named('n', st.Namespace, st.Job)[1:])
	}
	line := lineKey('x', st.Priority, st.Namespace, st.Job, st.Line)
	key := placeKey(line, id, st.Created)
	tx.placed = append(tx.placed, placed{line, key})
	return errors.Join(
		tx.batch.Put(key, binary.BigEndian.AppendUint64(nil, ordered(st.NotBefore))),
		tx.queued(st, 1),
	)
}

// leave takes a run out of those that wait, if it is among them.
func (tx *change) leave(id job.RunID, st *wire.RunStatus) error {
	was := st.Waits
	st.Waits = wire.WaitsForNothing
	switch was {
	case wire.WaitsForTime:
		return tx.batch.Delete(dueKey(id, st.NotBefore))
	case wire.WaitsForMaster:
		return errors.Join(tx.batch.Delete(placeKey(lineKey('x', st.Priority, st.Namespace, st.Job, st.Line), id, st.Created)), tx.queued(st, -1))
	}
	return nil
}

func (tx *change) queued(st *wire.RunStatus, by int64) error {
	_, one := tx.count(queuedKey(st.Namespace, st.Job), by)
	_, all := tx.count(allQueuedKey, by)
	_, line := tx.count(lineKey('X', st.Priority, st.Namespace, st.Job, st.Line), by)
	return errors.Join(one, all, line)
}

// waitingForTime returns at most limit of the runs that wait for a time, the earliest
// first, as far as due says.
func (s *State) waitingForTime(limit int, due func(*Waiting) bool) ([]Waiting, error) {
	if limit <= 0 {
		limit = 100
	}
	epoch, prefix := s.fsm.timed.open(), []byte("d")
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var got []Waiting
	for p, err := range s.fsm.timed.scan(v, epoch, prefix) {
		if err != nil {
			return nil, err
		}
		w, err := decodeWaiting(p)
		if err != nil {
			return nil, err
		}
		if !due(&w) {
			break
		}
		if got = append(got, w); len(got) == limit {
			break
		}
	}
	return got, nil
}

func decodeWaiting(p store.Pair) (Waiting, error) {
	damaged := fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
	k, v := p.Key[1:], p.Value
	if len(k) <= 9 || len(v) < 11 {
		return Waiting{}, damaged
	}
	ns, rest, ok := bytes.Cut(v[9:], []byte{0})
	if !ok || len(rest) == 0 {
		return Waiting{}, damaged
	}
	return Waiting{
		ID: job.RunID(k[8 : len(k)-1]), Namespace: string(ns), Job: string(rest[:len(rest)-1]),
		Priority: job.MaxPriority - int(v[0]), Created: timeOf(disordered(v[1:])), NotBefore: timeOf(disordered(k)),
	}, nil
}
