package trigger

import "time"

// Schedule puts policies around a trigger. Only When is required. It is plain
// text and numbers, so that it reads the same in Go, JSON and YAML.
type Schedule struct {
	// When is the text of a trigger; see Parse.
	When string `msgpack:"w" json:"when" yaml:"when"`

	// Zone is the IANA name of the zone that local times are those of. Empty
	// means the one that When names, or UTC; never the zone of a machine.
	Zone string `msgpack:"z,omitempty" json:"zone,omitempty" yaml:"zone,omitempty"`
	// Gap is what becomes of a fire at a local time that its day lacks. Empty
	// means shift: 02:30 fires at 03:30.
	Gap Gap `msgpack:"g,omitempty" json:"gap,omitempty" yaml:"gap,omitempty"`
	// Twice is what becomes of a fire at a local time that its day has twice.
	// Empty means first.
	Twice Twice `msgpack:"t,omitempty" json:"twice,omitempty" yaml:"twice,omitempty"`

	// Start is the first instant at which the trigger may be due. Zero means
	// when it is saved.
	Start time.Time `msgpack:"s,omitempty" json:"start,omitzero" yaml:"start,omitempty"`
	// End is the first instant at which it may not be due any more. Zero means
	// never.
	End time.Time `msgpack:"e,omitempty" json:"end,omitzero" yaml:"end,omitempty"`
	// MaxRuns is after how many runs the trigger has ended. Zero means never.
	MaxRuns int `msgpack:"mr,omitempty" json:"max_runs,omitempty" yaml:"max_runs,omitempty"`

	// Jitter is by how much a run may start after its fire, so that what is
	// due together does not start together. How much it is depends on nothing
	// but the names of cluster and trigger and the instant of the fire, and is
	// never more than the time to the next fire. Zero means none.
	Jitter time.Duration `msgpack:"j,omitempty" json:"jitter,omitempty" yaml:"jitter,omitempty"`

	// Overlap is what happens when a fire meets a run that is not over. Empty
	// means skip.
	Overlap Overlap `msgpack:"o,omitempty" json:"overlap,omitempty" yaml:"overlap,omitempty"`
	// OverlapLimit is how many runs wait at most under OverlapQueueAll, and
	// how many there are at most under OverlapAllow. Zero means 100. Of one job
	// there are never more than 1000 runs that its trigger made and that are
	// not over.
	OverlapLimit int `msgpack:"ol,omitempty" json:"overlap_limit,omitempty" yaml:"overlap_limit,omitempty"`
	// OverlapGrace is how long OverlapCancelOld waits for the old run to end
	// before the new one starts all the same. Zero means 30 s.
	OverlapGrace time.Duration `msgpack:"og,omitempty" json:"overlap_grace,omitempty" yaml:"overlap_grace,omitempty"`
	// OverlapKey is an expression on the run's input, which is data in it: only
	// runs for which it has the same value overlap. Empty means that all runs
	// of the trigger do. See CompileKey.
	OverlapKey string `msgpack:"ok,omitempty" json:"overlap_key,omitempty" yaml:"overlap_key,omitempty"`

	// Misfire is what becomes of fires that nobody noticed in time, because
	// the cluster was down. Empty means skip for ModeSecond, one for all others.
	Misfire Misfire `msgpack:"m,omitempty" json:"misfire,omitempty" yaml:"misfire,omitempty"`
	// MisfireLimit is how many runs MisfireAll makes at most at a time. Zero
	// means 100.
	MisfireLimit int `msgpack:"ml,omitempty" json:"misfire_limit,omitempty" yaml:"misfire_limit,omitempty"`
	// CatchUp is how old a missed fire may be: what is older has expired. Zero
	// means 24 h; for ModeSecond and ModeDelay one period.
	CatchUp time.Duration `msgpack:"cu,omitempty" json:"catch_up,omitempty" yaml:"catch_up,omitempty"`
	// Threshold is how late a fire may be noticed and not count as missed. Zero
	// means 60 s; for ModeSecond and ModeDelay two periods.
	Threshold time.Duration `msgpack:"th,omitempty" json:"threshold,omitempty" yaml:"threshold,omitempty"`
	// OnResume is what becomes of fires during a pause, when it is over. Empty
	// means skip.
	OnResume Misfire `msgpack:"or,omitempty" json:"on_resume,omitempty" yaml:"on_resume,omitempty"`

	// Blackout are times in which nothing is due.
	Blackout []Blackout `msgpack:"b,omitempty" json:"blackout,omitempty" yaml:"blackout,omitempty"`
	// Only names calendars one of which must have the day of a fire. None means
	// that every day will do.
	Only []string `msgpack:"ca,omitempty" json:"only,omitempty" yaml:"only,omitempty"`
	// Except names calendars none of which may have the day of a fire.
	Except []string `msgpack:"cx,omitempty" json:"except,omitempty" yaml:"except,omitempty"`
	// Excluded is what becomes of a fire on a day that Only and Except leave
	// out. Empty means drop.
	Excluded Excluded `msgpack:"x,omitempty" json:"excluded,omitempty" yaml:"excluded,omitempty"`
}

// Overlap is what happens when a fire meets a run that is not over.
type Overlap string

// The policies for runs that overlap.
const (
	// OverlapSkip drops the fire.
	OverlapSkip Overlap = "skip"
	// OverlapQueueOne starts it when the old run is over; of several that
	// waited, the last.
	OverlapQueueOne Overlap = "queue-one"
	// OverlapQueueAll starts all of them, one after the other; what is beyond
	// OverlapLimit is dropped.
	OverlapQueueAll Overlap = "queue-all"
	// OverlapCancelOld asks the old run to stop, and starts when it has or
	// when OverlapGrace is over.
	OverlapCancelOld Overlap = "cancel-old"
	// OverlapKillOld takes the old run's lease away and starts at once.
	OverlapKillOld Overlap = "kill-old"
	// OverlapAllow starts it beside the old, up to OverlapLimit.
	OverlapAllow Overlap = "allow"
)

// Misfire is what becomes of fires whose time is over.
type Misfire string

// The policies for missed fires.
const (
	// MisfireSkip drops them.
	MisfireSkip Misfire = "skip"
	// MisfireOne makes one run, for the last of them, which knows how many
	// there were.
	MisfireOne Misfire = "one"
	// MisfireAll makes a run for each, oldest first, as overlap permits; what
	// is beyond MisfireLimit is dropped.
	MisfireAll Misfire = "all"
)

// Excluded is what becomes of a fire on a day that calendars leave out.
type Excluded string

// The policies for excluded days.
const (
	ExcludedDrop     Excluded = "drop"
	ExcludedNext     Excluded = "next"     // same time, on the next day that is not excluded
	ExcludedPrevious Excluded = "previous" // same time, on the last day that was not
)

// withDefaults returns the schedule with every field as it takes effect.
func (s Schedule) withDefaults(t Trigger) Schedule {
	s.Gap = defaulted(s.Gap, GapShift)
	s.Twice = defaulted(s.Twice, TwiceFirst)
	s.Overlap = defaulted(s.Overlap, OverlapDefault(t))
	s.OverlapLimit = defaulted(s.OverlapLimit, 100)
	s.OverlapGrace = defaulted(s.OverlapGrace, 30*time.Second)
	s.MisfireLimit = defaulted(s.MisfireLimit, 100)
	s.OnResume = defaulted(s.OnResume, MisfireSkip)
	s.Excluded = defaulted(s.Excluded, ExcludedDrop)
	misfire, catchUp, threshold := MisfireOne, 24*time.Hour, time.Minute
	switch t := t.(type) {
	case Second:
		misfire, catchUp, threshold = MisfireSkip, t.every, 2*t.every
	case Delay:
		catchUp, threshold = t.wait, 2*t.wait
	}
	s.Misfire = defaulted(s.Misfire, misfire)
	s.CatchUp = defaulted(s.CatchUp, catchUp)
	s.Threshold = defaulted(s.Threshold, threshold)
	return s
}

// OverlapDefault is the policy for runs of t that overlap, if none is named.
// What times make is due again; what happened is not, so nothing of it is
// skipped.
func OverlapDefault(t Trigger) Overlap {
	if Hears(t) {
		return OverlapAllow
	}
	return OverlapSkip
}

// Hears reports whether t is due when something happens, and not at times.
func Hears(t Trigger) bool {
	switch t.Mode() {
	case ModeEvent, ModeDependency, ModeLifecycle:
		return true
	}
	return false
}

func defaulted[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
