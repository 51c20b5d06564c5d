package state

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/musterhq/muster/internal/store"
)

// Wake is when the trigger of a job is to be looked at.
type Wake struct {
	Namespace, Name string
	At              time.Time
}

// Wakes returns at most limit of the jobs whose trigger is to be looked at by
// now, the earliest first. A limit of zero or less means 100.
func (s *State) Wakes(now time.Time, limit int) ([]Wake, error) {
	if limit <= 0 {
		limit = 100
	}
	epoch, prefix := s.fsm.wakes.open(), []byte("W")
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return readWakes(s.fsm.wakes.scan(v, epoch, prefix), now, limit)
}

// WakesAfter is Wakes for those that come after one, by time and then by name.
func (s *State) WakesAfter(after Wake, by time.Time, limit int) ([]Wake, error) {
	if limit <= 0 {
		limit = 100
	}
	var from []byte
	if after != (Wake{}) {
		from = append(wakeKey(after.Namespace, after.Name, nanos(after.At)), 0)
	}
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return readWakes(v.ScanFrom([]byte("W"), from), by, limit)
}

// readWakes reads those up to a time.
func readWakes(scan iter.Seq2[store.Pair, error], by time.Time, limit int) (wakes []Wake, err error) {
	for p, err := range scan {
		if err != nil {
			return nil, err
		}
		w, err := wakeOf(p.Key)
		if err != nil {
			return nil, err
		}
		if w.At.After(by) {
			break
		}
		if wakes = append(wakes, w); len(wakes) == limit {
			break
		}
	}
	return wakes, nil
}

// NextWake returns when the first trigger is to be looked at, and whether one
// is.
func (s *State) NextWake() (at time.Time, ok bool, err error) {
	first, err := s.Wakes(time.Unix(0, math.MaxInt64), 1)
	if err != nil || len(first) == 0 {
		return at, false, err
	}
	return first[0].At, true, nil
}

func wakeOf(key []byte) (Wake, error) {
	if len(key) < 11 {
		return Wake{}, fmt.Errorf("state: record %q of a wake: %w", key, store.ErrCorrupt)
	}
	names := bytes.Split(key[9:], []byte{0})
	if len(names) != 3 {
		return Wake{}, fmt.Errorf("state: record %q of a wake: %w", key, store.ErrCorrupt)
	}
	return Wake{string(names[0]), string(names[1]), timeOf(disordered(key[1:]))}, nil
}
