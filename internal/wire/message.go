package wire

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// The methods that nodes call on each other. Those of the state are answered
// by the node that holds it, those of a run by its master or a worker.
const (
	MethodDescribe = "node.describe" // Nothing -> Describe
	MethodDrain    = "node.drain"    // Drain -> Nothing

	MethodDispatch = "worker.dispatch" // Dispatch -> Dispatched
	MethodRecall   = "worker.recall"   // Recall -> Nothing
	MethodForget   = "worker.forget"   // RunRef -> Nothing
	MethodExecute  = "worker.execute"  // Execute -> Executing

	MethodReport   = "master.report"   // Report -> Reported
	MethodStage    = "master.stage"    // Staged -> Nothing
	MethodReports  = "master.reports"  // Reports -> Settled
	MethodConduct  = "master.conduct"  // Conduct -> Nothing
	MethodHold     = "master.hold"     // Hold -> Nothing
	MethodBegin    = "master.begin"    // BeginHeld -> Nothing
	MethodProgress = "master.progress" // RunRef -> job.Progress
	MethodCancel   = "master.cancel"   // RunRef -> Nothing
	MethodConducts = "master.conducts" // Nothing -> []RunRef
	MethodDismiss  = "master.dismiss"  // RunRef -> Nothing

	MethodStanding = "server.standing" // Nothing -> Standing; every server answers
	MethodPromise  = "server.promise"  // Promise -> Nothing; every server answers

	MethodCreate  = "state.create"  // Create -> job.Run
	MethodCreates = "state.creates" // Creates -> Accepted
	MethodEndings = "state.endings" // Endings -> Ended
	MethodInput   = "state.input"   // Journal -> Nothing
	MethodAppend  = "state.append"  // Journal -> Nothing
	MethodFinish  = "state.finish"  // Finish -> Nothing
	MethodNote    = "state.note"    // Note -> Nothing
	MethodEnd     = "state.cancel"  // RunRef -> job.Run
	MethodResign  = "state.resign"  // RunRef -> Nothing
	MethodRun     = "state.run"     // RunRef -> job.Run
	MethodRuns    = "state.runs"    // Page -> []job.Run
	MethodFind    = "state.find"    // job.RunQuery -> job.RunPage
	MethodEnds    = "state.ends"    // stream: Awaits -> Ends
	MethodEntry   = "state.entry"   // EntryRef -> the entry
	MethodJournal = "state.journal" // stream: JournalRef -> entries
	MethodRenew   = "state.renew"   // Renew -> Renewed
	MethodRetry   = "state.retry"   // Retry -> job.Run

	MethodPutJob    = "state.put-job"    // PutJobRequest -> job.Declared
	MethodJob       = "state.job"        // JobRef -> job.Declared
	MethodJobInput  = "state.job-input"  // JobRef -> JobInput
	MethodJobs      = "state.jobs"       // JobPage -> []job.Declared
	MethodRevisions = "state.revisions"  // JobRef -> []job.Revision
	MethodDeleteJob = "state.delete-job" // JobRef -> Nothing
	MethodRunJob    = "state.run-job"    // job.Run -> job.Run
	MethodBackfill  = "state.backfill"   // Backfill -> Backfilled
	MethodSend      = "state.send"       // job.Event -> Told

	MethodPutNamespace = "state.put-namespace" // job.Namespace -> Nothing
	MethodNamespaces   = "state.namespaces"    // Nothing -> []job.Namespace

	MethodPutToken     = "state.put-token"    // NewToken -> job.Token
	MethodTokens       = "state.tokens"       // Nothing -> []job.Token
	MethodRevokeToken  = "state.revoke-token" // TokenRef -> Nothing
	MethodAuthenticate = "state.authenticate" // Proof -> job.Token
	MethodRecord       = "state.record"       // job.Audit -> Nothing
	MethodAudit        = "state.audit"        // job.AuditQuery -> job.AuditPage

	MethodBulk            = "state.bulk"             // BeginBulk -> job.Operation
	MethodCountRuns       = "state.count-runs"       // CountRuns -> CountedRuns
	MethodOperation       = "state.operation"        // OperationRef -> job.Operation
	MethodOperations      = "state.operations"       // job.OperationQuery -> job.OperationPage
	MethodAwaitOperation  = "state.await-operation"  // AwaitOperation -> job.Operation
	MethodCancelOperation = "state.cancel-operation" // OperationRef -> job.Operation

	MethodChanges = "state.changes" // stream: ChangesRef -> job.ChangePage; every server answers

	MethodBackup = "state.backup" // stream: nothing -> a backup

	MethodPause  = "state.pause"  // JobRef -> Nothing
	MethodResume = "state.resume" // JobRef -> Nothing
	MethodRemove = "state.remove" // Renew -> Nothing

	// Between those that hold the state.
	MethodRaft   = "state.raft"   // RaftRequest -> RaftAnswer, as a call and as a stream
	MethodServer = "state.server" // Nothing -> ServerStatus
)

// Nothing is a message without content.
type Nothing struct{}

// Describe is what a node tells of itself beyond what gossip carries.
type Describe struct {
	Processors []Processor `msgpack:"p"`
	CPU        int         `msgpack:"c"`
	Memory     int64       `msgpack:"m"` // bytes available
	Disk       int64       `msgpack:"d"` // bytes free where its data is
	Running    int         `msgpack:"r"` // attempts at this moment
	Queued     int         `msgpack:"q"`
	Abandoned  int         `msgpack:"a"` // goroutines that ignored their end
	Masters    int         `msgpack:"ma"`
	Servers    int         `msgpack:"s,omitempty"` // Config.Servers
	Name       string      `msgpack:"nm,omitempty"`
	Client     bool        `msgpack:"cl,omitempty"` // it only asks
	// Ahead is how far the node's wall clock is ahead of the leader's, as it
	// has measured, and Within how far off that may be.
	Ahead  time.Duration `msgpack:"ah,omitempty"`
	Within time.Duration `msgpack:"wi,omitempty"`
}

// Standing is what a node that holds the state knows of the cluster.
type Standing struct {
	Leader  string `msgpack:"l,omitempty"` // ID, or empty if it knows of none
	Term    uint64 `msgpack:"t,omitempty"`
	Cluster string `msgpack:"c,omitempty"`
	Empty   bool   `msgpack:"e,omitempty"` // it holds no state yet
	Servers int    `msgpack:"s,omitempty"` // Config.Servers
	Waiting string `msgpack:"w,omitempty"` // what it waits for, if it is Empty
	// Voters are the names of the servers that elect the leader, by ID.
	Voters map[string]string `msgpack:"v,omitempty"`
}

// Promise asks a server to follow the one that founds a cluster, in one of its
// lives, or gives that promise back.
type Promise struct {
	Node string `msgpack:"n"`
	Life uint64 `msgpack:"l"`
	Back bool   `msgpack:"b,omitempty"`
}

// Renew tells the leader that a node is there, in which of its lives.
type Renew struct {
	Node string `msgpack:"n"`
	Life uint64 `msgpack:"l"`
}

// Renewed answers a Renew.
type Renewed struct {
	// Fenced says that the leader had given this life of the node up.
	Fenced bool      `msgpack:"f,omitempty"`
	Now    time.Time `msgpack:"t"` // by the leader's wall clock
}

// Drain has a node take no more work, or take work again.
type Drain struct {
	Off bool `msgpack:"o,omitempty"`
}

// PutJobRequest declares a job. Its first chunk, if it has any, is a run that is
// a model of all others, and the rest what the journals of those begin with.
type PutJobRequest struct {
	Spec   job.Spec `msgpack:"s"`
	Chunks [][]byte `msgpack:"c,omitempty"`
	Expect uint64   `msgpack:"e,omitempty"` // revision
	New    bool     `msgpack:"n,omitempty"` // refuse if there is another one of the name
}

// JobPage asks for the jobs after one, in the order of their names.
type JobPage struct {
	Namespace string `msgpack:"n,omitempty"`
	After     string `msgpack:"a,omitempty"`
	Limit     int    `msgpack:"l,omitempty"`
}

// Backfill asks for the runs of past fires, from one instant up to and without
// another.
type Backfill struct {
	Namespace string    `msgpack:"n"`
	Name      string    `msgpack:"j"`
	From      time.Time `msgpack:"f"`
	Until     time.Time `msgpack:"u"`
}

// Backfilled answers a Backfill: how many runs it made, and where to go on.
type Backfilled struct {
	Made int       `msgpack:"m"`
	Rest time.Time `msgpack:"r,omitempty"`
}

// JobRef names a job, and says why where a method wants that.
type JobRef struct {
	Namespace string `msgpack:"n"`
	Name      string `msgpack:"j"`
	Reason    string `msgpack:"w,omitempty"`
}

// JobInput is a declared job, and the input that came with it: a model of its
// runs and entries of their journals.
type JobInput struct {
	Job    job.Declared `msgpack:"j"`
	Chunks [][]byte     `msgpack:"c,omitempty"`
}

// Told is what became of an event: how many jobs it was told to, and whether it
// had been told before.
type Told struct {
	Jobs  int  `msgpack:"n"`
	Known bool `msgpack:"k,omitempty"`
}

// Retry asks for the next attempt of a run that did not succeed.
type Retry struct {
	Run job.RunID `msgpack:"r"`
	// All runs every task again, not only those that did not succeed.
	All bool `msgpack:"a,omitempty"`
}

// Processor is what a node tells of a processor it has.
type Processor struct {
	Name     string `msgpack:"n"`
	Version  string `msgpack:"v,omitempty"`
	Keyed    bool   `msgpack:"k,omitempty"`
	Combines bool   `msgpack:"c,omitempty"` // keyed, and values of a key become one before they leave
	Prepares bool   `msgpack:"b,omitempty"`
	Reduces  bool   `msgpack:"r,omitempty"`
}

// RunRef names a run, and the epoch and reason where a method wants them.
type RunRef struct {
	Run    job.RunID `msgpack:"r"`
	Epoch  uint64    `msgpack:"e,omitempty"`
	Reason string    `msgpack:"w,omitempty"`
	// Now ends the run at once, without waiting for its attempts.
	Now bool `msgpack:"k,omitempty"`
}

// Dispatch hands tasks to a worker.
type Dispatch struct {
	Run     job.Run  `msgpack:"r"`
	Lost    bool     `msgpack:"l,omitempty"` // they were lost with a member, and go ahead
	Before  []byte   `msgpack:"b,omitempty"`
	Sources []Source `msgpack:"s,omitempty"`
	N       int      `msgpack:"n"`
	Tasks   []byte   `msgpack:"t"` // AppendTask
}

// Source is job.Source in a message.
type Source struct {
	Node string            `msgpack:"n"`
	Maps []job.MapOutputID `msgpack:"m"`
}

// Dispatched answers a Dispatch: tasks that the worker does not take, and how
// many tasks of the run it is ready to hold.
type Dispatched struct {
	Refused []byte `msgpack:"r,omitempty"` // outcomes
	Window  int    `msgpack:"w"`
}

// Recall asks a worker to cancel attempts at tasks of a run, or at all of its
// tasks if none are named.
type Recall struct {
	Run    job.RunID    `msgpack:"r"`
	Epoch  uint64       `msgpack:"e"`
	Tasks  []job.TaskID `msgpack:"t,omitempty"`
	Reason string       `msgpack:"w"`
}

// Report tells a master how attempts ended. It is answered when what the
// master made of them is durable.
type Report struct {
	Run      job.RunID `msgpack:"r"`
	Epoch    uint64    `msgpack:"e"`
	Window   int       `msgpack:"w"`
	Outcomes []byte    `msgpack:"o"`
	// N is how many Outcomes there are, if the worker says so.
	N int `msgpack:"n,omitempty"`
	// Given are the outcomes as they are, in place of Outcomes, from a worker on the
	// node of the master.
	Given []job.Outcome `msgpack:"-"`
}

// Staged is a blob that an attempt hands over before it ends: subtasks or
// pairs. It is answered when it is going to be durable before any outcome that is
// reported from then on.
type Staged struct {
	Run     job.RunID  `msgpack:"r"`
	Epoch   uint64     `msgpack:"e"`
	Task    job.TaskID `msgpack:"t"`
	Attempt int        `msgpack:"a"`
	Index   int        `msgpack:"i"`
	Kind    EntryKind  `msgpack:"k"`
	N       int        `msgpack:"n"`
	Blob    []byte     `msgpack:"b"`
}

// Create records a run, with its input if that fits into the message.
type Create struct {
	Run    job.Run  `msgpack:"r"`
	Chunks [][]byte `msgpack:"c,omitempty"` // entries
}

// Journal is entries for a run's journal, the first as number First.
type Journal struct {
	Run     job.RunID `msgpack:"r"`
	Epoch   uint64    `msgpack:"e"`
	First   uint64    `msgpack:"f"`
	Entries [][]byte  `msgpack:"b"`
}

// Finish records how a run ended.
type Finish struct {
	Run      job.RunID    `msgpack:"r"`
	Epoch    uint64       `msgpack:"e"`
	State    job.State    `msgpack:"s"`
	Reason   string       `msgpack:"w,omitempty"`
	Progress job.Progress `msgpack:"p"`
}

// Note tells something for a run's history. Nothing depends on it.
type Note struct {
	Run   job.RunID `msgpack:"r"`
	Epoch uint64    `msgpack:"e"`
	Text  string    `msgpack:"t"`
}

// JournalRef asks for the entries of some kinds from a run's journal, or for
// all if it names none.
type JournalRef struct {
	Run   job.RunID   `msgpack:"r"`
	Kinds []EntryKind `msgpack:"k,omitempty"`
	// From is the first entry that is wanted. With Back those below it are, from
	// the last to the first.
	From uint64 `msgpack:"f,omitempty"`
	Back bool   `msgpack:"b,omitempty"`
	// Epoch and Done are what the reader knows of the run: a copy of the state
	// that does not know as much yet has no complete journal.
	Epoch uint64 `msgpack:"e,omitempty"`
	Done  bool   `msgpack:"d,omitempty"`
}

// EntryRef names one entry of a run's journal.
type EntryRef struct {
	Run job.RunID `msgpack:"r"`
	Seq uint64    `msgpack:"s"`
}

// Page asks for the runs after one, in the order of their IDs.
type Page struct {
	After job.RunID `msgpack:"a,omitempty"`
	Limit int       `msgpack:"l,omitempty"`
}
