package api

import (
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Bulk asks for one verb to be carried out on many runs or jobs of a namespace.
type Bulk struct {
	Verb job.Verb `json:"verb" enum:"cancel,stop,retry,retry-all,pause,resume,delete" doc:"What is done: cancel, stop, retry or retry-all to runs; pause, resume or delete, which takes a developer, to jobs."`
	Runs []string `json:"runs,omitempty" maxItems:"10000" doc:"The IDs of the runs that are meant, with or without the namespace."`
	Jobs []string `json:"jobs,omitempty" maxItems:"10000" doc:"The names of the jobs that are meant."`
	Filter
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for those who look at the runs later."`
}

// Filter says which runs are meant, where none are named.
type Filter struct {
	Job    string    `json:"job,omitempty" maxLength:"100" doc:"Only runs of this job."`
	States []string  `json:"states,omitempty" enum:"pending,running,succeeded,failed,canceled" doc:"Only runs in one of these states. None means those that the verb is for: pending and running to be ended; failed and canceled, without a next attempt, to be retried."`
	Key    string    `json:"key,omitempty" maxLength:"512" doc:"Only runs that the caller named so."`
	From   time.Time `json:"from,omitzero" doc:"Only runs created at this instant or later."`
	Until  time.Time `json:"until,omitzero" doc:"Only runs created before this instant."`
}

// In returns b as it is meant for a namespace.
func (b *Bulk) In(namespace string) (job.Bulk, error) {
	out := job.Bulk{
		Namespace: namespace, Verb: b.Verb, Jobs: b.Jobs, Job: b.Job, Key: b.Key, From: b.From, Until: b.Until, Reason: b.Reason,
	}
	for _, id := range b.Runs {
		if !strings.Contains(id, "/") {
			id = namespace + "/" + id
		}
		out.Runs = append(out.Runs, job.RunID(id))
	}
	for _, name := range b.States {
		s, err := job.ParseState(name)
		if err != nil {
			return out, err
		}
		out.States = append(out.States, s)
	}
	return out, nil
}

// Meant is how many runs or jobs a bulk means.
type Meant struct {
	Count int `json:"count" doc:"How many it means at present. Those that are named count as they are."`
}

// Operation is a bulk that is carried out in the background.
type Operation struct {
	ID        string   `json:"id" example:"20260329T030000Z-cancel-k5rtmzq2" doc:"Names it in its namespace."`
	Namespace string   `json:"namespace"`
	Verb      job.Verb `json:"verb"`
	Selected  int      `json:"selected,omitempty" doc:"How many runs or jobs it names. Left out if a filter says which are meant."`
	Filter
	Reason string `json:"reason,omitempty" doc:"Why somebody asked for it."`
	By     string `json:"by,omitempty" doc:"Who that was."`

	State     job.OperationState `json:"state" enum:"running,done,canceled,failed"`
	EndReason string             `json:"end_reason,omitempty" doc:"Why it was canceled or has failed."`
	Done      int                `json:"done" doc:"How many the verb was carried out on so far, those included that were already as it would have them."`
	Refused   int                `json:"refused" doc:"How many it could not be carried out on."`
	Refusals  []job.Refusal      `json:"refusals,omitempty" doc:"The first of those, and why. Left out where operations are listed."`
	Reached   string             `json:"reached,omitempty" doc:"The last run that it is through with or, of those named, how many."`
	Steps     int                `json:"steps" doc:"In how many steps that was."`
	Created   time.Time          `json:"created"`
	Ended     time.Time          `json:"ended,omitzero"`
}

// OperationOf returns an operation as it is said over HTTP.
func OperationOf(o *job.Operation) Operation {
	out := Operation{
		ID: o.ID, Namespace: o.Bulk.Namespace, Verb: o.Bulk.Verb, Selected: o.Selected,
		Filter: Filter{Job: o.Bulk.Job, Key: o.Bulk.Key, From: o.Bulk.From, Until: o.Bulk.Until},
		Reason: o.Bulk.Reason, By: o.Bulk.By, State: o.State, EndReason: o.Reason, Done: o.Done, Refused: o.Refused,
		Refusals: slices.Clone(o.Refusals), Reached: o.Reached, Steps: o.Steps, Created: o.Created, Ended: o.Ended,
	}
	for _, s := range o.Bulk.States {
		out.States = append(out.States, s.String())
	}
	return out
}

// Operations is a page of operations.
type Operations struct {
	Operations []Operation `json:"operations"`
	Page
}
