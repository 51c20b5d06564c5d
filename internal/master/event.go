package master

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// NoEntry is the journal entry of a task that has no payload in the journal.
const NoEntry = ^uint64(0)

// An Event is something that happened to the run.
type Event interface{ event() }

// Member is a member of the pool as a master sees it.
type Member struct {
	sharding.Member
	// Life tells one life of the member from another: a member that was
	// restarted has lost what it had.
	Life uint64
	// Unfit says why the member can't work on this run, whatever its job asks
	// for. Empty means that it can.
	Unfit string
}

type (
	// Tasks says that a chunk of the input is in the journal.
	Tasks struct {
		Seq uint64
		N   int
	}
	// Staged says that an attempt hands over one of its chunks of subtasks or
	// pairs, which is to become journal entry Seq. It is answered by Keep if
	// the entry should be written, by Refuse if the attempt does not count,
	// and by neither if the chunk is there already. Before Begin it tells of
	// an entry that is in the journal.
	Staged struct {
		Task    job.TaskID
		Epoch   uint64
		Attempt int
		Index   int
		Seq     uint64
		N       int
		Pairs   bool
	}
	// Recorded tells, before Begin, of an outcome in the journal.
	Recorded struct {
		Member  string
		Epoch   uint64
		Outcome job.Outcome
	}
	// Intended tells, before Begin, of an Intend in the journal.
	Intended struct {
		Epoch        uint64
		Member, Name string
		Life         uint64
		Tasks        []job.TaskID
	}
	// Lost tells, before Begin, of a Lose in the journal.
	Lost struct {
		Epoch uint64
		Name  string
		Tasks []job.TaskID
	}
	// HandedOver tells, before Begin, that the master of an epoch ended in
	// good order, so that nothing was lost with its node.
	HandedOver struct{ Epoch uint64 }
	// Begin ends the journal. Elapsed is how old the run is. Canceled is set if
	// somebody has asked for it to end early, and says why.
	Begin struct {
		Members  []Member
		Elapsed  time.Duration
		Canceled string
	}
	// Joined says that a member is new, or that what is known of it is.
	Joined struct{ Member Member }
	// Left says that a member is gone, with every attempt it had and all the
	// map output it held. So does Joined with another Life.
	Left struct{ Member string }
	// Window says how many tasks of the run a member is ready to hold.
	Window struct {
		Member string
		Tasks  int
	}
	// Reported says how attempts on a member ended.
	Reported struct {
		Member   string
		Outcomes []job.Outcome
	}
	// Undelivered says that tasks did not reach the member they were assigned
	// to, or may have if they were Sent. It gets no others before Until.
	Undelivered struct {
		Member string
		Tasks  []Placed
		Sent   bool
		Until  time.Duration
	}
	// Tick says that time has passed.
	Tick struct{}
	// Cancel asks for the run to end early.
	Cancel struct{ Reason string }
)

func (Tasks) event()       {}
func (Staged) event()      {}
func (Recorded) event()    {}
func (Intended) event()    {}
func (Lost) event()        {}
func (HandedOver) event()  {}
func (Begin) event()       {}
func (Joined) event()      {}
func (Left) event()        {}
func (Window) event()      {}
func (Reported) event()    {}
func (Undelivered) event() {}
func (Tick) event()        {}
func (Cancel) event()      {}

// An Effect is something for the node to do.
type Effect interface{ effect() }

// Placed is an attempt that a member should make.
type Placed struct {
	ID      job.TaskID
	Attempt int
	Parent  job.TaskID
	// Seq and At are the journal entry that holds the task, and the task's
	// place in it. Seq may be NoEntry.
	Seq uint64
	At  int
}

type (
	// Record asks for outcomes to be written to the journal.
	Record struct {
		Member   string
		Outcomes []job.Outcome
	}
	// Intend asks for it to be written that tasks are about to be placed on the
	// member that the master lives on, and so may be lost together with the
	// master. No member says that they are not there any more.
	Intend struct {
		Member, Name string
		Life         uint64
		Tasks        []job.TaskID
	}
	// Lose asks for it to be written which tasks a member took with it.
	Lose struct {
		Member, Name string
		Tasks        []job.TaskID
	}
	// Keep asks for the chunk of the Staged that it answers to be written.
	Keep struct{}
	// Refuse says that the attempt that staged a chunk does not count.
	Refuse struct{ Reason string }
	// Assign places attempts on a member.
	Assign struct {
		Member  string
		Tasks   []Placed
		Lost    bool         // they were lost with a member that had them, or with a master: others wait for them
		Before  []byte       // the result of the task before the others
		Sources []job.Source // of keyed reduce tasks
	}
	// Recall takes tasks back from a member, or all that it has if none are
	// named.
	Recall struct {
		Member string
		Tasks  []job.TaskID
		Reason string
	}
	// Wake asks for a Tick at a time.
	Wake struct{ At time.Duration }
	// Note tells something for the run's history.
	Note struct{ Text string }
	// Finish ends the run. What is still placed is called off.
	Finish struct {
		State  job.State
		Reason string // why it did not succeed
	}
)

func (Record) effect() {}
func (Intend) effect() {}
func (Lose) effect()   {}
func (Note) effect()   {}
func (Keep) effect()   {}
func (Refuse) effect() {}
func (Assign) effect() {}
func (Recall) effect() {}
func (Wake) effect()   {}
func (Finish) effect() {}
