package job

import "time"

// Task is a task as a worker gets it: one attempt to make.
type Task struct {
	ID      TaskID
	Attempt int
	// Name is the level that the parent emitted the task under. Empty for a
	// task that has no parent.
	Name string
	// Parent is the task that emitted this one. The zero value is none.
	Parent TaskID
	// Payload is what the processor works on. It is shared: nobody writes it.
	Payload []byte
	// Shard is the task's place among its siblings.
	Shard Shard
}

// Shard is the place of a task among the tasks that the run began with.
type Shard struct {
	Index, Total int
}

// Batch is tasks of one run on their way to one worker.
type Batch struct {
	Run   *Run
	Tasks []Task
	// Lost says that the tasks were lost with a worker that had them. They go
	// ahead of all that waits for a slot, of whatever run: they had their turn.
	Lost bool
	// Before is the result of the task that ran before all others, if any.
	Before []byte
	// Sources says where the pairs are that reduce tasks of a keyed run read.
	Sources []Source
}

// Source is the map output that one node holds.
type Source struct {
	Node string        // its ID
	Maps []MapOutputID // in task order
}

// MapOutputID names the output of one map attempt within its run.
type MapOutputID struct {
	Task    int    `msgpack:"t"`
	Epoch   uint64 `msgpack:"e"`
	Attempt int    `msgpack:"a"`
}

// Subtask is a task that an attempt emits.
type Subtask struct {
	Name    string
	Payload []byte
}

// Outcome is how one attempt ended.
type Outcome struct {
	Task    TaskID `msgpack:"t"`
	Attempt int    `msgpack:"a"`
	// Result is what a successful attempt returned, encoded.
	Result []byte `msgpack:"r,omitempty"`
	// Files are the names of the files it created.
	Files []string `msgpack:"f,omitempty"`
	// Failure is set if the attempt did not succeed.
	Failure *Failure `msgpack:"x,omitempty"`
	// Took is how long it executed, by the worker's clock.
	Took time.Duration `msgpack:"d,omitempty"`
	// Bytes is how much input it read, as far as the runtime saw it.
	Bytes int64 `msgpack:"b,omitempty"`
}

// Failure is why an attempt did not succeed, and what to do about it.
type Failure struct {
	// Reason is the error's text.
	Reason string `msgpack:"r"`
	// Permanent says that there is no other attempt: it would not help or, if
	// it is Exhausted, there were as many as there may be.
	Permanent bool `msgpack:"p,omitempty"`
	Exhausted bool `msgpack:"x,omitempty"`
	// After is how long to wait before the next attempt. Zero leaves it to
	// the job's back-off.
	After time.Duration `msgpack:"a,omitempty"`
	// Lost are map outputs that the attempt could not read. The attempt is
	// not to blame for them.
	Lost []MapOutputID `msgpack:"l,omitempty"`
	// Refused says that the worker did not start the attempt or stopped it for
	// reasons of its own, so that it does not count as one. The worker gets no
	// more tasks of the run, or none for the time in After if that is set.
	Refused bool `msgpack:"n,omitempty"`
	// Quarantined says that the task failed because it was lost too often
	// together with the node that had it.
	Quarantined bool `msgpack:"q,omitempty"`
}
