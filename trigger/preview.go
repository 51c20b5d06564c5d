package trigger

import (
	"fmt"
	"time"
)

// Upcoming is a fire as a person wants to see it.
type Upcoming struct {
	// At is the instant, in UTC.
	At time.Time `json:"at" yaml:"at"`
	// Local is the instant as clocks in the schedule's zone show it, with their
	// offset.
	Local string `json:"local" yaml:"local"`
	// Notes say what is special about it: a time that its day lacks or has
	// twice, blackouts, calendars, jitter.
	Notes []string `json:"notes" yaml:"notes"`
}

// The most fires of one preview.
const maxPreview = 1000

// Preview returns the first n fires after the given instant, with notes. For
// ModeDelay there is one, as the next depends on how long the run takes.
func (t *Timetable) Preview(after time.Time, n int) []Upcoming {
	out := []Upcoming{}
	if t.s.MaxRuns > 0 {
		n = min(n, t.s.MaxRuns)
	}
	for range min(n, maxPreview) {
		fire, ok := t.Next(after)
		if !ok {
			break
		}
		out = append(out, Upcoming{
			At:    fire.At,
			Local: fire.At.In(t.local.zone()).Format(time.RFC3339),
			Notes: t.notes(fire, after),
		})
		if t.trigger.Mode() == ModeDelay {
			break
		}
		after = fire.At
	}
	return out
}

// notes is what is special about the fire that follows an instant.
func (t *Timetable) notes(fire Fire, after time.Time) []string {
	notes := []string{}
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	z := t.local.zone()
	reading := wallIn(fire.At, z)
	switch s := stretchAt(fire.At, z); {
	case fire.Note&Shifted != 0:
		missing := wall(fire.At, s.before)
		add("gap: %s does not exist on %s, as clocks go from %s to %s; this is as long after the change", missing.Format("15:04"), missing.Format(time.DateOnly), wall(s.start, s.before).Format("15:04"), wall(s.start, s.off).Format("15:04"))
	case fire.Note&FirstPass != 0:
		add("overlap: %s comes twice on %s; this is the first, at %s", reading.Format("15:04"), reading.Format(time.DateOnly), offset(fire.At, z))
	case fire.Note&SecondPass != 0:
		add("overlap: %s comes twice on %s; this is the second, at %s", reading.Format("15:04"), reading.Format(time.DateOnly), offset(fire.At, z))
	}
	if fire.Note&Moved != 0 {
		add("calendar: moved to this day from one that is excluded")
	}
	if len(t.s.Blackout) > 0 && t.trigger.Mode() != ModeDelay {
		switch sum := t.tally(after, fire.At); {
		case fire.Note&Deferred != 0:
			add("blackout: put off until its end, in place of %d before", max(sum.blacked, 1))
		case sum.blacked > 0:
			add("blackout: %d before this are dropped", sum.blacked)
		}
	}
	if t.s.Jitter > 0 {
		room := t.s.Jitter
		if next, ok := t.Next(fire.At); ok && t.trigger.Mode() != ModeDelay {
			room = min(room, next.At.Sub(fire.At))
		}
		add("jitter: starts up to %s later, here %s", span(room), span(t.Start(fire.At).Sub(fire.At).Truncate(time.Millisecond)))
	}
	if t.trigger.Mode() == ModeDelay {
		add("the next follows the end of this run")
	}
	return notes
}

func offset(t time.Time, z *time.Location) string { return t.In(z).Format("-07:00 MST") }
