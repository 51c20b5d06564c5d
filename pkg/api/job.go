package api

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Job is a job as the cluster keeps it.
type Job struct {
	Spec     Spec      `json:"spec"`
	Revision uint64    `json:"revision" doc:"Counts the changes of the spec, from 1. It is the ETag too."`
	Saved    time.Time `json:"saved" doc:"When this revision took effect."`
	Fires    Fires     `json:"fires" doc:"What became of its trigger."`
	Unshown  bool      `json:"values_unshown,omitempty" doc:"The input has values that are left out of the spec: this is a list, or JSON has no word for them."`
	Missing  []string  `json:"missing,omitempty" doc:"The jobs that it is due after and that are not declared. Left out where jobs are listed."`
}

// Fires is what became of a job's trigger: see job.Fires.
type Fires struct {
	Next      time.Time      `json:"next,omitzero" doc:"When it is due next, or looked at next. Left out for a moment after a change."`
	Ended     bool           `json:"ended,omitempty" doc:"There will be no fires any more."`
	Paused    bool           `json:"paused,omitempty" doc:"No runs begin until it is resumed."`
	PausedFor string         `json:"paused_for,omitempty" doc:"Why it is paused, if somebody said so."`
	Runs      int            `json:"runs" doc:"How many runs the trigger has made."`
	Active    []job.RunID    `json:"active,omitempty" doc:"Those of them that are not over."`
	Last      job.RunID      `json:"last,omitempty" doc:"The latest of them."`
	Skipped   map[string]int `json:"skipped,omitempty" doc:"How many fires made no run, by cause."`
	Recent    []job.Skipped  `json:"recent,omitempty" doc:"The latest fires that made no run."`
	Waiting   int            `json:"waiting,omitempty" doc:"How many things that it listens to are kept and made no run yet."`
	Refused   map[string]int `json:"refused,omitempty" doc:"How many of those were not counted, by why."`
}

// JobOf returns a declared job as it is said over HTTP.
func JobOf(d *job.Declared) Job {
	f := &d.Fires
	next := f.Wake
	if !next.After(d.Saved) { // nobody has worked it out yet
		next = time.Time{}
	}
	spec := SpecOf(&d.Spec)
	if !spec.Input.Sayable() {
		spec.Input.Values = nil
	}
	return Job{
		Spec: spec, Unshown: d.Inline && spec.Input.Values == nil, Revision: d.Revision, Saved: d.Saved, Missing: d.Missing,
		Fires: Fires{
			Next: next, Ended: f.Ended, Paused: f.Paused(), PausedFor: f.PausedFor,
			Runs: f.Runs, Active: f.Active, Last: f.Last, Skipped: f.Skipped, Recent: f.Recent, Waiting: f.Waiting, Refused: f.Refused,
		},
	}
}

// Jobs is a page of jobs in the order of their names.
type Jobs struct {
	Jobs []Job `json:"jobs"`
	Page
}

// Revision is what a job was declared as for a time.
type Revision struct {
	Revision uint64    `json:"revision"`
	Saved    time.Time `json:"saved" doc:"When it took effect."`
	Spec     Spec      `json:"spec" doc:"The job, without the values of its input."`
}

// Revisions is what a job has been declared as, the present revision first.
type Revisions struct {
	Revisions []Revision `json:"revisions"`
}

// Specs is jobs to declare, or declared ones.
type Specs struct {
	Jobs []Spec `json:"jobs" maxItems:"1000"`
}

// Imported is what became of each of several jobs, in their order.
type Imported struct {
	Jobs []ImportedJob `json:"jobs"`
}

// ImportedJob is what became of one.
type ImportedJob struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Revision  uint64   `json:"revision,omitempty" doc:"The revision that it is at."`
	Changed   bool     `json:"changed" doc:"It was not declared like that before."`
	Problem   *Problem `json:"problem,omitempty" doc:"Why it was not declared."`
}

// NextFires is the next fires of a job or a schedule.
type NextFires struct {
	Describe string             `json:"describe,omitempty" doc:"The trigger in words."`
	Fires    []trigger.Upcoming `json:"fires"`
}

// Validated says that a spec can be declared, and when it would be due.
type Validated struct {
	Spec     Spec               `json:"spec" doc:"The spec with its names filled in."`
	Describe string             `json:"describe,omitempty" doc:"The trigger in words."`
	Fires    []trigger.Upcoming `json:"fires" doc:"Its next fires, if it were declared now."`
}

// Preview asks when a schedule is due.
type Preview struct {
	Schedule Schedule  `json:"schedule"`
	After    time.Time `json:"after,omitzero" doc:"The instant before the first fire. Left out it is now."`
	N        int       `json:"n,omitempty" minimum:"1" maximum:"1000" doc:"How many fires. Left out it is 10."`
}

// Reason is why somebody does something, for those who look later.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// Backfill asks for runs for the past fires of a job.
type Backfill struct {
	From  time.Time `json:"from" doc:"The first instant."`
	Until time.Time `json:"until" doc:"The instant after the last."`
}

// Backfilled is how many runs were made, at most 1000 at a time.
type Backfilled struct {
	Made int       `json:"made"`
	Rest time.Time `json:"rest,omitzero" doc:"Where to go on. Left out if all are made."`
}
