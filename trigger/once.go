package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Once is due at given instants, each once: mode 2.
type Once struct {
	// times are sorted, in UTC.
	times []time.Time
	// walls are local times that wait for their zone, sorted; after is counted
	// from the moment the trigger is saved. Timetables have neither.
	walls []time.Time
	local Local
	after time.Duration
}

// The most instants of one trigger.
const maxTimes = 1000

// At is due at each of the instants, cut to whole seconds.
func At(times ...time.Time) Once {
	var o Once
	for _, t := range times {
		o.times = append(o.times, t.UTC().Truncate(time.Second))
	}
	o.times = settle(o.times)
	return o
}

// AtLocal is due when clocks in the zone show the given readings, of which
// only date and time of day count. They become instants when the trigger is
// saved, and stay those if the rules of the zone change later.
func AtLocal(local Local, readings ...time.Time) Once {
	o := Once{local: local}
	for _, r := range readings {
		o.walls = append(o.walls, time.Date(r.Year(), r.Month(), r.Day(), r.Hour(), r.Minute(), r.Second(), 0, time.UTC))
	}
	o.walls = settle(o.walls)
	return o
}

// After is due once, at the given time after the trigger is saved.
func After(d time.Duration) Once { return Once{after: d} }

func settle(times []time.Time) []time.Time {
	slices.SortFunc(times, time.Time.Compare)
	return slices.CompactFunc(times, time.Time.Equal)
}

// Mode returns ModeOnce.
func (Once) Mode() Mode { return ModeOnce }

// Next returns the first of the instants after the given one. Of After it
// knows none before a Timetable was made of it.
func (o Once) Next(after time.Time) (Fire, bool) {
	times := o.times
	if len(o.walls) > 0 {
		times = o.resolved().times
	}
	i, _ := slices.BinarySearchFunc(times, after, func(t, after time.Time) int {
		if t.After(after) {
			return 1
		}
		return -1
	})
	if i == len(times) {
		return Fire{}, false
	}
	return fireAt(times[i], 0), true
}

// resolved turns readings into instants, which is done once, for good.
func (o Once) resolved() Once {
	times := slices.Clone(o.times)
	for _, r := range o.walls {
		once := func(after time.Time) (time.Time, bool) { return r, after.Before(r) }
		from := r.Add(-48 * time.Hour)
		for fire, ok := o.local.next(from, once, false); ok; fire, ok = o.local.next(fire.At, once, false) {
			times = append(times, fire.At)
		}
	}
	return Once{times: settle(times)}
}

// String is "at" with the instants, or "after" with the time to wait.
func (o Once) String() string {
	if o.after > 0 {
		return "after " + span(o.after)
	}
	words := make([]string, 0, len(o.times)+len(o.walls))
	for _, t := range o.times {
		words = append(words, t.Format(time.RFC3339))
	}
	for _, t := range o.walls {
		words = append(words, t.Format(wallLayout))
	}
	return o.local.String() + "at " + strings.Join(words, ", ")
}

const wallLayout = "2006-01-02T15:04:05"

// Validate returns what can't be.
func (o Once) Validate() error {
	switch n := len(o.times) + len(o.walls); {
	case n > maxTimes:
		return fmt.Errorf("trigger: %d instants: want at most %d, or a rule", n, maxTimes)
	case o.after != 0:
		return positive("after", o.after, time.Second)
	case n == 0:
		return errors.New(`trigger: at: want at least one instant, as in "at 2026-03-08T02:30:00Z"`)
	}
	for _, t := range slices.Concat(o.times, o.walls) {
		if err := inYears("at", t); err != nil {
			return err
		}
	}
	return o.local.Validate()
}

func parseOnce(text string, local Local) (Trigger, error) {
	o := Once{local: local}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if t, err := time.Parse(time.RFC3339, item); err == nil {
			o.times = append(o.times, t.UTC().Truncate(time.Second))
			continue
		}
		t, err := parseWall(item)
		if err != nil {
			return nil, fmt.Errorf("trigger: at %q: want an instant as in 2026-03-08T02:30:00Z, or a local time as in 2026-03-08 02:30", item)
		}
		o.walls = append(o.walls, t)
	}
	o.times, o.walls = settle(o.times), settle(o.walls)
	if len(o.walls) == 0 {
		o.local = Local{} // instants have no zone
	}
	return o, o.Validate()
}

func parseWall(text string) (t time.Time, err error) {
	for _, layout := range []string{wallLayout, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err = time.Parse(layout, text); err == nil && len(text) == len(layout) {
			return t, nil
		}
	}
	return t, fmt.Errorf("%q: want a local time as in 2026-03-08 02:30", text)
}

func (o Once) in(l Local) Trigger {
	o.local = l
	return o
}

func (o Once) where() Local { return o.local }

// anchored fixes what depends on the moment of saving.
func (o Once) anchored(saved time.Time) Trigger {
	if o.after > 0 {
		return At(saved.Add(o.after))
	}
	return o.resolved()
}
