package trigger

import "time"

// days is which days of a schedule count, and what becomes of fires on others.
type days struct {
	only, except []*dateSet
	excluded     Excluded
}

func newDays(s *Schedule, calendars Calendars) (*days, error) {
	d := &days{excluded: s.Excluded}
	for i, names := range [][]string{s.Only, s.Except} {
		for _, name := range names {
			set, err := calendars.find(name)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				d.only = append(d.only, set)
			} else {
				d.except = append(d.except, set)
			}
		}
	}
	return d, nil
}

// count is whether the day of a reading counts.
func (d *days) count(reading time.Time) bool {
	ok := len(d.only) == 0
	for _, set := range d.only {
		ok = ok || set.has(reading)
	}
	for _, set := range d.except {
		ok = ok && !set.has(reading)
	}
	return ok
}

// nearest returns the first day that counts, from the given one on in steps
// of by days, and false if there is none within the Horizon.
func (d *days) nearest(day time.Time, by int) (time.Time, bool) {
	for range int(Horizon / (24 * time.Hour)) {
		if d.count(day) {
			return day, true
		}
		day = day.AddDate(0, 0, by)
	}
	return day, false
}

// next returns the first fire of the timetable's trigger after the given
// instant, on a day that counts.
func (d *days) next(t *Timetable, after time.Time) (Fire, bool) {
	if d.excluded != ExcludedDrop {
		return d.moved(t, after)
	}
	z := t.local.zone()
	for give := after.Add(2 * Horizon); after.Before(give); {
		fire, ok := t.trigger.Next(after)
		if !ok {
			return Fire{}, false
		}
		day := midnight(wallIn(fire.At, z))
		if d.count(day) {
			return fire, true
		}
		if day, ok = d.nearest(day, 1); !ok {
			return Fire{}, false
		}
		after = t.local.instant(day).At.Add(-time.Second)
	}
	return Fire{}, false
}

// The most fires that are moved to one day.
const maxMoved = 1440

// moved is next where fires are put on the next or previous day that counts.
// It looks at one such day after the other, with all that belongs there.
func (d *days) moved(t *Timetable, after time.Time) (Fire, bool) {
	by := 1
	if d.excluded == ExcludedPrevious {
		by = -1
	}
	z := t.local.zone()
	day, ok := d.nearest(midnight(wallIn(after, z)), -1)
	if !ok {
		if day, ok = d.nearest(midnight(wallIn(after, z)), 1); !ok {
			return Fire{}, false
		}
	}
	for give := after.Add(2 * Horizon); day.Before(give); {
		from, to := day, day.AddDate(0, 0, 1) // whose fires belong to this day
		if by > 0 {
			if previous, ok := d.nearest(day.AddDate(0, 0, -1), -1); ok {
				from = previous.AddDate(0, 0, 1)
			}
		} else if to, ok = d.nearest(to, 1); !ok {
			return Fire{}, false
		}
		best, rest := d.gather(t, day, from, to, after)
		if !best.At.IsZero() {
			return best, true
		}
		if rest.IsZero() {
			return Fire{}, false
		}
		if day, ok = d.nearest(rest, by); !ok {
			return Fire{}, false
		}
	}
	return Fire{}, false
}

// gather returns the first fire after the given instant of those that belong
// to a day, which are those from one day up to another; and the day of the
// first fire that does not belong.
func (d *days) gather(t *Timetable, day, from, to, after time.Time) (best Fire, rest time.Time) {
	z := t.local.zone()
	at := t.local.instant(from).At.Add(-time.Second)
	for range maxMoved {
		fire, ok := t.trigger.Next(at)
		if !ok {
			return best, time.Time{}
		}
		reading := wallIn(fire.At, z)
		at = fire.At
		switch own := midnight(reading); {
		case own.Before(from):
			continue
		case !own.Before(to):
			return best, own
		case !own.Equal(day):
			fire = t.local.instant(day.Add(reading.Sub(own)))
			fire.Note |= Moved
		}
		if fire.At.After(after) && (best.At.IsZero() || fire.At.Before(best.At)) {
			best = fire
		}
	}
	return best, to
}
