package trigger

import "time"

// A step returns the first reading of a wall clock strictly after the given
// one at which something is due.
type step func(after time.Time) (time.Time, bool)

// next returns the first fire strictly after the given instant of what is due
// at the readings that due returns. If elapsed is set the clock's hands are
// followed: both passes of a repeated time fire, and nothing is invented in a
// gap.
//
// It looks at one stretch of constant offset after the other, as inside of one
// readings and instants have the same order. What a gap shifted into a stretch
// is a second sequence there, and the earlier of both comes first.
func (l Local) next(after time.Time, due step, elapsed bool) (Fire, bool) {
	z := l.zone()
	from := after.UTC().Truncate(time.Second).Add(time.Second)
	ended := false
	for range 1000 {
		s := stretchAt(from, z)
		fire, ok := s.shifted(from, due, elapsed || l.Gap == GapSkip)
		regular, reading := s.regular(from, due, elapsed, l.Twice)
		if !regular.At.IsZero() && (!ok || !regular.At.After(fire.At)) {
			fire, ok = regular, true
		}
		if ok || s.end.IsZero() {
			return fire, ok
		}
		repeats := s.behind < s.off
		if reading.IsZero() { // there is none left, but its repetition may be
			if ended || !repeats {
				return Fire{}, false
			}
			ended = true
		}
		from = s.end
		// Nothing is due in the stretches before the next reading, and no
		// offset is as much as two days.
		if jump := reading.Add(-48 * time.Hour); !repeats && jump.After(from) {
			from = jump
		}
	}
	return Fire{}, false
}

// instant returns when clocks show a reading, and how that is to be noted. It
// follows GapShift, so that there always is one.
func (l Local) instant(reading time.Time) Fire {
	l.Gap = GapShift
	once := func(after time.Time) (time.Time, bool) { return reading, after.Before(reading) }
	fire, _ := l.next(reading.Add(-48*time.Hour), once, false)
	return fire
}

// A stretch is a time during which the offset of a zone from UTC is constant.
type stretch struct {
	start, end          time.Time // end is exclusive; zero means no bound
	before, off, behind int       // offsets before, during and after, in seconds
}

// stretchAt returns the stretch that t is in. The bounds that the package time
// knows are also those of names and of daylight saving: here they do not
// count as long as the offset is the same. Nor do those on the wrong side of t,
// which it gives for the last day of leap years that only a rule describes.
func stretchAt(t time.Time, z *time.Location) (s stretch) {
	local := t.In(z)
	_, s.off = local.Zone()
	s.before, s.behind = s.off, s.off
	s.start, s.end = local.ZoneBounds()
	for !s.start.IsZero() {
		previous := s.start.Add(-time.Second).In(z)
		if _, s.before = previous.Zone(); s.before != s.off {
			break
		}
		if s.start, _ = previous.ZoneBounds(); s.start.After(previous) {
			s.start = previous.Add(-24 * time.Hour)
		}
	}
	for !s.end.IsZero() {
		following := s.end.In(z)
		if _, s.behind = following.Zone(); s.behind != s.off {
			break
		}
		if _, s.end = following.ZoneBounds(); !s.end.IsZero() && !s.end.After(following) {
			s.end = following.Add(24 * time.Hour)
		}
	}
	return s
}

// regular returns the first fire of the stretch, from an instant on, at a
// reading that exists in it; and the reading that is due, even if it is behind
// the stretch or left to the other pass. Both are zero if there is none.
func (s *stretch) regular(from time.Time, due step, elapsed bool, twice Twice) (Fire, time.Time) {
	least := wall(from, s.off)
	if seen := wall(s.start, s.before); s.before > s.off && !elapsed && twice != TwiceLast && twice != TwiceBoth && least.Before(seen) {
		least = seen
	}
	reading, ok := due(least.Add(-time.Second))
	if !ok {
		return Fire{}, time.Time{}
	}
	at := wall(reading, -s.off)
	if !s.end.IsZero() && !at.Before(s.end) {
		return Fire{}, reading
	}
	var note Note
	if s.before > s.off && reading.Before(wall(s.start, s.before)) {
		note = SecondPass
	}
	if s.behind < s.off && !s.end.IsZero() && !reading.Before(wall(s.end, s.behind)) {
		if note = FirstPass; twice == TwiceLast && !elapsed {
			return Fire{}, reading
		}
	}
	return fireAt(at, note), reading
}

// shifted returns the first fire of the stretch, from an instant on, at a
// reading that the gap before the stretch left out.
func (s *stretch) shifted(from time.Time, due step, skip bool) (Fire, bool) {
	if skip || s.start.IsZero() || s.before >= s.off {
		return Fire{}, false
	}
	least := wall(s.start, s.before)
	if r := wall(from, s.before); r.After(least) {
		least = r
	}
	reading, ok := due(least.Add(-time.Second))
	if !ok || !reading.Before(wall(s.start, s.off)) {
		return Fire{}, false
	}
	return fireAt(wall(reading, -s.before), Shifted), true
}
