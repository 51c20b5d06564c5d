package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what is read of an iCalendar file.
const (
	maxICS    = 4 << 20
	maxEvents = 10_000
	maxEvent  = 3660   // days
	maxStarts = 20_000 // of all events that repeat
)

// ImportICS makes a calendar of the days that the events of an iCalendar file
// (RFC 5545) touch, from one day to another, both included: public holidays,
// as they are published. An event's days are those of its own zone. Rules
// that repeat it are followed, cancelled events left out; all that does not
// say when is ignored.
func ImportICS(name, text string, from, until time.Time) (Calendar, error) {
	c := Calendar{Name: name}
	if len(text) > maxICS {
		return c, fmt.Errorf("trigger: ics of %d bytes: want at most %d", len(text), maxICS)
	}
	if from, until = midnight(from), midnight(until); until.Before(from) || inYears("from", from) != nil || inYears("until", until) != nil {
		return c, fmt.Errorf("trigger: ics from %s until %s: want days from 1970 to 2099, the second not before the first", from.Format(time.DateOnly), until.Format(time.DateOnly))
	}
	days := map[int]bool{}
	var e *event
	events, starts := 0, 0
	for number, line := range unfold(text) {
		key, value := property(line)
		var err error
		switch {
		case key == "BEGIN" && value == "VEVENT":
			if e != nil {
				err = errors.New("an event inside of another: want END:VEVENT before it")
			}
			e = &event{}
		case key == "END" && value == "VEVENT" && e != nil:
			if events++; events > maxEvents {
				err = fmt.Errorf("more than %d events: want fewer", maxEvents)
			} else {
				err = e.addTo(days, from, until, &starts)
			}
			e = nil
		case e != nil:
			err = e.read(key, value)
		}
		if err != nil {
			return c, fmt.Errorf("trigger: ics, event that ends or fails at line %d: %w", number, err)
		}
	}
	if events == 0 || e != nil {
		return c, errors.New("trigger: ics: want at least one event, from BEGIN:VEVENT to END:VEVENT")
	}
	c.Dates = dateRanges(days)
	return c, nil
}

// unfold yields the lines of a file, with those that were folded put
// together, and their numbers.
func unfold(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		whole, number := "", 0
		for raw := range strings.SplitSeq(text, "\n") {
			number++
			raw = strings.TrimSuffix(raw, "\r")
			if raw != "" && (raw[0] == ' ' || raw[0] == '\t') && len(whole) < 1<<20 {
				whole += raw[1:]
				continue
			}
			if whole != "" && !yield(number-1, whole) {
				return
			}
			whole = raw
		}
		if whole != "" {
			yield(number, whole)
		}
	}
}

// property splits a line at the colon that is in no quotes, and takes the
// parameters off the name.
func property(line string) (name, value string) {
	quoted := false
	for i, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ':' && !quoted:
			name, _, _ = strings.Cut(line[:i], ";")
			return strings.ToUpper(name), strings.TrimSpace(line[i+1:])
		}
	}
	return "", ""
}

// dateRanges writes days as a calendar's dates, those that follow each other
// as one.
func dateRanges(days map[int]bool) []string {
	sorted := make([]int, 0, len(days))
	for d := range days {
		sorted = append(sorted, d)
	}
	slices.Sort(sorted)
	name := func(d int) string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }
	var out []string
	for i := 0; i < len(sorted); i++ {
		first := sorted[i]
		for i+1 < len(sorted) && sorted[i+1] == sorted[i]+1 {
			i++
		}
		if last := sorted[i]; last > first {
			out = append(out, name(first)+".."+name(last))
		} else {
			out = append(out, name(first))
		}
	}
	return out
}
