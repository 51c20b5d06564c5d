package job

import (
	"time"

	"github.com/musterhq/muster/trigger"
)

// Declared is a job as the cluster keeps it.
type Declared struct {
	Spec Spec `msgpack:"s"`
	// Inline says that its Input has Values, whether they are in the Spec or not:
	// they are left out where nobody asks for them.
	Inline bool `msgpack:"i,omitempty"`
	// Revision counts the changes of the spec, from 1.
	Revision uint64 `msgpack:"r"`
	// Saved is when this revision took effect.
	Saved time.Time `msgpack:"t"`
	// Fires is what became of its trigger.
	Fires Fires `msgpack:"f,omitempty"`
	// Cluster is the ID of the cluster, on which the jitter of fires depends,
	// or of the one that it was restored from.
	Cluster string `msgpack:"cl,omitempty"`
	// Missing are the jobs that it is due after and that are not declared. It
	// is left out where jobs are listed.
	Missing []string `msgpack:"ms,omitempty"`
}

// Revision is what a job was declared as for a time.
type Revision struct {
	Revision uint64 `msgpack:"r"`
	// Saved is when it took effect.
	Saved time.Time `msgpack:"t"`
	// Spec is the job, without the Values of its Input.
	Spec Spec `msgpack:"s"`
}

// Fires is what became of a job's trigger so far.
type Fires struct {
	// Cursor is the instant up to which all fires are settled.
	Cursor time.Time `msgpack:"c,omitempty"`
	// Wake is when the next fire is settled. Zero means that none is expected,
	// and Ended that there will be none any more.
	Wake  time.Time `msgpack:"w,omitempty"`
	Ended bool      `msgpack:"e,omitempty"`
	// Seq counts the settlements.
	Seq uint64 `msgpack:"q,omitempty"`
	// Runs is how many runs the trigger has made, Active those that are not
	// over, and Last the latest.
	Runs   int     `msgpack:"n,omitempty"`
	Active []RunID `msgpack:"a,omitempty"`
	Last   RunID   `msgpack:"l,omitempty"`
	// Skipped is how many fires made no run, by cause, and Recent the latest
	// of them, oldest first.
	Skipped map[string]int `msgpack:"s,omitempty"`
	Recent  []Skipped      `msgpack:"r,omitempty"`
	// Heard is up to which of the things that it listens to, by number, all
	// are settled, Waiting how many are kept that no run was made of yet, and
	// Refused how many were not counted, by why: "filter", "duplicate",
	// "throttled" or "inactive".
	Heard   uint64         `msgpack:"hd,omitempty"`
	Waiting int            `msgpack:"wg,omitempty"`
	Refused map[string]int `msgpack:"rf,omitempty"`
	// PausedAt is when the last pause began, ResumedAt when it ended. PausedFor is
	// why, while it lasts.
	PausedAt  time.Time `msgpack:"pa,omitempty"`
	ResumedAt time.Time `msgpack:"ra,omitempty"`
	PausedFor string    `msgpack:"pf,omitempty"`
	// EndedAt is when the last of its runs to end did.
	EndedAt time.Time `msgpack:"ea,omitempty"`
}

// Paused reports whether no run of the job begins until it is resumed.
func (f *Fires) Paused() bool { return !f.PausedAt.IsZero() && f.ResumedAt.Before(f.PausedAt) }

// Skipped is a number of fires that made no run.
type Skipped struct {
	// Cause is why: "overlap", "misfire", "blackout", "paused", "buffer" or
	// "expired".
	Cause string `msgpack:"c" json:"cause"`
	// From and To are within what the fires lie.
	From time.Time `msgpack:"f" json:"from"`
	To   time.Time `msgpack:"t" json:"to"`
	// Count is how many they are, or at least are, if they were too many to
	// count.
	Count   int  `msgpack:"n" json:"count"`
	AtLeast bool `msgpack:"l,omitempty" json:"at_least,omitempty"`
	// At is when it was settled.
	At time.Time `msgpack:"a" json:"at"`
}

// The policies for runs that overlap, and the causes of fires that make no run,
// where they are decided; see package trigger.
const (
	OverlapQueueOne  = string(trigger.OverlapQueueOne)
	OverlapQueueAll  = string(trigger.OverlapQueueAll)
	OverlapCancelOld = string(trigger.OverlapCancelOld)
	OverlapKillOld   = string(trigger.OverlapKillOld)
	OverlapAllow     = string(trigger.OverlapAllow)

	CauseOverlap = string(trigger.CauseOverlap)
	CauseBuffer  = string(trigger.CauseBuffer)
)

// Overlaps returns what decides whether a fire makes a run: the policy, its
// limit, and whether the job may be due again when a run is over.
func (s *Spec) Overlaps() (policy string, limit int, again bool) {
	o := s.Schedule.Overlap
	if t := s.trigger(); t != nil {
		again = t.Mode() == trigger.ModeDelay || trigger.Hears(t)
		if o == "" && trigger.Hears(t) {
			o = trigger.OverlapDefault(t)
		}
	}
	return string(o), s.Schedule.OverlapLimit, again
}
