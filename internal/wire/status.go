package wire

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// RunStatus is what changes of a run, and what the state itself has to know of
// it, as it is stored beside the run as it was created. Times are nanoseconds
// since 1970.
type RunStatus struct {
	Master string    `msgpack:"m,omitempty"`
	Epoch  uint64    `msgpack:"e,omitempty"`
	State  job.State `msgpack:"s,omitempty"`
	Reason string    `msgpack:"w,omitempty"`
	Cancel string    `msgpack:"c,omitempty"` // the reason somebody gave
	// Next is how many entries the journal has, of which the run was created
	// with the first Chunks.
	Next   uint64 `msgpack:"n,omitempty"`
	Chunks uint64 `msgpack:"nc,omitempty"`
	// Staged says that there is no run, only entries: of one that is going to
	// be created or, if it is Gone, of one that was forgotten.
	Staged   bool   `msgpack:"g,omitempty"`
	Gone     bool   `msgpack:"gg,omitempty"`
	Finished int64  `msgpack:"f,omitempty"`
	Progress []byte `msgpack:"p,omitempty"` // EncodeRecord

	// Created is when the run was or, of what is Staged, the last entry.
	Created   int64     `msgpack:"t,omitempty"`
	Namespace string    `msgpack:"ns,omitempty"`
	Job       string    `msgpack:"j,omitempty"`
	Priority  int       `msgpack:"pr,omitempty"`
	NotBefore int64     `msgpack:"nb,omitempty"`
	Key       string    `msgpack:"k,omitempty"`
	Of        job.RunID `msgpack:"of,omitempty"`
	Attempt   int       `msgpack:"at,omitempty"`
	Fired     bool      `msgpack:"fi,omitempty"` // a trigger made it
	// Ahead is as CreateRun has it, until the status changes: of a run that goes on
	// the instant that it has begun at, or is going to.
	Ahead int64 `msgpack:"ah,omitempty"`
	// Waits says what the run waits for before it begins.
	Waits Waits `msgpack:"wt,omitempty"`
	// Happened is how many happenings the run's history had.
	Happened uint64 `msgpack:"h,omitempty"`
	// Killed says that the run was ended without its master.
	Killed bool `msgpack:"kl,omitempty"`
	// Rewritten says that entries of the journal are not as they were written.
	Rewritten bool `msgpack:"rw,omitempty"`
	// Compacted says that nobody is going to rewrite the journal any more.
	Compacted bool `msgpack:"cd,omitempty"`
	// Plain is as FinishRun has it.
	Plain bool `msgpack:"pl,omitempty"`
	// Size is how many bytes the run was created with, if that is known.
	Size int `msgpack:"sz,omitempty"`
	// Keeps, KeepFor and KeepRuns are as CreateRun has them.
	Keeps    bool          `msgpack:"rk,omitempty"`
	KeepFor  time.Duration `msgpack:"rf,omitempty"`
	KeepRuns int           `msgpack:"rn,omitempty"`
	// Born is its place in the order in which runs and operations were created,
	// from 1, which no clock has a part in. Zero is from before there was one.
	Born uint64 `msgpack:"bo,omitempty"`
	// Tags are as CreateRun has them.
	Tags []string `msgpack:"tg,omitempty"`
	// Line is where the run waits for a master, within its job.
	Line string `msgpack:"ln,omitempty"`
	// InLot says that what the run was created with, and its place in the lists, is
	// kept with its lot.
	InLot bool `msgpack:"il,omitempty"`
	// Lot is how many runs there were when this was made, of what is no run but a
	// lot of them: the status of each is what the lot's says, unless it has Left.
	// Over are those that have ended in the lot and Left those that have a status
	// of their own or were forgotten, a bit for each; Kept is how many were not
	// forgotten. The Journal of a lot is how its runs ended.
	Lot  uint64 `msgpack:"lo,omitempty"`
	Over []byte `msgpack:"lv,omitempty"`
	Left []byte `msgpack:"ll,omitempty"`
	Kept uint64 `msgpack:"lk,omitempty"`
	// Begins is what the journal of each run of a lot begins with, as the state
	// lists it.
	Begins []byte `msgpack:"lb,omitempty"`
	// Journal is the entries of a journal that is short, and History the first
	// happenings, as the state lists them.
	Journal []byte `msgpack:"jn,omitempty"`
	History []byte `msgpack:"hy,omitempty"`
}

// Waits is what a run waits for before it begins.
type Waits byte

// The reasons to wait.
const (
	WaitsForNothing Waits = iota
	WaitsForMaster        // it is in the order in which runs begin
	WaitsForTime          // it is not due yet
)
