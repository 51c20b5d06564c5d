package worker

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

const (
	// horizon is for how long a node should have work at hand: enough to
	// bridge a slow answer of a master, little enough to be given to others
	// when the end is near.
	horizon = 200 * time.Millisecond
	// maxWindow bounds how many tasks are at stake if the node is lost.
	maxWindow = 8192
	// growth is for how many tasks an attempt that ended makes room. More has a run
	// of quick tasks up to speed after fewer answers of the disk; less draws in
	// fewer that may turn out to be slow.
	growth = 4
)

// Window returns how many tasks of the run its master may have outstanding
// here now, those that are here included. It is twice what the run may execute
// at a time, or what the node gets done of it in 200 ms beside the other runs
// that are active here if that is more, and at most 8192. It is zero once the
// worker is stopping.
//
// It grows with what has been done: each attempt that ended makes room for four
// more, so that a few quick ones at the start do not draw in a long row of slow
// ones that others could execute.
func (w *Worker) Window(id job.RunID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.windowLocked(w.runs.At(id))
}

func (w *Worker) windowLocked(r *run) int {
	if w.stopping || w.resting != nil {
		return 0
	}
	if r == nil || r.limit == 0 {
		return min(2*w.cfg.Slots, maxWindow)
	}
	least := 2 * r.limit
	if r.pace == 0 {
		return min(least, maxWindow)
	}
	active := w.busy
	if !r.busy {
		active++
	}
	// Runs that take turns share the slots, as far as each may use them.
	slots := min(float64(r.limit), float64(w.cfg.Slots)/float64(active))
	n := int64(slots * float64(horizon) / float64(r.pace))
	n = min(n, maxWindow/int64(active), int64(least)+growth*(r.total.Done+r.total.Failed))
	return min(max(int(n), least), maxWindow)
}
