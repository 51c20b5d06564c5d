package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Gap says what becomes of a fire at a local time that its day lacks, because
// clocks were put forward.
type Gap string

// The rules for gaps. Empty means GapShift.
const (
	// GapShift reads the time with the offset in force before the gap, as RFC
	// 5545 does in section 3.3.5: 02:30 fires at 03:30.
	GapShift Gap = "shift"
	// GapSkip drops the fire.
	GapSkip Gap = "skip"
)

// Twice says what becomes of a fire at a local time that its day has twice,
// because clocks were put back.
type Twice string

// The rules for times that come twice. Empty means TwiceFirst.
const (
	TwiceFirst Twice = "first" // as RFC 5545
	TwiceLast  Twice = "last"
	TwiceBoth  Twice = "both"
)

// Local is how a local time becomes an instant: the zone, and what to do on
// the days when its clocks change. The zero value is UTC, which has no such
// days.
type Local struct {
	// Zone is an IANA name. Empty means UTC.
	Zone string
	// Gap is for local times that do not exist. Empty means GapShift.
	Gap Gap
	// Twice is for local times that exist twice. Empty means TwiceFirst.
	Twice Twice
}

// Validate returns what can't be.
func (l Local) Validate() error {
	if _, err := Zone(l.Zone); err != nil {
		return err
	}
	switch l.Gap {
	case "", GapShift, GapSkip:
	default:
		return fmt.Errorf("trigger: Gap %q: want shift or skip", l.Gap)
	}
	switch l.Twice {
	case "", TwiceFirst, TwiceLast, TwiceBoth:
	default:
		return fmt.Errorf("trigger: Twice %q: want first, last or both", l.Twice)
	}
	return nil
}

// String is the words that precede the text of a trigger in this local time,
// each followed by a space.
func (l Local) String() string {
	var b strings.Builder
	for _, word := range []struct{ name, value string }{{"TZ", l.Zone}, {"GAP", string(l.Gap)}, {"TWICE", string(l.Twice)}} {
		if word.value != "" {
			b.WriteString(word.name + "=" + word.value + " ")
		}
	}
	return b.String()
}

// zone is the zone, or UTC if Validate was not asked.
func (l Local) zone() *time.Location {
	z, err := Zone(l.Zone)
	if err != nil {
		return time.UTC
	}
	return z
}

// A wall clock reading is a time.Time in UTC whose fields are what the clock
// shows: arithmetic with it knows nothing of zones.

// wall is what a clock with the given offset from UTC shows at t.
func wall(t time.Time, offset int) time.Time {
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// wallIn is what clocks in the zone show at t.
func wallIn(t time.Time, z *time.Location) time.Time {
	_, offset := t.In(z).Zone()
	return wall(t, offset)
}
