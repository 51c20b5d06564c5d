package trigger

import (
	"time"
)

// Rate is due at a fixed interval from start to start, however long runs take:
// mode 5. It does not drift. An interval of whole days keeps the time of day
// when clocks change, in zones that do that; every other counts elapsed time.
type Rate struct {
	every  time.Duration
	anchor time.Time // zero is: when the trigger is saved
	local  Local
}

// EveryFrom is due at anchor and at each multiple of d after it.
func EveryFrom(d time.Duration, anchor time.Time, local Local) Rate {
	return Rate{d, anchor.UTC().Truncate(time.Second), local}
}

// Mode returns ModeRate.
func (Rate) Mode() Mode { return ModeRate }

// Next returns the first fire strictly after the given instant. There is none
// before the anchor is known.
func (r Rate) Next(after time.Time) (Fire, bool) {
	if r.anchor.IsZero() || r.every < time.Second {
		return Fire{}, false
	}
	if before := r.anchor.Add(-time.Second); after.Before(before) {
		after = before
	}
	if !r.days() {
		return fireAt(nextMultiple(r.anchor, r.every, after), 0), true
	}
	origin := wallIn(r.anchor, r.local.zone())
	return r.local.next(after, func(reading time.Time) (time.Time, bool) {
		if before := origin.Add(-time.Second); reading.Before(before) {
			reading = before
		}
		return nextMultiple(origin, r.every, reading), true
	}, false)
}

// days returns whether the interval follows the calendar.
func (r Rate) days() bool {
	return r.every%(24*time.Hour) == 0 && r.local.zone() != time.UTC
}

// count is how many fires are after one instant and not after another, or -1.
func (r Rate) count(after, until time.Time) int {
	if r.days() || r.anchor.IsZero() {
		return -1
	}
	if before := r.anchor.Add(-time.Second); after.Before(before) {
		after = before
	}
	return countMultiples(r.anchor, r.every, after, until)
}

// String is "every 5m from" with the anchor; without one, the anchor is the
// moment of saving, which "from start" says where "every 30s" would mean a
// Second.
func (r Rate) String() string {
	text := r.local.String() + "every " + span(r.every)
	switch {
	case !r.anchor.IsZero():
		return text + " from " + r.anchor.Format(time.RFC3339)
	case r.every < time.Minute:
		return text + " from start"
	}
	return text
}

// Validate returns what can't be.
func (r Rate) Validate() error {
	if err := positive("every", r.every, time.Second); err != nil {
		return err
	}
	if !r.anchor.IsZero() {
		if err := inYears("from", r.anchor); err != nil {
			return err
		}
	}
	return r.local.Validate()
}

func (r Rate) in(l Local) Trigger {
	r.local = l
	return r
}

func (r Rate) where() Local { return r.local }

func (r Rate) anchored(saved time.Time) Trigger {
	if r.anchor.IsZero() {
		r.anchor = saved.UTC().Truncate(time.Second)
	}
	return r
}

// Delay is due a fixed time after the previous run has ended, however it
// ended: mode 6. There is at most one run of it at a time.
type Delay struct{ wait time.Duration }

// Again is due d after the end of each run.
func Again(d time.Duration) Delay { return Delay{d} }

// Mode returns ModeDelay.
func (Delay) Mode() Mode { return ModeDelay }

// Next returns the fire that follows the end of a run: for Delay the given
// instant is that of the end, or of saving if there was no run yet.
func (d Delay) Next(ended time.Time) (Fire, bool) {
	if d.wait < time.Second {
		return Fire{}, false
	}
	at := ended.Truncate(time.Second)
	if at.Before(ended) {
		at = at.Add(time.Second)
	}
	return fireAt(at.Add(d.wait), 0), true
}

// String is "delay 5m".
func (d Delay) String() string { return "delay " + span(d.wait) }

// Validate returns what can't be.
func (d Delay) Validate() error { return positive("delay", d.wait, time.Second) }

// Manual is due when somebody says so: mode 1.
type Manual struct{}

// Mode returns ModeManual.
func (Manual) Mode() Mode { return ModeManual }

// Next returns false: nothing but a request makes a run.
func (Manual) Next(time.Time) (Fire, bool) { return Fire{}, false }

// String is "manual".
func (Manual) String() string { return "manual" }

// Validate returns nil.
func (Manual) Validate() error { return nil }
