package trigger

import (
	"fmt"
	"slices"
	"time"
)

// Mode returns ModeCalendar.
func (Recurrence) Mode() Mode { return ModeCalendar }

// Next returns the first fire strictly after the given instant. There is none
// before the rule's start is known.
func (r Recurrence) Next(after time.Time) (Fire, bool) {
	if r.rule.start.IsZero() {
		return Fire{}, false
	}
	return r.local.next(after, r.step, r.rule.freq == hourly)
}

// step returns the first reading after the given one that the rule or RDATE
// has and EXDATE has not.
func (r Recurrence) step(after time.Time) (time.Time, bool) {
	for range maxTimes * 3 {
		reading, ok := r.rule.next(after, r.until())
		for _, extra := range r.dates {
			if extra.After(after) && (!ok || extra.Before(reading)) {
				reading, ok = extra, true
			}
		}
		if !ok {
			return time.Time{}, false
		}
		if !r.excludes(reading) {
			return reading, true
		}
		after = reading
	}
	return time.Time{}, false
}

func (r *Recurrence) excludes(reading time.Time) bool {
	return slices.ContainsFunc(r.without, reading.Equal) || slices.ContainsFunc(r.withoutDays, midnight(reading).Equal)
}

// until is the last reading that may be due, or zero.
func (r *Recurrence) until() time.Time {
	if r.needsInstant {
		return wallIn(r.rule.until, r.local.zone())
	}
	return r.rule.until
}

// String is "rrule" and the rule, as it was written.
func (r Recurrence) String() string { return r.local.String() + "rrule " + r.text }

// Validate returns an error if the rule is never due.
func (r Recurrence) Validate() error {
	start := r.rule.start
	if start.IsZero() {
		r.rule.start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if _, ok := r.step(r.rule.start.Add(-time.Second)); !ok {
		return fmt.Errorf("trigger: rrule %q: never due: want days that some month has", r.text)
	}
	return r.local.Validate()
}

func (r Recurrence) in(l Local) Trigger {
	r.local = l
	return r
}

func (r Recurrence) where() Local { return r.local }

// anchored gives a rule without DTSTART the day of saving.
func (r Recurrence) anchored(saved time.Time) Trigger {
	if r.rule.start.IsZero() {
		r.rule.start = midnight(wallIn(saved, r.local.zone()))
		r.text += ";DTSTART=" + r.rule.start.Format("20060102T150405")
	}
	return r
}
