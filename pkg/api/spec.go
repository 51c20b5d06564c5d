package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Spec declares a job: see job.Spec, whose fields it has, with durations as
// text. Only Processor is required.
type Spec struct {
	Namespace string   `json:"namespace,omitempty" maxLength:"100" doc:"The namespace that owns the job. Where the path names one it need not be given, and must be the same."`
	Name      string   `json:"name,omitempty" maxLength:"100" doc:"The job's name in its namespace. Empty means the processor's."`
	Processor string   `json:"processor" minLength:"1" maxLength:"100" doc:"The name that the code is registered under." example:"wordcount"`
	Mode      string   `json:"mode,omitempty" enum:"auto,standalone,map,sharded,broadcast,mapreduce" doc:"How the processor is run. Empty means auto."`
	Params    string   `json:"params,omitempty" maxLength:"65536" doc:"Text that every task sees, by convention JSON."`
	Tags      []string `json:"tags,omitempty" maxItems:"16" maxLength:"64" doc:"Words by which the job's runs are found, without spaces and commas. They are not those of members: see placement.tags."`
	Input     Input    `json:"input,omitzero" required:"false" doc:"What the map tasks work on."`
	Output    Output   `json:"output,omitzero" required:"false" doc:"Where files that tasks create end up."`

	Schedule Schedule `json:"schedule,omitzero" required:"false" doc:"When the job is due, once it is declared."`

	Shards     int  `json:"shards,omitempty" minimum:"0" maximum:"10000000" doc:"How many tasks a sharded run has. 0 means one per worker."`
	Partitions int  `json:"partitions,omitempty" minimum:"0" maximum:"10000" doc:"How many reduce tasks a mapreduce run has. 0 means four per slot of the pool."`
	Sorted     bool `json:"sorted,omitempty" doc:"Makes the partitions of a mapreduce run ranges of keys."`

	Retry          Retry     `json:"retry,omitzero" required:"false" doc:"How often and when a failed task is tried again."`
	Repeat         Repeat    `json:"repeat,omitzero" required:"false" doc:"How often and when a failed run is tried again."`
	Tolerate       Tolerance `json:"tolerate,omitzero" required:"false" doc:"How many tasks may fail for good before the run does."`
	AttemptTimeout Duration  `json:"attempt_timeout,omitempty" doc:"Bound on one attempt. 0 means none."`
	TaskTimeout    Duration  `json:"task_timeout,omitempty" doc:"Bound on a task over all of its attempts. 0 means none."`
	RunTimeout     Duration  `json:"run_timeout,omitempty" doc:"Bound on a whole run. 0 means none."`
	NoBackups      bool      `json:"no_backups,omitempty" doc:"Turns off second attempts for tasks that are slow at the end."`

	Priority  int         `json:"priority,omitempty" minimum:"-100" maximum:"100" doc:"Which of several runs that wait begins first: the higher."`
	Weight    int         `json:"weight,omitempty" minimum:"0" maximum:"1000" doc:"How many runs begin in the job's turn. 0 means 1."`
	LimitKey  string      `json:"limit_key,omitempty" doc:"Expression on a run's input: its limit key."`
	Limits    []job.Limit `json:"limits,omitempty" maxItems:"10" doc:"How many runs go on at a time, and how often they begin."`
	MaxRuns   int         `json:"max_runs,omitempty" minimum:"0" doc:"How many runs of the job go on at a time. 0 means any number."`
	MaxQueued int         `json:"max_queued,omitempty" minimum:"0" doc:"How many runs of the job wait to begin. 0 means any number."`
	Retain    Retention   `json:"retain,omitzero" required:"false" doc:"How long finished runs are kept."`

	Concurrency int       `json:"concurrency,omitempty" minimum:"0" doc:"How many attempts of a run execute on one node at a time. 0 means its slots."`
	Placement   Placement `json:"placement,omitzero" required:"false" doc:"Which members may work on a run."`
}

// Input is what a run works on: see job.Input.
type Input struct {
	Values     []any    `json:"values,omitzero" required:"false" doc:"Inline inputs, one record each. They are left out where jobs or revisions are listed."`
	Globs      []string `json:"globs,omitempty" doc:"Names of files that every node sees, with * and **."`
	Whole      bool     `json:"whole,omitempty" doc:"Makes each file one record instead of each line."`
	SplitBytes int64    `json:"split_bytes,omitempty" minimum:"0" doc:"How much of the files one map task gets. 0 means 16 MiB, and up to 128 MiB of large files where values are combined."`
}

// UnmarshalJSON reads an input whose values are what they are in Go: a number
// without a fraction is an integer.
func (in *Input) UnmarshalJSON(b []byte) error {
	type plain Input // without this method
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode((*plain)(in)); err != nil {
		return err
	}
	for i, v := range in.Values {
		in.Values[i] = numbers(v)
	}
	return nil
}

// MarshalJSON writes an input whose values are read again as what they are: a
// number that is no integer has a fraction, or an exponent.
func (in Input) MarshalJSON() ([]byte, error) {
	type plain Input // without this method
	out := plain(in)
	if in.Values != nil {
		out.Values = exact(in.Values).([]any)
	}
	return json.Marshal(out)
}

// exact returns v with its floating-point numbers as texts that say so.
func exact(v any) any {
	switch v := v.(type) {
	case float64:
		b, err := json.Marshal(v)
		if err != nil || bytes.ContainsAny(b, ".e") {
			return v
		}
		return json.Number(string(b) + ".0")
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = exact(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = exact(v[k])
		}
		return out
	}
	return v
}

// Sayable reports whether the values of an input can be said in JSON, so that
// who reads them has the same: bytes and times, for example, can't.
func (in *Input) Sayable() bool {
	if in.Values == nil {
		return true
	}
	b, err := json.Marshal(in)
	if err != nil {
		return false
	}
	var again Input
	return json.Unmarshal(b, &again) == nil && reflect.DeepEqual(in.Values, again.Values)
}

// numbers turns the numbers in a value of JSON into those of Go.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // what is too large for it becomes as large as it has
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// Output says where files go: see job.Output.
type Output struct {
	Dir    string `json:"dir,omitempty" doc:"A directory that every node sees under the same name."`
	Format string `json:"format,omitempty" enum:"tsv,json" doc:"Makes a mapreduce run write its pairs to files."`
}

// Schedule says when a job is due: see trigger.Schedule.
type Schedule struct {
	When         string             `json:"when,omitempty" maxLength:"65536" doc:"The text of a trigger. Empty means never by itself." example:"30 2 * * *"`
	Zone         string             `json:"zone,omitempty" doc:"IANA name of the zone of local times. Empty means UTC." example:"Europe/Berlin"`
	Gap          string             `json:"gap,omitempty" enum:"shift,skip" doc:"What becomes of a fire at a local time that its day lacks. Empty means shift."`
	Twice        string             `json:"twice,omitempty" enum:"first,last,both" doc:"What becomes of a fire at a local time that its day has twice. Empty means first."`
	Start        time.Time          `json:"start,omitzero" doc:"The first instant at which it may be due."`
	End          time.Time          `json:"end,omitzero" doc:"The first instant at which it may not be due any more."`
	MaxRuns      int                `json:"max_runs,omitempty" minimum:"0" doc:"After how many runs the trigger has ended. 0 means never."`
	Jitter       Duration           `json:"jitter,omitempty" doc:"By how much a run may start after its fire."`
	Overlap      string             `json:"overlap,omitempty" enum:"skip,queue-one,queue-all,cancel-old,kill-old,allow" doc:"What happens when a fire meets a run that is not over."`
	OverlapLimit int                `json:"overlap_limit,omitempty" minimum:"0" doc:"How many runs wait, or there are, at most. 0 means 100."`
	OverlapGrace Duration           `json:"overlap_grace,omitempty" doc:"How long cancel-old waits. 0 means 30s."`
	OverlapKey   string             `json:"overlap_key,omitempty" doc:"Expression on a run's input: only runs of the same value overlap."`
	Misfire      string             `json:"misfire,omitempty" enum:"skip,one,all" doc:"What becomes of fires that nobody noticed in time."`
	MisfireLimit int                `json:"misfire_limit,omitempty" minimum:"0" doc:"How many runs misfire all makes at most at a time. 0 means 100."`
	CatchUp      Duration           `json:"catch_up,omitempty" doc:"How old a missed fire may be. 0 means 24h."`
	Threshold    Duration           `json:"threshold,omitempty" doc:"How late a fire may be noticed and not count as missed. 0 means 60s."`
	OnResume     string             `json:"on_resume,omitempty" enum:"skip,one,all" doc:"What becomes of fires during a pause."`
	Blackout     []trigger.Blackout `json:"blackout,omitempty" maxItems:"100" doc:"Times in which nothing is due."`
	Only         []string           `json:"only,omitempty" doc:"Calendars one of which must have the day of a fire."`
	Except       []string           `json:"except,omitempty" doc:"Calendars none of which may have the day of a fire."`
	Excluded     string             `json:"excluded,omitempty" enum:"drop,next,previous" doc:"What becomes of a fire on a day that calendars leave out."`
}

// Backoff is the wait between attempts: see trigger.Backoff.
type Backoff struct {
	Initial Duration `json:"initial,omitempty" doc:"The wait after the first failure."`
	Factor  float64  `json:"factor,omitempty" doc:"Multiplies the wait after each further one. 0 means 2."`
	Max     Duration `json:"max,omitempty" doc:"Bounds the wait."`
	Jitter  float64  `json:"jitter,omitempty" maximum:"1" doc:"The largest share of a wait that chance may take off. 0 means 0.2, a negative value none."`
}

// Retry says how often a failed task is tried again: see job.Retry.
type Retry struct {
	Attempts int     `json:"attempts,omitempty" minimum:"0" doc:"How often a task is tried in all. 0 means 4."`
	Losses   int     `json:"losses,omitempty" minimum:"0" doc:"How often a task may be lost with its node. 0 means 3."`
	Backoff  Backoff `json:"backoff,omitzero" required:"false"`
}

// Repeat says how often a failed run is tried again: see job.Repeat.
type Repeat struct {
	Attempts int     `json:"attempts,omitempty" minimum:"0" maximum:"1000" doc:"How often the run is tried in all. 0 means once."`
	Backoff  Backoff `json:"backoff,omitzero" required:"false"`
	All      bool    `json:"all,omitempty" doc:"Runs every task again, not only those that did not succeed."`
}

// Retention is how long finished runs are kept: see job.Retention.
type Retention struct {
	Age  Duration `json:"age,omitempty" doc:"How long after its end a run is kept. 0 means 7 days, a negative value for ever."`
	Runs int      `json:"runs,omitempty" doc:"How many runs are kept. 0 means 1000, a negative value all."`
}

// Tolerance is how many tasks may fail for good: see job.Tolerance.
type Tolerance struct {
	Count int     `json:"count,omitempty" minimum:"0" doc:"A number of tasks."`
	Share float64 `json:"share,omitempty" minimum:"0" maximum:"1" doc:"A share of all tasks."`
}

// Placement says where the tasks of a run may go: see job.Placement.
type Placement struct {
	Strategy   string   `json:"strategy,omitempty" enum:"least-loaded,random,spread,affinity" doc:"Chooses among the eligible members. Empty means least-loaded."`
	Affinity   string   `json:"affinity,omitempty" doc:"The key that keeps runs together under the strategy affinity."`
	Nodes      []string `json:"nodes,omitempty" doc:"The only members that may work."`
	Tags       []string `json:"tags,omitempty" doc:"Tags that a member must all have."`
	MinCPU     int      `json:"min_cpu,omitempty" minimum:"0" doc:"The least number of cores."`
	MinMemory  int64    `json:"min_memory,omitempty" minimum:"0" doc:"The least memory that is free, in bytes."`
	MinDisk    int64    `json:"min_disk,omitempty" minimum:"0" doc:"The least disk that is free, in bytes."`
	MaxWorkers int      `json:"max_workers,omitempty" minimum:"0" doc:"Bounds how many members work on a run. 0 means all."`
}

// SpecOf returns a job's spec as it is said over HTTP.
func SpecOf(s *job.Spec) Spec {
	out := Spec{
		Namespace: s.Namespace, Name: s.Name, Processor: s.Processor, Params: s.Params, Tags: s.Tags,
		Input:  Input(s.Input),
		Output: Output(s.Output),
		Shards: s.Shards, Partitions: s.Partitions, Sorted: s.Sorted,
		Retry:          Retry{s.Retry.Attempts, s.Retry.Losses, backoffOf(s.Retry.Backoff)},
		Repeat:         Repeat{s.Repeat.Attempts, backoffOf(s.Repeat.Backoff), s.Repeat.All},
		Tolerate:       Tolerance(s.Tolerate),
		AttemptTimeout: Duration(s.AttemptTimeout), TaskTimeout: Duration(s.TaskTimeout), RunTimeout: Duration(s.RunTimeout),
		NoBackups: s.NoBackups, Priority: s.Priority, Weight: s.Weight, LimitKey: s.LimitKey, Limits: s.Limits,
		MaxRuns: s.MaxRuns, MaxQueued: s.MaxQueued, Retain: Retention{Duration(s.Retain.Age), s.Retain.Runs},
		Concurrency: s.Concurrency, Placement: Placement(s.Placement),
		Schedule: scheduleOf(&s.Schedule),
	}
	if s.Mode != job.Auto {
		out.Mode = s.Mode.String()
	}
	return out
}

// Job returns the spec in the words of package job. It is not validated, but
// for a mode that there is not.
func (s *Spec) Job() (job.Spec, error) {
	out := job.Spec{
		Namespace: s.Namespace, Name: s.Name, Processor: s.Processor, Params: s.Params, Tags: s.Tags,
		Input:  job.Input(s.Input),
		Output: job.Output(s.Output),
		Shards: s.Shards, Partitions: s.Partitions, Sorted: s.Sorted,
		Retry:          job.Retry{Attempts: s.Retry.Attempts, Losses: s.Retry.Losses, Backoff: s.Retry.Backoff.trigger()},
		Repeat:         job.Repeat{Attempts: s.Repeat.Attempts, Backoff: s.Repeat.Backoff.trigger(), All: s.Repeat.All},
		Tolerate:       job.Tolerance(s.Tolerate),
		AttemptTimeout: time.Duration(s.AttemptTimeout), TaskTimeout: time.Duration(s.TaskTimeout), RunTimeout: time.Duration(s.RunTimeout),
		NoBackups: s.NoBackups, Priority: s.Priority, Weight: s.Weight, LimitKey: s.LimitKey, Limits: s.Limits,
		MaxRuns: s.MaxRuns, MaxQueued: s.MaxQueued, Retain: job.Retention{Age: time.Duration(s.Retain.Age), Runs: s.Retain.Runs},
		Concurrency: s.Concurrency, Placement: job.Placement(s.Placement),
		Schedule: s.Schedule.Trigger(),
	}
	if s.Mode == "" {
		return out, nil
	}
	var err error
	if out.Mode, err = job.ParseMode(s.Mode); err != nil {
		return out, fmt.Errorf("api: Mode: %w", err)
	}
	return out, nil
}

func scheduleOf(s *trigger.Schedule) Schedule {
	return Schedule{
		When: s.When, Zone: s.Zone, Gap: string(s.Gap), Twice: string(s.Twice), Start: s.Start, End: s.End, MaxRuns: s.MaxRuns,
		Jitter: Duration(s.Jitter), Overlap: string(s.Overlap), OverlapLimit: s.OverlapLimit, OverlapGrace: Duration(s.OverlapGrace),
		OverlapKey: s.OverlapKey, Misfire: string(s.Misfire), MisfireLimit: s.MisfireLimit, CatchUp: Duration(s.CatchUp),
		Threshold: Duration(s.Threshold), OnResume: string(s.OnResume), Blackout: s.Blackout, Only: s.Only, Except: s.Except,
		Excluded: string(s.Excluded),
	}
}

// Trigger returns the schedule in the words of package trigger. It is not
// validated.
func (s *Schedule) Trigger() trigger.Schedule {
	return trigger.Schedule{
		When: s.When, Zone: s.Zone, Gap: trigger.Gap(s.Gap), Twice: trigger.Twice(s.Twice), Start: s.Start, End: s.End, MaxRuns: s.MaxRuns,
		Jitter: time.Duration(s.Jitter), Overlap: trigger.Overlap(s.Overlap), OverlapLimit: s.OverlapLimit, OverlapGrace: time.Duration(s.OverlapGrace),
		OverlapKey: s.OverlapKey, Misfire: trigger.Misfire(s.Misfire), MisfireLimit: s.MisfireLimit, CatchUp: time.Duration(s.CatchUp),
		Threshold: time.Duration(s.Threshold), OnResume: trigger.Misfire(s.OnResume), Blackout: s.Blackout, Only: s.Only, Except: s.Except,
		Excluded: trigger.Excluded(s.Excluded),
	}
}

func backoffOf(b trigger.Backoff) Backoff {
	return Backoff{Duration(b.Initial), b.Factor, Duration(b.Max), b.Jitter}
}

func (b Backoff) trigger() trigger.Backoff {
	return trigger.Backoff{Initial: time.Duration(b.Initial), Factor: b.Factor, Max: time.Duration(b.Max), Jitter: b.Jitter}
}
