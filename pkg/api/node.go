package api

import (
	"encoding/json"
	"time"
)

// Node is a member of the pool, and what it tells of itself.
type Node struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Gossip    string   `json:"gossip" doc:"Where it listens for membership."`
	RPC       string   `json:"rpc" doc:"Where it listens for everything else."`
	Roles     []string `json:"roles,omitempty" doc:"server holds the state, worker executes attempts, draining takes no more work."`
	Tags      []string `json:"tags,omitempty"`
	Version   string   `json:"version,omitempty"`
	Draining  bool     `json:"draining,omitempty" doc:"It takes no more work."`
	Slots     int      `json:"slots" doc:"How many attempts it executes at a time."`
	CPU       int      `json:"cpu" doc:"How many cores it has."`
	Memory    int64    `json:"memory" doc:"Bytes of memory that are free."`
	Disk      int64    `json:"disk" doc:"Bytes of disk that are free."`
	Running   int      `json:"running" doc:"Attempts that it executes."`
	Queued    int      `json:"queued" doc:"Attempts that wait on it."`
	Abandoned int      `json:"abandoned,omitempty" doc:"Attempts that ignored their cancellation."`
	Masters   int      `json:"masters" doc:"Runs that it conducts."`
	Ahead     Duration `json:"ahead" doc:"How far its clock is ahead of the leader's."`
	Within    Duration `json:"within" doc:"How far off that may be."`
}

// Nodes is the members of the pool, by their IDs.
type Nodes struct {
	Nodes []Node `json:"nodes"`
}

// Cluster is the cluster as a whole.
type Cluster struct {
	Name    string        `json:"name"`
	ID      string        `json:"id" doc:"Tells it from all others of the name."`
	Leader  string        `json:"leader" doc:"The ID of the node that leads."`
	Term    uint64        `json:"term" doc:"How many elections there were, at most."`
	Servers int           `json:"servers" doc:"How many nodes are to hold the state."`
	Voters  []Voter       `json:"voters" doc:"The servers that elect the leader."`
	Members int           `json:"members" doc:"How many members the pool has."`
	Health  string        `json:"health" enum:"healthy,degraded" doc:"degraded if a server is missing or a clock is far off."`
	Why     []string      `json:"why,omitempty" doc:"What is not as it should be."`
	Skew    Duration      `json:"skew" doc:"How far the clock that is furthest off is from the leader's."`
	Asked   NodeReference `json:"asked" doc:"The node that answered."`
}

// NodeReference names a node.
type NodeReference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Voter is a server that elects the leader.
type Voter struct {
	NodeReference
	InPool bool `json:"in_pool" doc:"Gossip has it among the members."`
}

// Processor is what members of the pool can run.
type Processor struct {
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	Keyed    bool     `json:"keyed,omitempty" doc:"It maps to pairs."`
	Prepares bool     `json:"prepares,omitempty" doc:"It has a first step of its own."`
	Reduces  bool     `json:"reduces,omitempty" doc:"It sees the results of all tasks."`
	Nodes    []string `json:"nodes" doc:"The IDs of the members that have it."`
}

// Processors is what members of the pool can run, by name.
type Processors struct {
	Processors []Processor `json:"processors"`
}

// Event is something that has happened, which jobs may be due for.
type Event struct {
	Name string          `json:"name" minLength:"1" maxLength:"200" example:"order.paid" doc:"Which event it is."`
	ID   string          `json:"id,omitempty" maxLength:"200" doc:"Tells it from others of the name: sent again within an hour it is the same event. Left out, one is made up."`
	Data json.RawMessage `json:"data,omitempty" doc:"What it says, at most 64 KiB."`
}

// Sent is what became of an event.
type Sent struct {
	ID    string `json:"id"`
	Jobs  int    `json:"jobs" doc:"How many jobs listen to it."`
	Known bool   `json:"known,omitempty" doc:"It had been sent before, and nothing was told again."`
}

// Attempt is an attempt at a task that has ended.
type Attempt struct {
	Task        string   `json:"task" example:"m12"`
	Attempt     int      `json:"attempt" doc:"1 for the first try."`
	Epoch       uint64   `json:"epoch" doc:"That of the master that placed it."`
	Node        string   `json:"node,omitempty" doc:"The ID of the node that executed it."`
	State       string   `json:"state" enum:"succeeded,failed,retried" doc:"failed is for good; retried was followed by another attempt."`
	Reason      string   `json:"reason,omitempty" doc:"Why it did not succeed."`
	Quarantined bool     `json:"quarantined,omitempty" doc:"It was lost too often together with its node."`
	Files       []string `json:"files,omitempty" doc:"Names of the files that it created."`
	Took        Duration `json:"took" doc:"How long it executed."`
	Bytes       int64    `json:"bytes,omitempty" doc:"How much input it read."`
}

// Attempts is a page of attempts, in the order in which they were recorded.
type Attempts struct {
	Attempts []Attempt `json:"attempts"`
	// Compacted says that some that succeeded were passed over.
	Compacted bool `json:"compacted,omitempty" doc:"Some were passed over: of a large run that has succeeded, what succeeded before the reduce step is counted in its progress and not kept."`
	Page
}

// Result is a page of what a run returned.
type Result struct {
	Items []Item `json:"items"`
	Page
}

// LogLine is a line that an attempt wrote, or that stands where lines were
// dropped.
type LogLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level" example:"INFO"`
	Node    string    `json:"node,omitempty" doc:"The name of the node."`
	Task    string    `json:"task,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Seq     uint64    `json:"seq,omitempty" doc:"Counts the lines of the attempt, from 1."`
	Text    string    `json:"text"`
	Attrs   []LogAttr `json:"attrs,omitempty"`
	Dropped uint64    `json:"dropped,omitempty" doc:"How many lines this one stands for."`
	Cursor  string    `json:"cursor" doc:"Its place, for the parameter of that name."`
}

// LogAttr is an attribute of a line.
type LogAttr struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// LogLines is a page of lines.
type LogLines struct {
	Lines []LogLine `json:"lines"`
	Page
}

// NamespaceNames is the namespaces that there are: those of which something is
// said, and those that have jobs or runs.
type NamespaceNames struct {
	Namespaces []string `json:"namespaces"`
}
