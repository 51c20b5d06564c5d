package trigger

import (
	"fmt"
	"time"
)

// Every is due every so often: Second if d is at most 59 whole seconds, else
// Rate, counted from the moment the trigger is saved.
func Every(d time.Duration) Trigger {
	if d < time.Minute {
		return Second{every: d}
	}
	return Rate{every: d}
}

// Second is due every one to 59 seconds, in step with the Unix epoch: mode 3.
// Zones and changes of clocks do not concern it.
type Second struct{ every, phase time.Duration }

// EverySecond is due phase after each multiple of d since the Unix epoch.
func EverySecond(d, phase time.Duration) Second { return Second{d, phase} }

// Mode returns ModeSecond.
func (Second) Mode() Mode { return ModeSecond }

// Next returns the first fire strictly after the given instant.
func (s Second) Next(after time.Time) (Fire, bool) {
	if s.every < time.Second {
		return Fire{}, false
	}
	origin := time.Unix(0, 0).Add(s.phase)
	return fireAt(nextMultiple(origin, s.every, after), 0), true
}

// count is how many fires are after one instant and not after another.
func (s Second) count(after, until time.Time) int {
	origin := time.Unix(0, 0).Add(s.phase)
	return countMultiples(origin, s.every, after, until)
}

// String is "every 10s", with its phase if it has one.
func (s Second) String() string {
	text := "every " + span(s.every)
	if s.phase != 0 {
		text += " phase " + span(s.phase)
	}
	return text
}

// Validate returns what can't be.
func (s Second) Validate() error {
	if s.every < time.Second || s.every >= time.Minute || s.every%time.Second != 0 {
		return fmt.Errorf("trigger: every %s: want whole seconds, from 1s to 59s, or minutes", span(s.every))
	}
	if s.phase < 0 || s.phase >= s.every || s.phase%time.Second != 0 {
		return fmt.Errorf("trigger: phase %s: want whole seconds, from 0 to less than %s", span(s.phase), span(s.every))
	}
	return nil
}

// nextMultiple is the first origin + k·d after the given instant, for any k.
func nextMultiple(origin time.Time, d time.Duration, after time.Time) time.Time {
	return origin.Add(time.Duration(multiples(origin, d, after)+1) * d)
}

// countMultiples is how many origin + k·d are after one instant and not after
// another.
func countMultiples(origin time.Time, d time.Duration, after, until time.Time) int {
	return max(0, int(multiples(origin, d, until)-multiples(origin, d, after)))
}

// multiples is the largest k with origin + k·d not after t. All are whole
// seconds, which do not overflow where nanoseconds would.
func multiples(origin time.Time, d time.Duration, t time.Time) int64 {
	step := int64(d / time.Second)
	since := t.Unix() - origin.Unix()
	k := since / step
	if since%step < 0 {
		k--
	}
	return k
}

// positive refuses a duration that is below least, or not in whole seconds.
func positive(field string, d, least time.Duration) error {
	if d < least || d%time.Second != 0 || d > maxSpan {
		return fmt.Errorf("trigger: %s %s: want whole seconds, at least %s and at most %s", field, span(d), span(least), span(maxSpan))
	}
	return nil
}

// The longest of all intervals: ten years.
const maxSpan = 10 * 366 * 24 * time.Hour
