package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/musterhq/muster/trigger"
)

// RunID names a run like an address: namespace, job, and what tells this run
// from the job's others, as in "reports/nightly@20260329T030000Z".
type RunID string

// Namespace returns the part of id before the slash.
func (id RunID) Namespace() string {
	ns, _, _ := strings.Cut(string(id), "/")
	return ns
}

// Job returns the name of the job that id is a run of.
func (id RunID) Job() string {
	_, rest, _ := strings.Cut(string(id), "/")
	name, _, _ := strings.Cut(rest, "@")
	return name
}

// FireID returns the ID of the run that a job's trigger makes at an instant,
// so that the same fire can never make two.
func FireID(namespace, name string, at time.Time) RunID {
	return RunID(fmt.Sprintf("%s/%s@%s", namespace, name, at.UTC().Format("20060102T150405Z")))
}

// Run is one execution of a job.
type Run struct {
	ID   RunID `msgpack:"id"`
	Spec Spec  `msgpack:"sp"`
	Plan Plan  `msgpack:"pl"`

	// Fire is when the run was due, in UTC. For a run that was submitted it is
	// when it was.
	Fire time.Time `msgpack:"f"`
	// Origin is why there is the run. Empty means that somebody submitted it.
	Origin trigger.Reason `msgpack:"why,omitempty"`
	// Revision is that of the declared job which it is a run of, if it is.
	Revision uint64 `msgpack:"rev,omitempty"`
	// Missed is how many fires the run stands for, since MissedFrom, if they
	// were missed; 0 for a run that stands for its own.
	Missed     int       `msgpack:"mi,omitempty"`
	MissedFrom time.Time `msgpack:"mf,omitempty"`
	// Unplanned is why the run could not be planned when it was due. It fails
	// with that.
	Unplanned string `msgpack:"up,omitempty"`
	// Key is what the caller named the run by. While it is taken, whoever asks
	// for a run of the same job and key gets this one.
	Key string `msgpack:"k,omitempty"`
	// KeyFor is how long after its creation the key stays taken. It is taken
	// while the run lives in any case, which is all that zero means.
	KeyFor time.Duration `msgpack:"kf,omitempty"`
	// OverlapKey is the value of Schedule.OverlapKey, of a run that a trigger
	// made: it overlaps only with those that have the same.
	OverlapKey string `msgpack:"ok,omitempty"`
	// LimitKey is the key that the run is limited by together with others that
	// have the same; see Limit.
	LimitKey string `msgpack:"lk,omitempty"`
	// NotBefore is when the run may begin. Zero means at once.
	NotBefore time.Time `msgpack:"nb,omitempty"`
	// Extra are values the caller passes to every task.
	Extra map[string]string `msgpack:"x,omitempty"`

	// Of is the run that this one tries again, the first of the row. Empty for
	// that one itself. Attempt is the place in the row: 1 for the first.
	Of      RunID `msgpack:"of,omitempty"`
	Attempt int   `msgpack:"at,omitempty"`

	// Trace is the span that the run came from, so that what happens elsewhere
	// can be linked to it.
	Trace map[string]string `msgpack:"tr,omitempty"`

	// Master is the ID of the node that conducts the run. Epoch grows with
	// each master it gets; what an older one does is refused.
	Master string `msgpack:"m,omitempty"`
	Epoch  uint64 `msgpack:"e,omitempty"`

	State  State  `msgpack:"s"`
	Reason string `msgpack:"r,omitempty"`
	// CancelReason is set once somebody has asked for the run to end early.
	CancelReason string `msgpack:"cr,omitempty"`
	// Created and Finished are wall clock times of the node that said so.
	Created  time.Time `msgpack:"c"`
	Finished time.Time `msgpack:"fi,omitempty"`
	// Progress is as of the end of the run.
	Progress Progress `msgpack:"pr,omitempty"`
	// Compacted says that what nobody needs any more of its tasks is not kept.
	Compacted bool `msgpack:"cd,omitempty"`
	// History is what happened to the run, oldest first. It is bounded: of a
	// long story the latest is kept, and how much is missing is said first. It
	// is left out where runs are listed.
	History []Happening `msgpack:"h,omitempty"`
}

// Happening is something that happened to a run, and when by the clock of the
// node that said so.
type Happening struct {
	At   time.Time `msgpack:"a"`
	What string    `msgpack:"w"`
}

// Again returns the ID of attempt n at the run first, as in
// "reports/nightly@20260329T030000Z#2". The first attempt is first itself.
func Again(first RunID, n int) RunID {
	if n <= 1 {
		return first
	}
	return RunID(fmt.Sprintf("%s#%d", first, n))
}

// Plan is how the master goes about a run: what is known once the processor's
// powers and the input are.
type Plan struct {
	// Before is whether one task runs before all others: the processor's own
	// first step, or the look at a sample that a sorted run takes.
	Before bool `msgpack:"b,omitempty"`
	// Keyed is whether map tasks hand pairs to the shuffle.
	Keyed bool `msgpack:"k,omitempty"`
	// Reduces is how many reduce tasks follow the map tasks: the partitions of
	// a keyed run, one for a run whose processor sees all results, else none.
	Reduces int `msgpack:"r,omitempty"`
	// Chunks is how many journal entries of tasks the run was accepted with,
	// and Roots how many tasks those hold.
	Chunks int `msgpack:"c,omitempty"`
	Roots  int `msgpack:"n,omitempty"`
	// Nodes are the members that a broadcast goes to, one task each in order.
	Nodes []string `msgpack:"m,omitempty"`
	// Sample is the payload of the task before the others, if it has one.
	Sample []byte `msgpack:"s,omitempty"`
	// Version is the version of the processor the run was accepted with, if
	// the processor has one. Only members with an equal one work on the run.
	Version string `msgpack:"v,omitempty"`
}

// State is where a run stands. States only move down this list, and those
// from Succeeded on are final.
type State int

// The states of a run.
const (
	Pending State = iota
	Running
	Succeeded
	Failed
	Canceled
)

var stateNames = [...]string{"pending", "running", "succeeded", "failed", "canceled"}

// String returns the state's name in lower case.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// Done reports whether s is final.
func (s State) Done() bool { return s >= Succeeded }

// Progress counts the tasks of a run. A task counts once, however many
// attempts it took.
type Progress struct {
	// Tasks is how many there are so far; subtasks may add more.
	Tasks int `msgpack:"t"`
	// Done is how many succeeded, Failed how many failed for good.
	Done   int `msgpack:"d"`
	Failed int `msgpack:"f"`
	// Running is how many are placed on a member now.
	Running int `msgpack:"r"`
	// Attempts is how many attempts ended, however they did.
	Attempts int `msgpack:"a"`
	// Phase is what the run is doing: "before", "map" or "reduce".
	Phase string `msgpack:"p"`
	// Waiting says why tasks that could run are not placed, if they are not.
	Waiting string `msgpack:"w,omitempty"`
	// Permanent says that the run failed because of a task that said that it
	// would fail again.
	Permanent bool `msgpack:"pm,omitempty"`
	// Members is how many tasks each member completed, by node ID.
	Members map[string]int `msgpack:"m,omitempty"`
}

// Kind tells the tasks of a run apart by when they run.
type Kind byte

// The kinds of task, in the order in which they run.
const (
	KindBefore Kind = 'b' // once, before all others
	KindMap    Kind = 'm' // one per piece of input, shard, member or subtask
	KindReduce Kind = 'r' // one per partition, or one over all results
)

// TaskID names a task within its run.
type TaskID struct {
	Kind Kind `msgpack:"k"`
	N    int  `msgpack:"n"`
}

// String returns the ID as it is written after the run's, as in "m12".
func (t TaskID) String() string {
	var b [24]byte // as there are many of them
	return string(strconv.AppendInt(utf8.AppendRune(b[:0], rune(t.Kind)), int64(t.N), 10))
}

// AttemptID names an attempt in the whole cluster. The epoch is the master's
// that placed it.
type AttemptID struct {
	Run   RunID  `msgpack:"r"`
	Task  TaskID `msgpack:"t"`
	Epoch uint64 `msgpack:"e"`
	N     int    `msgpack:"n"` // 1 for the first try
}

// String returns the ID as an address, as in "reports/nightly@x/m12#2".
func (a AttemptID) String() string { return fmt.Sprintf("%s/%v#%d", a.Run, a.Task, a.N) }
