// Package trigger says when.
//
// A Trigger is a declaration in one of twelve modes, from "30 2 * * *" to
// "event order.paid". Those that have times of their own tell, for any
// instant, the next at which they are due; those that wait for something
// outside, such as an event or another job, come with the pure rules that
// decide whether it has happened. A Schedule puts policies around a trigger:
// its zone, its first and last day, what to do with fires that were missed. A
// Timetable is a schedule made ready to be asked.
//
// The package is pure: nothing in it reads a clock, starts a goroutine or
// keeps state that changes an answer. Whoever has a clock brings the time,
// and acts. It never uses the zone of the machine it runs on.
//
// It also holds the policy of a retry: how long to wait before the next
// attempt of what has failed.
package trigger

import "time"

// A Trigger says when something is due. Its zero values are not valid: make
// one with Parse, or with the constructor of its mode. A Trigger does not
// change and may be used from many goroutines.
type Trigger interface {
	// Mode returns which of the twelve it is.
	Mode() Mode
	// Next returns the first fire strictly after the given instant, and false
	// if there is none, or if the trigger has no times of its own.
	Next(after time.Time) (Fire, bool)
	// String returns the text that Parse makes an equal trigger of.
	String() string
	// Validate returns what can't be, by field, value and remedy.
	Validate() error
}

// A Fire is one instant at which a trigger is due. Its instant is its
// identity: two fires of one trigger at one instant are the same fire.
type Fire struct {
	// At is the nominal instant, in UTC, in whole seconds.
	At time.Time
	// Note says what is special about it.
	Note Note
}

// Note is a set of things worth knowing about a fire.
type Note uint8

// What may be special about a fire.
const (
	// Shifted is for a local time that its day lacks, because clocks were put
	// forward: the fire is as long after the change as it would have been.
	Shifted Note = 1 << iota
	// FirstPass and SecondPass are for a local time that its day has twice,
	// because clocks were put back.
	FirstPass
	SecondPass
	// Deferred is for a fire that a blackout put off until its end.
	Deferred
	// Moved is for a fire that was put on another day, because a calendar
	// excludes its own.
	Moved
)

// Mode is one of the twelve kinds of triggers, by its name.
type Mode string

// The modes. Those after Calendar have no times of their own.
const (
	ModeManual     Mode = "manual"
	ModeOnce       Mode = "once"
	ModeSecond     Mode = "second"
	ModeCron       Mode = "cron"
	ModeRate       Mode = "rate"
	ModeDelay      Mode = "delay"
	ModeDaily      Mode = "daily"
	ModeCalendar   Mode = "calendar"
	ModeEvent      Mode = "event"
	ModeDependency Mode = "dependency"
	ModeWorkflow   Mode = "workflow"
	ModeLifecycle  Mode = "lifecycle"
)

// Equal returns whether two triggers are the same declaration.
func Equal(a, b Trigger) bool { return a.Mode() == b.Mode() && a.String() == b.String() }

// fireAt is a fire at t, in the form that all fires have.
func fireAt(t time.Time, note Note) Fire { return Fire{At: t.UTC(), Note: note} }
