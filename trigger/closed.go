package trigger

import "time"

// interval is a stretch of time, the end exclusive.
type interval struct {
	start, end time.Time
	deferring  bool
}

// closed is a Blackout made ready to be asked.
type closed struct {
	once        interval // zero if it is one of every day
	from, to    time.Duration
	days        Weekdays
	deferring   bool
	early, late Local // for the edges: both passes of a time are in it
}

func (b *Blackout) ready(zone string) closed {
	c := closed{deferring: b.Defer, early: Local{Zone: zone}, late: Local{Zone: zone, Twice: TwiceLast}}
	if b.From == "" {
		c.once = interval{b.Start, b.End, b.Defer}
		return c
	}
	c.from, _ = parseClock(b.From)
	if c.to, _ = parseClock(b.To); c.to <= c.from {
		c.to += 24 * time.Hour
	}
	c.days, _ = ParseWeekdays(b.Days)
	return c
}

// at returns the interval that t is in.
func (c *closed) at(t time.Time) (interval, bool) {
	if !c.once.end.IsZero() {
		return c.once, !t.Before(c.once.start) && t.Before(c.once.end)
	}
	reading := wallIn(t, c.early.zone())
	today := midnight(reading)
	// No edge is moved by more than some hours: most days need no closer look.
	if at := reading.Sub(today); at > c.to+4*time.Hour || c.to <= 24*time.Hour && at < c.from-4*time.Hour {
		return interval{}, false
	}
	for d := -2; d <= 1; d++ {
		day := today.AddDate(0, 0, d)
		if !c.days.Has(day.Weekday()) {
			continue
		}
		i := interval{c.early.instant(day.Add(c.from)).At, c.late.instant(day.Add(c.to)).At, c.deferring}
		if !t.Before(i.start) && t.Before(i.end) {
			return i, true
		}
	}
	return interval{}, false
}

// after returns the first start after t, or zero.
func (c *closed) after(t time.Time) time.Time {
	if !c.once.end.IsZero() {
		if c.once.start.After(t) {
			return c.once.start
		}
		return time.Time{}
	}
	today := midnight(wallIn(t, c.early.zone()))
	for d := -1; d <= 8; d++ {
		day := today.AddDate(0, 0, d)
		if !c.days.Has(day.Weekday()) {
			continue
		}
		if start := c.early.instant(day.Add(c.from)).At; start.After(t) {
			return start
		}
	}
	return time.Time{}
}

// blackoutAt returns the interval without fires that t is in, made of all that
// touch it. It puts fires off if one of those that end last does.
func (t *Timetable) blackoutAt(at time.Time) (interval, bool) {
	var whole interval
	for grown := true; grown && whole.end.Sub(whole.start) < Horizon; {
		grown = false
		probes := []time.Time{at}
		if !whole.end.IsZero() {
			probes = []time.Time{whole.start.Add(-1), whole.end.Add(-1), whole.end}
		}
		for _, probe := range probes {
			for i := range t.closed {
				in, ok := t.closed[i].at(probe)
				if !ok {
					continue
				}
				if whole.end.IsZero() {
					whole, grown = in, true
				}
				if in.end.After(whole.end) {
					whole.end, whole.deferring, grown = in.end, in.deferring, true
				} else if in.end.Equal(whole.end) {
					whole.deferring = whole.deferring || in.deferring
				}
				if in.start.Before(whole.start) {
					whole.start, grown = in.start, true
				}
			}
		}
	}
	return whole, !whole.end.IsZero()
}

// blackoutAfter returns the start of the first blackout that begins after t.
func (t *Timetable) blackoutAfter(at time.Time) (first time.Time) {
	for i := range t.closed {
		start := t.closed[i].after(at)
		if !start.IsZero() && (first.IsZero() || start.Before(first)) {
			first = start
		}
	}
	return first
}

// Closed reports whether a blackout has an instant in it.
func (t *Timetable) Closed(at time.Time) bool {
	_, closed := t.blackoutAt(at)
	return closed
}
