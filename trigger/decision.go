package trigger

import "time"

// State is what is known of a trigger beside its timetable.
type State struct {
	// Cursor is the last nominal instant that is settled: nothing at or before
	// it is due any more, whatever the clock says. It begins as the moment of
	// saving, and only moves forward: when the schedule is edited, to the
	// moment of that, so that an edit never fires back in time.
	Cursor time.Time
	// Runs is how many runs were made, for MaxRuns.
	Runs int
	// PausedAt is when the last pause began, ResumedAt when it ended; zero
	// means that there was none, or that it has not ended.
	PausedAt, ResumedAt time.Time
	// Running and EndedAt are for ModeDelay: whether the last run goes on, and
	// when it ended.
	Running bool
	EndedAt time.Time
}

// Reason is why a run exists.
type Reason string

// The reasons.
const (
	ReasonFire       Reason = "fire"
	ReasonCatchUp    Reason = "catchup" // of a fire that was missed
	ReasonBackfill   Reason = "backfill"
	ReasonManual     Reason = "manual"
	ReasonEvent      Reason = "event"
	ReasonDependency Reason = "dependency"
	ReasonWorkflow   Reason = "workflow"
	ReasonLifecycle  Reason = "lifecycle"
	ReasonRetry      Reason = "retry"
)

// Cause is why a fire makes no run.
type Cause string

// The causes.
const (
	CauseOverlap  Cause = "overlap"  // the run before it was not over
	CauseMisfire  Cause = "misfire"  // nobody noticed it in time, and the policy drops it
	CauseBlackout Cause = "blackout" // it was in a blackout, which dropped or gathered it
	CausePaused   Cause = "paused"   // the trigger was paused
	CauseBuffer   Cause = "buffer"   // too many others wait
	CauseExpired  Cause = "expired"  // it was missed, and is older than CatchUp
)

// Due is a fire that becomes a run.
type Due struct {
	// Nominal is the instant of the fire, which the run's ID is made of.
	Nominal time.Time
	// Start is when the run is to start: Nominal and its share of the jitter.
	Start time.Time
	// Reason is ReasonFire, ReasonCatchUp or ReasonBackfill.
	Reason Reason
	// Missed is how many fires a run for the last of them stands for, itself
	// included, and From the first of them. It is 0 for a run that stands for
	// its own fire.
	Missed int
	From   time.Time
}

// Skip is a number of fires that make no run.
type Skip struct {
	Cause Cause
	// From and To are within what the fires lie.
	From, To time.Time
	// Count is how many there are, or AtLeast, if they were too many to count.
	Count   int
	AtLeast bool
}

// Decision is what becomes of the fires up to now.
type Decision struct {
	// Runs are to be made, in this order.
	Runs []Due
	// Skipped is all that makes no run, but for what the overlap policy will
	// say about Runs.
	Skipped []Skip
	// Cursor is the State's next one. Runs, skips and cursor belong into one
	// transaction.
	Cursor time.Time
	// More is set if there were too many runs for one decision: record this
	// one and decide again.
	More bool
	// Wake is when to decide again. Zero means not before the State changes.
	Wake time.Time
	// Ended is set if nothing will be due any more.
	Ended bool
}

// The most runs of one decision.
const maxDue = 1000
