package scheduler

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Window remembers when runs began, as far as a rate needs it: no more than
// the rate allows begin in any time of its length. Of a rate of up to sixteen
// it knows each; of a higher one it knows them to a sixteenth of the time, on
// the late side, so that what could begin does at most so much later.
type Window struct {
	marks []mark // in the order of time
}

// mark is a number of runs that began at a time.
type mark struct {
	at int64 // nanoseconds since 1970
	n  int
}

// grain is how many parts a time is cut into.
const grain = 16

// Add remembers that a run begins.
func (w *Window) Add(r job.Rate, at time.Time) {
	w.drop(r, at)
	m := mark{at.UnixNano(), 1}
	if r.N > grain {
		part := int64(r.Per) / grain
		m.at = (m.at/part + 1) * part
	}
	if last := len(w.marks) - 1; last >= 0 && w.marks[last].at >= m.at { // a clock that went back, too
		w.marks[last].n++
		return
	}
	w.marks = append(w.marks, m)
}

// Free returns when the next run may begin, which is now or before if it may
// at once.
func (w *Window) Free(r job.Rate, now time.Time) time.Time {
	w.drop(r, now)
	left := 0
	for i := len(w.marks) - 1; i >= 0; i-- {
		if left += w.marks[i].n; left >= r.N {
			return time.Unix(0, w.marks[i].at).Add(r.Per)
		}
	}
	return now
}

// Until returns from when on nothing is remembered.
func (w *Window) Until(r job.Rate) time.Time {
	if len(w.marks) == 0 {
		return time.Time{}
	}
	return time.Unix(0, w.marks[len(w.marks)-1].at).Add(r.Per)
}

// drop forgets what is too long ago to matter.
func (w *Window) drop(r job.Rate, now time.Time) {
	since, n := now.Add(-r.Per).UnixNano(), 0
	for n < len(w.marks) && w.marks[n].at <= since {
		n++
	}
	w.marks = w.marks[n:]
}

// Bytes returns the window as WindowOf reads it.
func (w *Window) Bytes() []byte {
	var b []byte
	for _, m := range w.marks {
		b = binary.AppendVarint(b, m.at)
		b = binary.AppendUvarint(b, uint64(m.n))
	}
	return b
}

// WindowOf returns the window that Bytes wrote.
func WindowOf(b []byte) (*Window, error) {
	w := new(Window)
	for len(b) > 0 {
		at, k := binary.Varint(b)
		if k <= 0 {
			return nil, errWindow
		}
		n, l := binary.Uvarint(b[k:])
		if l <= 0 {
			return nil, errWindow
		}
		w.marks, b = append(w.marks, mark{at, int(n)}), b[k+l:]
	}
	return w, nil
}

var errWindow = errors.New("scheduler: what is remembered of a rate can't be read")
