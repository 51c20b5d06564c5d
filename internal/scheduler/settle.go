package scheduler

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Settlement is what becomes of the fires of a job up to a moment: the runs to
// make, the fires that make none, and how far that goes. All of it belongs
// into one step of the state, which takes it only if the job is as it was.
type Settlement struct {
	Runs    []job.Run
	Skipped []job.Skipped
	// Cursor is up to where nothing is open any more.
	Cursor time.Time
	// Wake is when to settle again. Zero means not before something happens to
	// the job.
	Wake time.Time
	// Ended says that the trigger will not be due any more.
	Ended bool
}

// Settle settles the fires of a job up to now. The runs are as the job's spec
// says, with the ID that belongs to their fire, and not planned yet.
func Settle(d *job.Declared, table *trigger.Timetable, now time.Time) Settlement {
	f := &d.Fires
	decision := table.Decide(trigger.State{
		Cursor: f.Cursor, Runs: f.Runs, PausedAt: f.PausedAt, ResumedAt: f.ResumedAt, Running: len(f.Active) > 0, EndedAt: f.EndedAt,
	}, now)
	s := Settlement{Cursor: decision.Cursor, Wake: decision.Wake, Ended: decision.Ended}
	if decision.More {
		s.Wake = now
	}
	for _, due := range decision.Runs {
		s.Runs = append(s.Runs, runOf(d, due, now))
	}
	for _, k := range decision.Skipped {
		s.Skipped = append(s.Skipped, job.Skipped{Cause: string(k.Cause), From: k.From, To: k.To, Count: k.Count, AtLeast: k.AtLeast, At: now})
	}
	return s
}

// runOf returns the run of a fire.
func runOf(d *job.Declared, due trigger.Due, now time.Time) job.Run {
	run := job.Run{
		ID: job.FireID(d.Spec.Namespace, d.Spec.Name, due.Nominal), Spec: d.Spec, Revision: d.Revision,
		Fire: due.Nominal, Created: now, Origin: due.Reason, Missed: due.Missed, MissedFrom: due.From,
	}
	if due.Start.After(now) {
		run.NotBefore = due.Start
	}
	return run
}
