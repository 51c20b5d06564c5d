package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

// Runs that have ended are listed by their job in the order in which they did,
// so that the oldest are found when there are too many, and by that time alone
// until their journals are compacted.

// Ended is a run that has ended, at its place in the order.
type Ended struct {
	ID    job.RunID
	At    time.Time
	State job.State
	// Retain is how long the run is to be kept. Unless it Keeps that only its
	// spec says so.
	Keeps  bool
	Retain job.Retention
}

// JobCount is how many of something a job has.
type JobCount struct {
	Namespace, Job string
	N              int
}

// Finished returns at most limit of a job's runs that have ended, the first to
// end first. It goes on behind after, of which the zero value is the
// beginning. A limit of zero or less means 100.
func (s *State) Finished(namespace, name string, after Ended, limit int) ([]Ended, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var from []byte
	if after.ID != "" {
		from = append(endedKey(namespace, name, after.ID, after.At.UnixNano()), 0)
		own, err := readOwnStatus(v, after.ID)
		if err != nil {
			return nil, err
		}
		if lot, _, ok := lotOf(after.ID); ok && own == nil { // it is listed with those that ended together with it
			from = endedKey(namespace, name, lot, after.At.UnixNano())
		}
	}
	return ended(v, named('e', namespace, name), from, after, limit)
}

// Uncompacted returns at most limit of the runs that have ended and for which
// Compacted was not called, the first to end first. A limit of zero or less
// means 100.
func (s *State) Uncompacted(limit int) ([]Ended, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return ended(v, []byte("w"), nil, Ended{}, limit)
}

// ended reads an index whose keys have a time and a run behind prefix, without the
// keys before from, and without after and those before it that ended together with
// it in a lot.
func ended(v *store.Snapshot, prefix, from []byte, after Ended, limit int) ([]Ended, error) {
	if limit <= 0 {
		limit = 100
	}
	var all []Ended
	for p, err := range v.ScanFrom(prefix, from) {
		if err != nil {
			return nil, err
		}
		k := p.Key[len(prefix):]
		if len(k) < 10 || len(p.Value) == 0 {
			return nil, fmt.Errorf("state: record %q of a run that has ended: %w", p.Key, store.ErrCorrupt)
		}
		e := Ended{ID: job.RunID(k[8 : len(k)-1]), At: timeOf(disordered(k)), State: job.State(p.Value[0])}
		if keeps := p.Value[1:]; len(keeps) > 0 {
			age, n := binary.Varint(keeps)
			runs, m := binary.Varint(keeps[max(n, 0):])
			if n <= 0 || m <= 0 {
				return nil, fmt.Errorf("state: record %q of a run that has ended: %w", p.Key, store.ErrCorrupt)
			}
			e.Keeps, e.Retain = true, job.Retention{Age: time.Duration(age), Runs: int(runs)}
			if seq := keeps[n+m:]; len(seq) > 0 {
				if all, err = endedInLot(v, all, e, seq, after, limit); err != nil || len(all) == limit {
					return all, err
				}
				continue
			}
		}
		all = append(all, e)
		if len(all) == limit {
			break
		}
	}
	return all, nil
}

// endedInLot adds the runs of the lot e that ended together, as entry seq of the
// lot's journal says, unless they have left it.
func endedInLot(g getter, all []Ended, e Ended, seq []byte, after Ended, limit int) ([]Ended, error) {
	lot := e.ID
	n, k := binary.Uvarint(seq)
	l, err := readOwnStatus(g, lot)
	if err == nil && (k != len(seq) || !isLot(l)) {
		err = fmt.Errorf("state: runs of lot %q that have ended: %w", lot, store.ErrCorrupt)
	}
	if err != nil {
		return nil, err
	}
	end, err := readLotEnd(g, lot, l, n)
	if err != nil {
		return nil, err
	}
	for it, err := range items(end.last) {
		if err != nil {
			return nil, err
		}
		e.ID = job.InLot(lot, int(it.n))
		if !holds(l, it.n) || e.At.Equal(after.At) && e.ID <= after.ID && strings.HasPrefix(string(after.ID), string(lot)) {
			continue
		}
		if all = append(all, e); len(all) == limit {
			break
		}
	}
	return all, nil
}

// FinishedJobs yields the jobs that have runs that have ended, with how many,
// in the order of namespace and name. An error is the last it yields.
func (s *State) FinishedJobs() iter.Seq2[JobCount, error] { return s.counts('f') }

// FinishedRuns returns how many runs of a job have ended.
func (s *State) FinishedRuns(namespace, name string) (int, error) {
	v, err := s.view()
	if err != nil {
		return 0, err
	}
	defer v.Close()
	n, err := readCount(v, finishedKey(namespace, name))
	return int(n), err
}

// QueuedJobs yields the jobs that have runs that wait for a master, with how
// many, in the order of namespace and name. An error is the last it yields.
func (s *State) QueuedJobs() iter.Seq2[JobCount, error] { return s.counts('q') }

func (s *State) counts(kind byte) iter.Seq2[JobCount, error] {
	return func(yield func(JobCount, error) bool) {
		v, err := s.view()
		if err != nil {
			yield(JobCount{}, err)
			return
		}
		defer v.Close()
		for p, err := range v.Scan([]byte{kind}) {
			var c JobCount
			if err == nil {
				c, err = decodeJobCount(p)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func decodeJobCount(p store.Pair) (JobCount, error) {
	n, err := decodeCount(p.Key, p.Value)
	names := bytes.Split(p.Key[1:], []byte{0})
	if err == nil && len(names) != 3 {
		err = fmt.Errorf("state: count %q: %w", p.Key, store.ErrCorrupt)
	}
	if err != nil {
		return JobCount{}, err
	}
	return JobCount{Namespace: string(names[0]), Job: string(names[1]), N: int(n)}, nil
}
