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

// Runs that wait are on the disk only. Those that wait for a master are in the
// order in which they begin, those that are not due yet in the order of time,
// and how many wait is counted as they come and go.

// Waiting is a run that has not begun, at its place in the order.
type Waiting struct {
	ID             job.RunID
	Namespace, Job string
	Priority       int
	Created        time.Time
	NotBefore      time.Time // zero for one that never waited for a time
}

// Limits bounds how many runs may wait for a master. Zero means any number.
type Limits struct {
	Job     int // of the run's job
	Cluster int // of all jobs together
}

// Pending returns at most limit of the runs that wait for a master, in the
// order in which they should begin: the higher priority first, then the older
// one, then by ID. It goes on behind after, of which the zero value is the
// beginning, and leaves out those that skip reports, if it is given; passing
// over a run is cheap. A limit of zero or less means 100.
func (s *State) Pending(after Waiting, limit int, skip func(namespace, job string) bool) ([]Waiting, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var from []byte
	if after.ID != "" {
		from = append(pendingKey(after.ID, after.Priority, after.Created.UnixNano()), 0)
	}
	return waiting(v, 'p', from, limit, func(w *Waiting) (take, more bool) {
		return skip == nil || !skip(w.Namespace, w.Job), true
	})
}

// Due returns at most limit of the runs that wait for a time that has come by
// now, the earliest first. They are begun by Assign, or join those that wait
// for a master by Admit.
func (s *State) Due(now time.Time, limit int) ([]Waiting, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return waiting(v, 'd', nil, limit, func(w *Waiting) (take, more bool) {
		due := !w.NotBefore.After(now)
		return due, due
	})
}

// NextDue returns when the next of the runs that wait for a time is due, and
// whether there is one.
func (s *State) NextDue() (at time.Time, ok bool, err error) {
	v, err := s.view()
	if err != nil {
		return at, false, err
	}
	defer v.Close()
	w, err := waiting(v, 'd', nil, 1, func(*Waiting) (take, more bool) { return true, true })
	if err != nil || len(w) == 0 {
		return at, false, err
	}
	return w[0].NotBefore, true, nil
}

// Queued returns how many runs wait for a master, of one job and of all.
func (s *State) Queued(namespace, name string) (ofJob, all int, err error) {
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
	names := named('n', st.Namespace, st.Job)[1:]
	if what == wire.WaitsForTime {
		head := binary.BigEndian.AppendUint64(ranked(st.Priority), ordered(st.Created))
		return tx.batch.Put(dueKey(id, st.NotBefore), head, names)
	}
	return errors.Join(
		tx.batch.Put(pendingKey(id, st.Priority, st.Created), binary.BigEndian.AppendUint64(nil, ordered(st.NotBefore)), names),
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
		return errors.Join(tx.batch.Delete(pendingKey(id, st.Priority, st.Created)), tx.queued(st, -1))
	}
	return nil
}

func (tx *change) queued(st *wire.RunStatus, by int64) error {
	_, one := tx.count(queuedKey(st.Namespace, st.Job), by)
	_, all := tx.count(allQueuedKey, by)
	return errors.Join(one, all)
}

// waiting reads the index of the given kind from a key on, as far as pick says.
func waiting(v *store.Snapshot, kind byte, from []byte, limit int, pick func(*Waiting) (take, more bool)) ([]Waiting, error) {
	if limit <= 0 {
		limit = 100
	}
	var got []Waiting
	for p, err := range v.ScanFrom([]byte{kind}, from) {
		if err != nil {
			return nil, err
		}
		w, err := decodeWaiting(p)
		if err != nil {
			return nil, err
		}
		take, more := pick(&w)
		if take {
			got = append(got, w)
		}
		if !more || len(got) == limit {
			break
		}
	}
	return got, nil
}

func decodeWaiting(p store.Pair) (Waiting, error) {
	damaged := func() (Waiting, error) {
		return Waiting{}, fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
	}
	var w Waiting
	// The place is in the key and the rest in the value, one way or the other.
	var priority, created, notBefore, names []byte
	switch k, v := p.Key[1:], p.Value; {
	case p.Key[0] == 'p' && len(k) > 10 && len(v) >= 10:
		priority, created, w.ID = k[:1], k[1:9], job.RunID(k[9:len(k)-1])
		notBefore, names = v[:8], v[8:]
	case p.Key[0] == 'd' && len(k) > 9 && len(v) >= 11:
		notBefore, w.ID = k[:8], job.RunID(k[8:len(k)-1])
		priority, created, names = v[:1], v[1:9], v[9:]
	default:
		return damaged()
	}
	ns, rest, ok := bytes.Cut(names, []byte{0})
	if !ok || len(rest) == 0 {
		return damaged()
	}
	w.Namespace, w.Job = string(ns), string(rest[:len(rest)-1])
	w.Priority = job.MaxPriority - int(priority[0])
	w.Created = timeOf(disordered(created))
	w.NotBefore = timeOf(disordered(notBefore))
	return w, nil
}
