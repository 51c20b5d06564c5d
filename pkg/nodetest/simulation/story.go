// Package simulation judges whether a cluster kept its promises while
// everything was broken around it.
//
// Its tests run whole clusters on a simulated network in a bubble of time,
// break them by the seed of a random number generator, and write down what was
// asked of them and what they said: a Story. Check says which promises a story
// breaks. It is a function of the story: it asks nobody and reads no clock.
package simulation

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Story is what was asked of a cluster and what it said, from its beginning
// until everything has been healed, has come to rest, was killed and started
// again. Moments are numbers that grow: what ended before something else began
// has the lower one.
type Story struct {
	Submits []Submit
	Events  []Event
	Asks    []Ask
	Pauses  []Pause
	Sights  []Sight
	// Ends are what those were told who waited for runs.
	Ends map[job.RunID]End
	// Attempts are those whose execution took a while, and Cuts the times
	// during which a node could reach no other.
	Attempts []Attempt
	Cuts     []Cut
	// Executed is how often each task of a run was executed to its end, by the
	// processors' own account, of runs by their key.
	Executed map[string]map[string]int
	// Rested are all runs when everything had come to rest, and Risen those
	// there were after all nodes were killed at once and started again.
	Rested, Risen []job.Run
	// Jobs are the declared jobs at that time.
	Jobs []job.Declared
	// Copies are the servers' copies of the state, by name: what each has
	// under every key.
	Copies map[string]map[string]string
	// Leaders is how many nodes led when everything had come to rest.
	Leaders int
}

// Work is what a run is to do.
type Work struct {
	Job  string // the name of the job
	Key  string // what the caller names the run by
	Want string // what it returns, as text
	// Tasks is how many it has in all, and Executed how many of those the
	// processor gives account of. Zero means as many as it was planned with,
	// where that depends on who is there.
	Tasks, Executed int
	// Doomed says that it fails, and that a retry of it succeeds.
	Doomed bool
}

// Submit is a run that somebody asked for.
type Submit struct {
	Work
	Asked, Told int
	// ID is the run's if it was accepted.
	ID job.RunID
	// Nothing says that the answer was that nothing was recorded.
	Nothing bool
}

// Event is one that somebody told the cluster of, perhaps more than once.
type Event struct {
	ID   string
	Done bool // it was acknowledged
}

// Ask is a request about a run that was acknowledged, or may have come
// through.
type Ask struct {
	Kind        AskKind
	Run         job.RunID
	Asked, Told int
	Done        bool      // it was acknowledged
	Made        job.RunID // by a retry
}

// AskKind is what somebody asked for.
type AskKind string

// What can be asked for.
const (
	Cancel AskKind = "cancel"
	Stop   AskKind = "stop"
	Retry  AskKind = "retry"
)

// Pause is a time during which a job was certainly paused: from when that was
// acknowledged until somebody asked for the end of it.
type Pause struct {
	Job      string
	From, To int
}

// Sight is the record of a run as somebody was told it.
type Sight struct {
	Asked, Told int
	Run         job.Run
}

// End is what was told to somebody who waited for a run.
type End struct {
	State job.State
	Value string // as text
	Err   string // why the value could not be read
}

// Attempt is the execution of an attempt, by the processor's own account.
type Attempt struct {
	Node, Name   string
	Began, Ended time.Time
}

// Cut is a time during which a node could reach no other.
type Cut struct {
	Node     string
	From, To time.Time
}
