package trigger

import "time"

// A counter counts its fires after one instant and not after another without
// looking at each. It returns a negative number if it can't.
type counter interface {
	count(after, until time.Time) int
}

// How many fires are looked at one by one before the count is a lower bound.
const maxCounted = 10_000

// tally is how many fires of some time there are.
type tally struct {
	due     int  // those that Next returns
	blacked int  // those that a blackout dropped, or put off
	atLeast bool // there may be more
}

// tally counts the fires after one instant and not after another.
func (t *Timetable) tally(after, until time.Time) (sum tally) {
	for range maxCounted {
		if !after.Before(until) {
			return sum
		}
		b, ok := t.blackoutAt(after.Add(1))
		if !ok {
			stop := until
			if start := t.blackoutAfter(after); !start.IsZero() && !start.After(until) {
				stop = start.Add(-1)
			}
			n, atLeast := t.countOpen(after, stop)
			sum.due += n
			sum.atLeast = sum.atLeast || atLeast
			after = stop
			if start := stop.Add(1); stop.Before(until) {
				b, ok = t.blackoutAt(start)
			}
			if !ok {
				return sum
			}
		}
		last := b.end.Add(-1)
		if last.After(until) {
			last = until
		}
		n, atLeast := t.countOpen(after, last)
		sum.blacked += n
		sum.atLeast = sum.atLeast || atLeast
		if b.deferring && !b.end.After(until) {
			if fire, ok := t.Next(last); ok && fire.At.Equal(b.end) && fire.Note&Deferred != 0 {
				if own, _ := t.countOpen(last, b.end); own == 0 {
					sum.due++
				}
			}
		}
		after = last
	}
	sum.atLeast = true
	return sum
}

// countOpen counts the fires after one instant and not after another, whatever
// blackouts say.
func (t *Timetable) countOpen(after, until time.Time) (n int, atLeast bool) {
	if !t.s.End.IsZero() && !until.Before(t.s.End) {
		until = t.s.End.Add(-1)
	}
	if !t.s.Start.IsZero() && after.Before(t.s.Start) {
		after = t.s.Start.Add(-1)
	}
	if c, ok := t.trigger.(counter); ok && t.days == nil && after.Before(until) {
		if n := c.count(after, until); n >= 0 {
			return n, false
		}
	}
	for n < maxCounted {
		fire, ok := t.open(after)
		if !ok || fire.At.After(until) {
			return n, false
		}
		n++
		after = fire.At
	}
	return n, true
}

// last returns the last fire after one instant and not after another. It asks
// Next about as often as the time has bits.
func (t *Timetable) last(after, until time.Time) (Fire, bool) {
	last, ok := t.Next(after)
	if !ok || last.At.After(until) {
		return Fire{}, false
	}
	lo, hi := last.At.Unix(), until.Unix()
	for lo < hi {
		middle := lo + (hi-lo+1)/2
		fire, ok := t.Next(time.Unix(middle-1, 0))
		if !ok || fire.At.After(until) {
			hi = middle - 1
			continue
		}
		last, lo = fire, fire.At.Unix()
	}
	return last, true
}
