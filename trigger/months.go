package trigger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Months is due on one day of every so many months, such as the last business
// day: the second part of mode 8. A month that lacks the day is left out.
type Months struct {
	every int
	phase int // months since the year 0 of what counts, modulo every
	nth   int // -1 is the last
	kind  string
	of    string // calendar of business days; empty means Monday to Friday
	at    time.Duration
	local Local
	set   *dateSet // of the calendar, once it is known
}

// The kinds of days. All others are names of days of the week.
const (
	anyDay      = "day"
	businessDay = "business day"
)

// Mode returns ModeCalendar.
func (Months) Mode() Mode { return ModeCalendar }

// Next returns the first fire strictly after the given instant.
func (m Months) Next(after time.Time) (Fire, bool) {
	if m.every <= 0 {
		return Fire{}, false
	}
	return m.local.next(after, m.step, false)
}

func (m Months) step(after time.Time) (time.Time, bool) {
	first := after.Year()*12 + int(after.Month()) - 1
	first += ((m.phase-first)%m.every + m.every) % m.every
	for month := first; month <= first+12*8+m.every; month += m.every {
		if day, ok := m.day(month/12, time.Month(month%12+1)); ok {
			if reading := day.Add(m.at); reading.After(after) {
				return reading, true
			}
		}
	}
	return time.Time{}, false
}

// day returns the day of a month that is meant.
func (m Months) day(year int, month time.Month) (time.Time, bool) {
	day, by, n := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC), 1, m.nth
	if n < 0 {
		day, by, n = time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC), -1, -n
	}
	for ; day.Month() == month; day = day.AddDate(0, 0, by) {
		if m.counts(day) {
			if n--; n == 0 {
				return day, true
			}
		}
	}
	return day, false
}

func (m Months) counts(day time.Time) bool {
	switch m.kind {
	case anyDay:
		return true
	case businessDay:
		if m.set != nil {
			return m.set.has(day)
		}
		return day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
	}
	return dayNames[day.Weekday()] == m.kind
}

// String is as in "every 2 months on last business day at 18:00".
func (m Months) String() string {
	text := m.local.String() + "every "
	if m.every == 1 {
		text += "month"
	} else {
		text += strconv.Itoa(m.every) + " months"
	}
	text += " on " + ordinal(m.nth) + " " + m.kind
	if m.of != "" {
		text += " of " + m.of
	}
	text += " at " + clock(m.at)
	if m.phase != 0 {
		month := 2000*12 + m.phase // which is the phase of a month that year
		month += (m.phase - month%m.every + m.every) % m.every
		text += fmt.Sprintf(" from %04d-%02d", month/12, month%12+1)
	}
	return text
}

// Validate returns what can't be.
func (m Months) Validate() error {
	if m.every < 1 || m.every > 12*8 {
		return fmt.Errorf("trigger: every %d months: want a number from 1 to 96", m.every)
	}
	if m.nth == 0 || m.nth < -1 || m.nth > 31 {
		return fmt.Errorf("trigger: %d. %s: want a number from 1 to 31, or last", m.nth, m.kind)
	}
	if m.at < 0 || m.at >= 24*time.Hour || m.at%time.Second != 0 {
		return fmt.Errorf("trigger: at %s: want a time of day", span(m.at))
	}
	if m.of != "" && m.kind != businessDay {
		return fmt.Errorf("trigger: %s of %s: want a calendar for business days only", m.kind, m.of)
	}
	if _, ok := m.step(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok && m.of == "" {
		return fmt.Errorf("trigger: %s: never due: want a day that some month has", m)
	}
	return m.local.Validate()
}

var ordinals = []string{"", "first", "second", "third", "fourth", "fifth"}

func ordinal(n int) string {
	if n < 0 {
		return "last"
	}
	if n < len(ordinals) {
		return ordinals[n]
	}
	return strconv.Itoa(n) + "th"
}

// parseMonths reads what follows "every", if that is months.
func parseMonths(text string, local Local) (Trigger, error) {
	m := Months{every: 1, local: local}
	w := words(text)
	bad := func(err error) (Trigger, error) {
		return nil, fmt.Errorf("trigger: every %s: %w", text, err)
	}
	var err error
	if !w.accept("month") {
		if m.every, err = number(w.next(), 1, 12*8); err != nil {
			return bad(err)
		}
		w.next() // months
	}
	if !w.accept("on") {
		return bad(fmt.Errorf(`want a day, as in "on last business day at 18:00"`))
	}
	if m.nth, err = parseOrdinal(w.next()); err != nil {
		return bad(err)
	}
	if m.kind = strings.ToLower(w.next()); m.kind == "business" && w.accept("day") {
		m.kind = businessDay
	} else if i := weekday(m.kind); i >= 0 {
		m.kind = dayNames[week[i]]
	} else if m.kind != anyDay {
		return bad(fmt.Errorf("%q: want day, business day, or a day of the week", m.kind))
	}
	if w.accept("of") {
		m.of = w.next()
	}
	if w.accept("at") {
		if m.at, err = parseClock(w.next()); err != nil {
			return nil, err
		}
	}
	if w.accept("from") {
		from, err := time.Parse("2006-01", w.next())
		if err != nil {
			return bad(fmt.Errorf("want a month behind from, as in 2026-01"))
		}
		m.phase = (from.Year()*12 + int(from.Month()) - 1) % m.every
	}
	if err := w.end(); err != nil {
		return bad(err)
	}
	return m, m.Validate()
}

func parseOrdinal(word string) (int, error) {
	word = strings.ToLower(word)
	if word == "last" {
		return -1, nil
	}
	for n, name := range ordinals {
		if n > 0 && word == name {
			return n, nil
		}
	}
	for _, suffix := range []string{"st", "nd", "rd", "th"} {
		if digits, ok := strings.CutSuffix(word, suffix); ok {
			if n, err := number(digits, 1, 31); err == nil {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%q: want first, 2nd, 15th or last", word)
}

func (m Months) in(l Local) Trigger {
	m.local = l
	return m
}

func (m Months) where() Local { return m.local }

// with finds the calendar.
func (m Months) with(calendars Calendars) (Trigger, error) {
	if m.of == "" {
		return m, nil
	}
	var err error
	m.set, err = calendars.find(m.of)
	return m, err
}
