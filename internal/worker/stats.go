package worker

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Stats is what a worker is doing.
type Stats struct {
	// Slots is how many attempts may execute at a time, Running how many do.
	Slots, Running int
	// Queued is how many tasks wait.
	Queued int
	// Abandoned is how many attempts ignored that they were cancelled and have
	// not returned. Each holds a goroutine that nobody can end. Strays names
	// them.
	Abandoned int
	Strays    []job.AttemptID
	Totals
	Runs map[job.RunID]RunStats
}

// Totals counts attempts by how they ended. Those that panicked, or called
// runtime.Goexit, are among those that failed. Refused ones are not counted.
type Totals struct {
	Done, Failed, Panics int64
}

// RunStats is what a worker does for one run.
type RunStats struct {
	Epoch      uint64
	Queued     int
	Unreported int // outcomes that wait for the host
	Window     int
	Totals                    // of all epochs, since the worker first saw the run
	Running    []AttemptStats // in no order
}

// AttemptStats is one attempt that executes.
type AttemptStats struct {
	Task    job.TaskID
	Attempt int
	Began   time.Time
	// Progress and Total are what the processor told last of how far it is.
	Progress, Total int64
	// Canceled says why the attempt was cancelled. Nil means that it was not.
	Canceled error
}

// Stats returns what the worker is doing.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Stats{
		Slots: w.cfg.Slots, Running: w.running, Queued: w.queued, Abandoned: len(w.strays), Totals: w.total,
		Runs: make(map[job.RunID]RunStats, w.runs.Len()),
	}
	for a := range w.strays {
		s.Strays = append(s.Strays, a.id())
	}
	for id, r := range w.runs.All() {
		rs := RunStats{Epoch: r.epoch, Queued: r.queued, Unreported: len(r.unreported), Window: w.windowLocked(r), Totals: r.total}
		for _, a := range r.active {
			rs.Running = append(rs.Running, AttemptStats{
				Task: a.what.ID, Attempt: a.what.Attempt, Began: a.began,
				Progress: a.done.Load(), Total: a.of.Load(), Canceled: a.cause,
			})
		}
		s.Runs[id] = rs
	}
	return s
}
