package trigger

import (
	"slices"
	"time"
)

// count is how many fires are after one instant and not after another. It
// looks at each matching day and not at each fire, so that a year of seconds
// costs as much as a year of days.
func (c Cron) count(after, until time.Time) (n int) {
	z := c.local.zone()
	from, until := after.UTC().Truncate(time.Second).Add(time.Second), until.UTC().Truncate(time.Second)
	for !from.After(until) {
		s := stretchAt(from, z)
		last := until
		if !s.end.IsZero() && !last.Before(s.end) {
			last = s.end.Add(-time.Second)
		}
		next := last.Add(time.Second)
		if gap := s.start.Add(time.Duration(s.off-s.before) * time.Second); !s.start.IsZero() && s.off > s.before && from.Before(gap) && !c.follow && c.local.Gap != GapSkip {
			// Two sequences meet here: they are followed one by one.
			for from.Before(gap) && !from.After(last) {
				fire, ok := c.Next(from.Add(-time.Second))
				if !ok {
					return n
				}
				if from = fire.At.Add(time.Second); fire.At.Before(gap) && !fire.At.After(last) {
					n++
				} else {
					from = gap
				}
			}
		}
		n += c.readings(c.bounds(&s, from, last))
		from = next
	}
	return n
}

// bounds returns the readings of a stretch, from an instant to another, but
// for those whose other pass counts.
func (c Cron) bounds(s *stretch, from, last time.Time) (first, until time.Time) {
	first, until = wall(from, s.off), wall(last, s.off)
	if c.follow || c.local.Twice == TwiceBoth {
		return first, until
	}
	if s.before > s.off && !s.start.IsZero() && c.local.Twice != TwiceLast {
		if seen := wall(s.start, s.before); first.Before(seen) {
			first = seen
		}
	}
	if s.behind < s.off && !s.end.IsZero() && c.local.Twice == TwiceLast {
		if again := wall(s.end, s.behind); !until.Before(again) {
			until = again.Add(-time.Second)
		}
	}
	return first, until
}

// readings is how many readings are due from one to another, both inclusive.
func (c Cron) readings(first, last time.Time) (n int) {
	if last.Before(first) {
		return 0
	}
	whole := c.rank(24*time.Hour - time.Second)
	day := midnight(first)
	if day.Equal(midnight(last)) {
		if c.due(day) {
			n = c.rank(last.Sub(day)) - c.rank(first.Sub(day)-time.Second)
		}
		return n
	}
	if c.due(day) {
		n += whole - c.rank(first.Sub(day)-time.Second)
	}
	end := midnight(last)
	for day = day.AddDate(0, 0, 1); day.Before(end); {
		reading, ok := c.step.next(day.Add(-time.Second))
		if !ok || !reading.Before(end) {
			break
		}
		n += whole
		day = midnight(reading).AddDate(0, 0, 1)
	}
	if c.due(end) {
		n += c.rank(last.Sub(end))
	}
	return n
}

// due returns whether anything is on a day.
func (c Cron) due(day time.Time) bool {
	reading, ok := c.step.next(day.Add(-time.Second))
	return ok && midnight(reading).Equal(day)
}

// rank is how many times of day are due, of those not after the given one.
func (c Cron) rank(t time.Duration) int {
	if t < 0 {
		return 0
	}
	h, m, s := int(t/time.Hour), int(t%time.Hour/time.Minute), int(t%time.Minute/time.Second)
	hours, minutes, seconds := c.sets[hour].values, c.sets[minute].values, c.sets[second].values
	i, found := slices.BinarySearch(hours, h)
	n := i * len(minutes) * len(seconds)
	if !found {
		return n
	}
	i, found = slices.BinarySearch(minutes, m)
	n += i * len(seconds)
	if !found {
		return n
	}
	i, found = slices.BinarySearch(seconds, s)
	if found {
		i++
	}
	return n + i
}
