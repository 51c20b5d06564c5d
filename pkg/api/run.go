package api

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Run is one execution of a job.
type Run struct {
	ID        job.RunID `json:"id" example:"default/nightly@20260329T030000Z" doc:"Namespace, job, and what tells the run from the job's others."`
	Namespace string    `json:"namespace"`
	Job       string    `json:"job"`
	Name      string    `json:"name" example:"nightly@20260329T030000Z" doc:"The ID without the namespace, which is what the paths of the API have."`
	Processor string    `json:"processor"`
	Mode      string    `json:"mode"`
	Revision  uint64    `json:"revision,omitempty" doc:"The revision of the job that it is a run of, if that is declared."`

	State        string `json:"state" enum:"pending,running,succeeded,failed,canceled"`
	Reason       string `json:"reason,omitempty" doc:"Why it is in this state, or what it waits for."`
	CancelReason string `json:"cancel_reason,omitempty" doc:"Set once somebody has asked for the run to end early."`
	Origin       string `json:"origin,omitempty" doc:"Why there is the run. Empty means that somebody submitted it."`

	Fire       time.Time `json:"fire" doc:"When it was due, or submitted."`
	Created    time.Time `json:"created"`
	Finished   time.Time `json:"finished,omitzero"`
	NotBefore  time.Time `json:"not_before,omitzero" doc:"When it may begin."`
	Missed     int       `json:"missed,omitempty" doc:"How many missed fires it stands for."`
	MissedFrom time.Time `json:"missed_from,omitzero"`

	Tags     []string          `json:"tags,omitempty" doc:"Those of its job, and those that the caller added."`
	Key      string            `json:"key,omitempty" doc:"What the caller named the run by."`
	LimitKey string            `json:"limit_key,omitempty"`
	Extra    map[string]string `json:"extra,omitempty" doc:"What the caller passed to every task."`
	Params   string            `json:"params,omitempty"`

	Of      job.RunID `json:"of,omitempty" doc:"The run that this one tries again, the first of the row."`
	Attempt int       `json:"attempt,omitempty" doc:"The place in that row, from 1."`

	Master   string   `json:"master,omitempty" doc:"The ID of the node that conducts it."`
	Epoch    uint64   `json:"epoch,omitempty" doc:"Grows with each master."`
	Progress Progress `json:"progress" doc:"Where the run stands. Where runs are listed it is as of the end of the run."`

	History []Happening `json:"history,omitempty" doc:"What happened to the run, oldest first. Left out where runs are listed."`
}

// Progress counts the tasks of a run: see job.Progress.
type Progress struct {
	Tasks     int            `json:"tasks" doc:"How many there are so far."`
	Done      int            `json:"done" doc:"How many succeeded."`
	Failed    int            `json:"failed" doc:"How many failed for good."`
	Running   int            `json:"running" doc:"How many are placed on a member now."`
	Attempts  int            `json:"attempts" doc:"How many attempts ended."`
	Phase     string         `json:"phase,omitempty" doc:"before, map or reduce."`
	Waiting   string         `json:"waiting,omitempty" doc:"Why tasks that could run are not placed."`
	Permanent bool           `json:"permanent,omitempty" doc:"It failed because of a task that said that it would fail again."`
	Members   map[string]int `json:"members,omitempty" doc:"How many tasks each member completed, by its ID."`
}

// Happening is something that happened to a run.
type Happening struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// RunOf returns a run as it is said over HTTP.
func RunOf(r *job.Run) Run {
	out := Run{
		ID: r.ID, Namespace: r.ID.Namespace(), Job: r.ID.Job(), Name: RunName(r.ID), Processor: r.Spec.Processor, Mode: r.Spec.Mode.String(),
		Revision: r.Revision, State: r.State.String(), Reason: r.Reason, CancelReason: r.CancelReason, Origin: string(r.Origin),
		Fire: r.Fire, Created: r.Created, Finished: r.Finished, NotBefore: r.NotBefore, Missed: r.Missed, MissedFrom: r.MissedFrom,
		Tags: r.Spec.Tags, Key: r.Key, LimitKey: r.LimitKey, Extra: r.Extra, Params: r.Spec.Params, Of: r.Of, Attempt: r.Attempt,
		Master: r.Master, Epoch: r.Epoch, Progress: ProgressOf(&r.Progress),
	}
	for _, h := range r.History {
		out.History = append(out.History, Happening(h))
	}
	return out
}

// ProgressOf returns where a run stands as it is said over HTTP.
func ProgressOf(p *job.Progress) Progress { return Progress(*p) }

// RunName returns the part of a run's ID behind the namespace.
func RunName(id job.RunID) string {
	if ns := id.Namespace(); len(ns) < len(id) {
		return string(id[len(ns)+1:])
	}
	return string(id)
}

// Runs is a page of runs.
type Runs struct {
	Runs []Run `json:"runs"`
	Page
}

// RunNow asks for a run of a declared job.
type RunNow struct {
	Params   string            `json:"params,omitempty" maxLength:"65536" doc:"In place of the job's params, for this run. Empty leaves those."`
	Delay    Duration          `json:"delay,omitempty" doc:"How long the run waits before it begins."`
	At       time.Time         `json:"at,omitzero" doc:"When it begins, in place of a delay."`
	Key      string            `json:"key,omitempty" maxLength:"512" doc:"Names the run: while it lives, whoever asks for a run of the job with the key gets this one."`
	KeyFor   Duration          `json:"key_for,omitempty" doc:"How long the key stays taken, at least."`
	LimitKey string            `json:"limit_key,omitempty" maxLength:"512" doc:"What limits by key tell the run apart by."`
	Extra    map[string]string `json:"extra,omitempty" doc:"Passed to every task."`
	Tags     []string          `json:"tags,omitempty" maxItems:"16" maxLength:"64" doc:"Added to the tags of the job, for this run."`
}

// Submit asks for a run of a job that is not declared.
type Submit struct {
	Spec Spec `json:"spec"`
	RunNow
}

// RetryRun asks for the next attempt of a run.
type RetryRun struct {
	All bool `json:"all,omitempty" doc:"All tasks, not only those that did not succeed."`
}
