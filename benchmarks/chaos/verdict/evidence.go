// Package verdict judges what a cluster did while things failed.
//
// It is given what was asked of the cluster, what the cluster says it did,
// what its attempts noted elsewhere, and when what was broken; it says what
// was lost, counted twice, wrong or done again, and how long each recovery
// took. It is a function of its arguments: it talks to nobody and reads no
// clock, so its own tests can forge every kind of evidence.
package verdict

import (
	"slices"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/pkg/job"
)

// Evidence is all that is known when the dust has settled. Times are wall
// clock times of one machine.
type Evidence struct {
	// Runs are the runs that were submitted, whether that was acknowledged or
	// not.
	Runs []Run
	// Listed are the runs that the cluster says it has.
	Listed []job.Run
	// Executions are the attempts, as those who made them noted them, in the
	// order in which they began.
	Executions []ledger.Execution
	// Faults are what was broken, in the order in which it was.
	Faults []Fault
	// Progress is where runs stood when somebody looked, in that order.
	Progress []Sample
	// Writes are attempts to have something accepted, in the order in which
	// they began.
	Writes []Write
}

// A Run is one that was submitted.
type Run struct {
	// Kind is what sort of work it is, for people.
	Kind string
	// Key is what the caller named it by. No two runs have the same.
	Key string
	// ID is empty if it is not known because nobody acknowledged the run.
	ID job.RunID
	// Submitted is when it was, Accepted when that was acknowledged. A run
	// that may or may not have been accepted has no Accepted.
	Submitted, Accepted time.Time

	// Seen is the record of the run when it was first seen to be over, and
	// Final the one at the end. Nil means that there was none.
	Seen, Final *job.Run
	// Want is what the run is to return, Got what it did return, both as text.
	Want map[string]string
	Got  []Item
	// Unread says why Got could not be read.
	Unread string
	// Excused are the items that the run says it has no result for, with the
	// reasons. It is excused if whoever the item is named after was broken
	// meanwhile.
	Excused map[string]string
	// Tasks is how many tasks the run is to have in all.
	Tasks int
	// Noted says that the ledger has every attempt at a task of the run.
	Noted bool
	// Keyed says that the run's map tasks have outputs that can be lost with
	// their node, and are then made again.
	Keyed bool
}

// An Item is a piece of what a run returned.
type Item struct{ Key, Value string }

// A Fault is something that was broken for a while.
type Fault struct {
	// Kind is one word for what was done, as in "kill-master".
	Kind string
	// Nodes are the names of those it was done to.
	Nodes []string
	// Gone says that the nodes could do nothing for the others meanwhile.
	Gone bool
	// Peace says that the nodes were asked to stop working, and were to end
	// first what they executed.
	Peace bool
	// Leader says that one of them led; Masters are the runs that they
	// conducted, by their ID with the epoch in which they did.
	Leader  bool
	Masters map[job.RunID]uint64
	// Began is when it was done and Ended when it was undone.
	Began, Ended time.Time
}

// during reports whether any of the fault was between the two instants.
func (f *Fault) during(from, to time.Time) bool {
	return f.Began.Before(to) && f.Ended.After(from)
}

// on reports whether the fault was on a node.
func (f *Fault) on(node string) bool { return slices.Contains(f.Nodes, node) }

// A Sample is where a run stood.
type Sample struct {
	At    time.Time
	Run   job.RunID
	Epoch uint64 // of the master that said so
	Done  int    // tasks
	Over  bool   // the run had ended
}

// A Write is one attempt to have something accepted.
type Write struct {
	Began, Ended time.Time
	// Cut says that the writer could reach a minority of the servers only.
	Cut bool
	// Err is why it was not accepted, or empty.
	Err string
}
