// Package job is the vocabulary of the house: the words that masters, workers,
// the state, the API and you share.
//
// A Spec declares a job. Each time it is submitted, or its trigger fires,
// there is a Run. A run is cut into tasks: map tasks, one per piece of the
// input and one per subtask that a processor emits, then reduce tasks. A task
// that fails is tried again; each try is an attempt.
//
//	Spec 1──* Run 1──* Task 1──* Attempt
//
// The package holds words and their rules and nothing that acts: no clock, no
// network, no disk.
package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/trigger"
)

// Spec declares a job: which processor runs, over what, where, and what
// happens when something fails. Only Processor is required.
type Spec struct {
	// Namespace owns the job. Empty means "default".
	Namespace string `msgpack:"ns,omitempty"`
	// Name names the job in its namespace. Empty means the processor's name.
	Name string `msgpack:"n,omitempty"`
	// Processor is the name that the user's code is registered under.
	Processor string `msgpack:"p"`
	// Mode says how the processor is run. Zero means Auto.
	Mode Mode `msgpack:"m,omitempty"`
	// Params is text that every task of the run sees, by convention JSON.
	Params string `msgpack:"pa,omitempty"`
	// Tags are words by which the job's runs are found, at most 16 of up to 64
	// bytes each. They are not those of members; see Placement.Tags.
	Tags []string `msgpack:"tg,omitempty"`
	// Input is what the map tasks work on.
	Input Input `msgpack:"in,omitempty"`
	// Output is where files that tasks create end up.
	Output Output `msgpack:"out,omitempty"`

	// Schedule says when the job is due, once it is declared. The zero value
	// means never by itself.
	Schedule trigger.Schedule `msgpack:"sch,omitempty"`

	// Shards is how many tasks a Sharded run has. Zero means one per worker
	// that is eligible when the run begins.
	Shards int `msgpack:"sh,omitempty"`
	// Partitions is how many reduce tasks a MapReduce run has. Zero means four
	// per slot of the pool, at most 256. More partitions use less memory each;
	// fewer make less work of small runs.
	Partitions int `msgpack:"pt,omitempty"`
	// Sorted makes the partitions of a MapReduce run ranges of keys, so that
	// the output as a whole is in key order and not only each partition. It
	// costs a look at a sample of the input before the first map task.
	Sorted bool `msgpack:"so,omitempty"`

	// Retry says how often and when a failed task is tried again.
	Retry Retry `msgpack:"re,omitempty"`
	// Repeat says how often and when a run that has failed is tried again.
	Repeat Repeat `msgpack:"rp,omitempty"`
	// Tolerate says how many tasks may fail for good before the run does.
	Tolerate Tolerance `msgpack:"to,omitempty"`
	// AttemptTimeout bounds one attempt; when it is over the attempt is
	// cancelled and counts as failed. A worker that has not said a word for
	// half a minute longer is not waited for: what it has is tried elsewhere.
	// Zero means no bound.
	AttemptTimeout time.Duration `msgpack:"at,omitempty"`
	// TaskTimeout bounds a task over all of its attempts and the waits between
	// them, from when it was first placed; when it is over the task has failed
	// for good. It is measured by the clock of the run's master, and a master
	// that takes over begins anew. Zero means no bound.
	TaskTimeout time.Duration `msgpack:"tt,omitempty"`
	// RunTimeout bounds the run as a whole, from when it was created or, if it
	// was to begin at a later time, from then. A master
	// that takes over trusts that its wall clock and that of the node which
	// created the run agree, and measures by its own clock from there. Zero
	// means no bound.
	RunTimeout time.Duration `msgpack:"rt,omitempty"`
	// NoBackups turns off the second attempt that is started elsewhere for a
	// task that is slow when most of its kind are done.
	NoBackups bool `msgpack:"nb,omitempty"`

	// Priority says which run begins first where several wait: the one of the
	// higher number, from -100 to 100. Among equals the jobs take turns, in
	// each job its keys do, and of a key it is the older run.
	Priority int `msgpack:"pri,omitempty"`
	// Weight is how many runs of the job begin in its turn, from 1 to 1000.
	// Zero means 1.
	Weight int `msgpack:"wt,omitempty"`
	// LimitKey is an expression on the run's input, which is data in it: the
	// limit key of a run whose caller gives it none, as "data.customer". Runs
	// of different keys do not wait for each other. Empty means no key.
	LimitKey string `msgpack:"lk,omitempty"`
	// Limits bound how many runs of the job, and of each of its limit keys, go
	// on at a time, and how often they begin.
	Limits []Limit `msgpack:"lim,omitempty"`
	// MaxRuns bounds how many runs of the job go on at a time; those over it
	// wait. Zero means any number.
	MaxRuns int `msgpack:"mr,omitempty"`
	// MaxQueued bounds how many runs of the job wait to begin; those over it
	// are refused. Zero means any number, within what the cluster takes.
	MaxQueued int `msgpack:"mq,omitempty"`
	// Retain says how long finished runs are kept.
	Retain Retention `msgpack:"ret,omitempty"`

	// Concurrency bounds how many attempts of a run execute on one node at a
	// time. Zero means the node's slots.
	Concurrency int `msgpack:"c,omitempty"`
	// Placement says which members may work on the run, and which is chosen.
	Placement Placement `msgpack:"pl,omitempty"`
}

// Mode says how a run uses its processor.
type Mode int

// The modes. Their names are what users type.
const (
	// Auto is MapReduce for a processor made by mapreduce.Of, Map if there is
	// an input, and Standalone otherwise.
	Auto Mode = iota
	// Standalone is one task, which may emit subtasks.
	Standalone
	// Map is one task per piece of the input; tasks may emit subtasks. If the
	// processor has a Reduce, it sees the results of all.
	Map
	// Sharded is one task per shard index, from 0 to Total-1.
	Sharded
	// Broadcast is one task on every eligible member.
	Broadcast
	// MapReduce maps the input to pairs, brings equal keys together and
	// reduces each key.
	MapReduce
)

var modeNames = [...]string{"auto", "standalone", "map", "sharded", "broadcast", "mapreduce"}

// String returns the mode's name in lower case.
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return "unknown"
	}
	return modeNames[m]
}

// ParseMode returns the mode of the given name.
func ParseMode(name string) (Mode, error) {
	if i := slices.Index(modeNames[:], name); i >= 0 {
		return Mode(i), nil
	}
	return 0, fmt.Errorf("job: mode %q: want one of %s", name, strings.Join(modeNames[:], ", "))
}

// Input is what a run works on: inline values, or files. The zero value is no
// input, which means one task without a payload.
type Input struct {
	// Values are inline inputs, one record each: any value that can be
	// encoded. They are encoded when the run is submitted.
	Values []any `msgpack:"-"`
	// Globs name files, in the syntax of path.Match with "**" for any number
	// of directories. Symbolic links are followed, but not below a "**". Every node that works on the run must see the files
	// under the same names.
	Globs []string `msgpack:"g,omitempty"`
	// Whole makes each file one record instead of each line.
	Whole bool `msgpack:"w,omitempty"`
	// SplitBytes is how much of the files one map task gets: large files are
	// cut, small ones put together. A line belongs to the split that holds its
	// first byte; a .gz file is never cut. Zero means 16 MiB or, where the
	// values of a key are combined, up to 128 MiB of large files, so that each
	// slot of the pool gets about two tasks.
	SplitBytes int64 `msgpack:"sb,omitempty"`
}

// Values is inline input, one record per value.
func Values[T any](v ...T) Input {
	in := Input{Values: make([]any, len(v))}
	for i := range v {
		in.Values[i] = v[i]
	}
	return in
}

// Lines is the lines of the files that match any of globs, one record each.
func Lines(globs ...string) Input { return Input{Globs: globs} }

// Files is the files that match any of globs, one record each.
func Files(globs ...string) Input { return Input{Globs: globs, Whole: true} }

// Output says where files go that the tasks of a run create.
type Output struct {
	// Dir is a directory that every node sees under the same name. What an
	// attempt writes becomes visible in it when the run succeeds, and only
	// from the one attempt of each task that counts.
	Dir string `msgpack:"d,omitempty"`
	// Format makes a MapReduce run write its pairs to files part-00000 and so
	// on in Dir, one per partition, in place of all such files of an earlier
	// run: "tsv" is key, tab, value; "json" is an object with key and value on
	// each line. Empty means that the pairs are returned and not written.
	Format string `msgpack:"f,omitempty"`
}

// Retry says how often and when a failed task is tried again.
type Retry struct {
	// Attempts is how often a task is tried in all. Zero means 4.
	Attempts int `msgpack:"a,omitempty"`
	// Losses is how often a task may be lost together with the node that had
	// it, which is no failed attempt. Then the task is quarantined: it has
	// failed for good, and the rest of the run goes on to the end of its phase.
	// Give more where nodes come and go by themselves. Zero means 3; 1 can't
	// be, since what merely waits on a node is lost with it too.
	Losses int `msgpack:"l,omitempty"`
	// Backoff is the wait between attempts.
	Backoff trigger.Backoff `msgpack:"b,omitempty"`
}

// Repeat is how a run that has failed is tried again, by itself: as the next
// attempt in its row, a run of its own that goes on with the tasks that have
// not succeeded. When it is due is recorded with it, and it waits for that as
// a delayed run does, so no loss of a node forgets it. A run that failed with a
// permanent error, or was cancelled, is not tried again.
type Repeat struct {
	// Attempts is how often the run is tried in all. Zero and 1 mean once.
	Attempts int `msgpack:"a,omitempty"`
	// Backoff is the wait between attempts. Zero fields mean 10 s at first,
	// twice as long each time, at most an hour, and a fifth of jitter.
	Backoff trigger.Backoff `msgpack:"b,omitempty"`
	// All runs every task again, not only those that did not succeed.
	All bool `msgpack:"l,omitempty"`
}

// The wait between attempts at a run, of a job that does not say.
const (
	DefaultRepeatAfter = 10 * time.Second
	DefaultRepeatMost  = time.Hour
)

// After returns the wait after so many attempts that failed. The chance is a
// number from 0 to 1.
func (a Repeat) After(attempts int, chance float64) time.Duration {
	b := a.Backoff
	b.Initial = cmp.Or(b.Initial, DefaultRepeatAfter)
	b.Max = max(cmp.Or(b.Max, DefaultRepeatMost), b.Initial)
	jitter := b.Jitter
	if jitter == 0 {
		jitter = 0.2
	}
	wait := b.After(attempts, nil)
	return wait - time.Duration(float64(wait)*min(max(jitter, 0), 1)*chance)
}

// Retention is how long the finished runs of a job are kept. A run that is
// over either bound is removed, the oldest first.
type Retention struct {
	// Age is how long after its end a run is kept. Zero means 7 days; a
	// negative value means for ever.
	Age time.Duration `msgpack:"a,omitempty"`
	// Runs is how many runs are kept. Zero means 1000; a negative value means
	// all.
	Runs int `msgpack:"n,omitempty"`
}

// The retention of a job that does not say.
const (
	DefaultRetainAge  = 7 * 24 * time.Hour
	DefaultRetainRuns = 1000
)

// WithDefaults returns r with its zeros filled in.
func (r Retention) WithDefaults() Retention {
	return Retention{Age: cmp.Or(r.Age, DefaultRetainAge), Runs: cmp.Or(r.Runs, DefaultRetainRuns)}
}

// Tolerance is how many tasks of a run may fail for good, by number or by
// share; the larger of the two counts. The zero value tolerates none: the
// first task that fails for good ends the run.
type Tolerance struct {
	// Count is a number of tasks.
	Count int `msgpack:"c,omitempty"`
	// Share is a share of all tasks, from 0 to 1.
	Share float64 `msgpack:"s,omitempty"`
}

// Placement says where the tasks of a run may go.
type Placement struct {
	// Strategy chooses among the eligible members: "least-loaded" (the
	// default), "random", "spread", or "affinity".
	Strategy string `msgpack:"s,omitempty"`
	// Affinity is the key that keeps runs together under the strategy
	// "affinity": runs with one key go to one member while it lives.
	Affinity string `msgpack:"k,omitempty"`
	// Nodes names the only members that may work. Empty means all.
	Nodes []string `msgpack:"n,omitempty"`
	// Tags are tags that a member must all have.
	Tags []string `msgpack:"t,omitempty"`
	// MinCPU is the least number of cores a member must have.
	MinCPU int `msgpack:"c,omitempty"`
	// MinMemory is the least memory, in bytes, a member must have free.
	MinMemory int64 `msgpack:"m,omitempty"`
	// MinDisk is the least disk, in bytes, a member must have free.
	MinDisk int64 `msgpack:"d,omitempty"`
	// MaxWorkers bounds how many members work on the run. Zero means all.
	MaxWorkers int `msgpack:"w,omitempty"`
}
