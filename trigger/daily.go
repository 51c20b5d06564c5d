package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Daily is due at an interval inside a window of the day: mode 7. Each day
// begins anew at the window's start; from there on elapsed time counts, until
// clocks show the window's end, which is part of it. On a day when clocks
// change the edges follow Local, so a window from 01:00 to 03:00 may be one
// hour long, or three. A window whose end is not after its start ends on the
// next day, and belongs to the day it starts on.
type Daily struct {
	from, to time.Duration // since midnight, by the clock
	every    time.Duration
	days     Weekdays
	local    Local
}

// Window is due every d from one time of day to another, on the given days of
// the week; none are all of them. The times are since midnight; 24 h is
// midnight at the end of the day.
func Window(from, to, every time.Duration, on Weekdays, local Local) Daily {
	return Daily{from, to, every, on, local}
}

// Mode returns ModeDaily.
func (Daily) Mode() Mode { return ModeDaily }

// Next returns the first fire strictly after the given instant.
func (d Daily) Next(after time.Time) (Fire, bool) {
	if d.every < time.Second {
		return Fire{}, false
	}
	today := midnight(wallIn(after, d.local.zone()))
	var best Fire
	found := false
	// Windows are at most a day long, so those that began two days ago are
	// over, even where a day was left out. What one day has may be after what
	// the next has, where clocks changed.
	for day := -2; day < 10 && !(found && day > 1); day++ {
		fire, ok := d.on(today.AddDate(0, 0, day), after)
		if ok && (!found || fire.At.Before(best.At)) {
			best, found = fire, true
		}
	}
	return best, found
}

// on returns the first fire after the given instant in the window that starts
// on a day.
func (d Daily) on(day, after time.Time) (Fire, bool) {
	if !d.days.Has(day.Weekday()) {
		return Fire{}, false
	}
	to := d.to
	if to <= d.from {
		to += 24 * time.Hour
	}
	edge := d.local
	if edge.Twice == TwiceBoth { // the window has both passes
		edge.Twice = TwiceFirst
	}
	first := edge.instant(day.Add(d.from))
	if d.local.Twice == TwiceBoth {
		edge.Twice = TwiceLast
	}
	last := edge.instant(day.Add(to))
	fire := first
	if !after.Before(first.At) {
		fire = fireAt(nextMultiple(first.At, d.every, after), 0)
	}
	return fire, !fire.At.After(last.At)
}

func midnight(reading time.Time) time.Time {
	y, m, d := reading.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// String is as in "daily 09:00-17:30 every 15m on mon-fri".
func (d Daily) String() string {
	text := fmt.Sprintf("%sdaily %s-%s every %s", d.local, clock(d.from), clock(d.to), span(d.every))
	if d.days != 0 {
		text += " on " + d.days.String()
	}
	return text
}

// Validate returns what can't be.
func (d Daily) Validate() error {
	for _, edge := range []time.Duration{d.from, d.to} {
		if edge < 0 || edge > 24*time.Hour || edge%time.Second != 0 {
			return fmt.Errorf("trigger: daily %s: want a time of day from 00:00 to 24:00", span(edge))
		}
	}
	if d.from == d.to || d.from == 24*time.Hour {
		return fmt.Errorf("trigger: daily %s-%s: want two different times, the first before 24:00", clock(d.from), clock(d.to))
	}
	if err := positive("every", d.every, time.Second); err != nil {
		return err
	}
	if d.every > 24*time.Hour {
		return fmt.Errorf("trigger: every %s: want at most 24h, which is once in the window", span(d.every))
	}
	return d.local.Validate()
}

// parseDaily reads what follows "daily".
func parseDaily(text string, local Local) (Trigger, error) {
	d := Daily{local: local}
	w := words(text)
	from, to, ok := strings.Cut(w.next(), "-")
	var err error
	if d.from, err = parseClock(from); err != nil || !ok {
		return nil, fmt.Errorf("trigger: daily %q: want times of day, as in 09:00-17:30", from)
	}
	if d.to, err = parseClock(to); err != nil {
		return nil, fmt.Errorf("trigger: daily %q: want times of day, as in 09:00-17:30", to)
	}
	d.every = 24 * time.Hour
	if w.accept("every") {
		if d.every, err = parseSpan(w.next()); err != nil {
			return nil, fmt.Errorf("trigger: daily: every %w", err)
		}
	}
	if w.accept("on") {
		if d.days, err = ParseWeekdays(w.next()); err != nil {
			return nil, err
		}
	}
	if err := w.end(); err != nil {
		return nil, fmt.Errorf("trigger: daily: %w", err)
	}
	return d, d.Validate()
}

func (d Daily) in(l Local) Trigger {
	d.local = l
	return d
}

func (d Daily) where() Local { return d.local }
