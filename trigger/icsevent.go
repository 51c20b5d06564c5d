package trigger

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// event is what of an event says on which days it is.
type event struct {
	start, end time.Time // readings; the end is exclusive
	whole      bool      // start is a day
	length     time.Duration
	rules      []string
	dates      []string // RDATE
	without    []string // EXDATE
	cancelled  bool
}

func (e *event) read(key, value string) (err error) {
	switch key {
	case "DTSTART":
		e.whole = !strings.Contains(value, "T")
		e.start, err = icsTime(value)
	case "DTEND":
		e.end, err = icsTime(value)
	case "DURATION":
		e.length, err = icsDuration(value)
	case "RRULE":
		e.rules = append(e.rules, value)
	case "RDATE":
		e.dates = append(e.dates, strings.Split(value, ",")...)
	case "EXDATE":
		e.without = append(e.without, strings.Split(value, ",")...)
	case "STATUS":
		e.cancelled = strings.EqualFold(value, "CANCELLED")
	}
	if err == nil && len(e.rules)+len(e.dates)+len(e.without) > maxTimes {
		err = fmt.Errorf("more than %d rules and dates of one event: want fewer", maxTimes)
	}
	return err
}

// addTo adds the days of the event.
func (e *event) addTo(days map[int]bool, from, until time.Time, repeated *int) error {
	if e.cancelled {
		return nil
	}
	if e.start.IsZero() {
		return errors.New("an event without DTSTART: want one as in DTSTART;VALUE=DATE:20261225")
	}
	length := e.length
	switch {
	case !e.end.IsZero():
		length = e.end.Sub(e.start)
	case length == 0 && e.whole:
		length = 24 * time.Hour
	}
	if length < 0 || length > maxEvent*24*time.Hour {
		return fmt.Errorf("an event of %s: want one that ends after it starts, within %d days", span(length), maxEvent)
	}
	without := map[int]bool{}
	for _, text := range e.without {
		t, err := icsTime(text)
		if err != nil {
			return err
		}
		without[dayOf(t)] = true
	}
	add := func(start time.Time) error {
		last := start.Add(max(length-1, 0))
		for d := max(dayOf(start), dayOf(from)); d <= min(dayOf(last), dayOf(until)); d++ {
			if days[d] = true; len(days) > maxDays {
				return fmt.Errorf("more than %d days: want fewer", maxDays)
			}
		}
		return nil
	}
	starts, err := e.starts(from.Add(-length), until, repeated)
	if err != nil {
		return err
	}
	for _, start := range starts {
		if !without[dayOf(start)] {
			if err := add(start); err != nil {
				return err
			}
		}
	}
	return nil
}

// starts returns when the event starts, if it does between two readings.
func (e *event) starts(from, until time.Time, repeated *int) ([]time.Time, error) {
	starts := []time.Time{e.start}
	for _, text := range e.dates {
		period, _, _ := strings.Cut(text, "/")
		t, err := icsTime(period)
		if err != nil {
			return nil, err
		}
		starts = append(starts, t)
	}
	for _, text := range e.rules {
		r, err := ParseRecurrence(text, Local{})
		if err != nil {
			return nil, err
		}
		if r.rule.freq == hourly {
			return nil, fmt.Errorf("rule %q: want one by the day, week, month or year", text)
		}
		r.rule.start = e.start
		end := until.Add(24 * time.Hour)
		after := from.Add(-time.Second)
		for {
			t, ok := r.step(after)
			if !ok || !t.Before(end) {
				break
			}
			if *repeated++; *repeated > maxStarts {
				return nil, fmt.Errorf("events repeat more than %d times: want a shorter time", maxStarts)
			}
			starts = append(starts, t)
			after = t
		}
	}
	return starts, nil
}

// icsTime reads a date, or a date and time, as the reading it shows.
func icsTime(text string) (time.Time, error) {
	t, err := ruleTime(strings.TrimSuffix(text, "Z"))
	if err == nil {
		err = inYears("date", t)
	}
	return t, err
}

// icsDuration reads weeks, days and a time, as in P1DT12H.
func icsDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("duration %q: want one as in P1D or PT12H", text)
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" {
		return 0, bad
	}
	date, clock, _ := strings.Cut(rest, "T")
	var d time.Duration
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"W", 7 * 24 * time.Hour}, {"D", 24 * time.Hour}} {
		if n, tail, ok := strings.Cut(date, unit.letter); ok {
			count, err := number(n, 0, maxEvent)
			if err != nil {
				return 0, bad
			}
			d += time.Duration(count) * unit.length
			date = tail
		}
	}
	if clock != "" {
		t, err := time.ParseDuration(strings.ToLower(clock))
		if err != nil || t < 0 || t > maxEvent*24*time.Hour {
			return 0, bad
		}
		d += t
	}
	if date != "" {
		return 0, bad
	}
	return d, nil
}
