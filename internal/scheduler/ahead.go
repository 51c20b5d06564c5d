package scheduler

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Ahead returns the Settlement that Settle makes when the job is to be looked at
// next, before it is. It holds until the time returned, unless something happens
// to the job: whoever gets to it by then finds the same fires due, and none of
// them missed. It reports false if more than the time has a say in it.
func Ahead(d *job.Declared, table *trigger.Timetable) (s Settlement, until time.Time, ok bool) {
	at := d.Fires.Wake.UTC()
	if _, _, again := d.Spec.Overlaps(); again || at.IsZero() || d.Spec.Schedule.When == "" {
		return s, until, false
	}
	s = Settle(d, table, at)
	if len(s.Runs) == 0 || len(s.Skipped) > 0 || !s.Wake.IsZero() && !s.Wake.After(at) {
		return s, until, false
	}
	for i := range s.Runs {
		if s.Runs[i].Origin != trigger.ReasonFire {
			return s, until, false
		}
	}
	return s, at.Add(table.Schedule().Threshold), true
}
