package wire

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// What is said of many runs at once. Each is a matter of its own.

// Conduct makes a node the master of runs.
type Conduct struct {
	Runs []*job.Run `msgpack:"r"`
}

// Hold tells a node of runs that it is going to conduct when their instant comes,
// which is in about so long. The Number is the sender's name for them, and Instant
// the same for all that come at once.
type Hold struct {
	Number  uint64        `msgpack:"n"`
	Instant int64         `msgpack:"i"`
	For     time.Duration `msgpack:"f"`
	Runs    []*job.Run    `msgpack:"r"`
}

// BeginHeld says that the instant of a Hold has come, and which of its runs do not
// begin.
type BeginHeld struct {
	Number uint64      `msgpack:"n"`
	Except []job.RunID `msgpack:"e,omitempty"`
}

// Creates records runs.
type Creates struct {
	Creates []Create `msgpack:"c"`
	Lots    []Lot    `msgpack:"l,omitempty"`
}

// Lot is runs that differ in their Params alone: the one of Create, whose ID is
// that of the lot, with each of Params.
type Lot struct {
	Create
	Params []string `msgpack:"ps"`
}

// Of returns run i of the lot.
func (l *Lot) Of(i int) job.Run {
	run := l.Run
	run.ID, run.Spec.Params = job.InLot(run.ID, i), l.Params[i]
	return run
}

// Accepted answers a Creates: the IDs of the runs in the same order, those of
// the lots last, empty for one that is Refused.
type Accepted struct {
	Runs    []job.RunID `msgpack:"r"`
	Refused []Refusal   `msgpack:"e,omitempty"`
}

// Refusal says why one of many is refused.
type Refusal struct {
	At   int    `msgpack:"i"` // its place
	Code string `msgpack:"c,omitempty"`
	Text string `msgpack:"t"`
}

// Execute hands the only tasks of small runs to a worker.
type Execute struct {
	Runs []*job.Run `msgpack:"r"`
}

// Executing answers an Execute: the places of the runs whose task the worker
// does not take, and how many such tasks it is ready to hold.
type Executing struct {
	Refused []int `msgpack:"r,omitempty"`
	Window  int   `msgpack:"w"`
}

// Reports tells a master how the attempts at tasks of small runs ended.
type Reports struct {
	Reports []Report `msgpack:"r"`
	Window  int      `msgpack:"w"`
}

// Settled answers a Reports when what the master made of them is durable.
type Settled struct {
	Fates []Fate `msgpack:"f"` // in the same order
}

// Fate is what a report of a small run has led to.
type Fate byte

// The fates.
const (
	FateUnknown Fate = iota // it is to be reported again, by itself
	FateOver                // the run is over
	FateTaken               // the run goes on
	FateFenced              // the report counts for nothing
)

// Endings records how runs ended.
type Endings struct {
	Endings []Ending `msgpack:"e"`
}

// Ending is a Finish with the last entry of the run's journal.
type Ending struct {
	Run      job.RunID    `msgpack:"r"`
	Epoch    uint64       `msgpack:"e"`
	State    job.State    `msgpack:"s"`
	Reason   string       `msgpack:"w,omitempty"`
	Progress job.Progress `msgpack:"p"`
	First    uint64       `msgpack:"n"` // the number of Last
	Last     []byte       `msgpack:"l"`
}

// Ended answers an Endings: those that the state refuses, for good.
type Ended struct {
	Refused []Refusal `msgpack:"e,omitempty"`
}
