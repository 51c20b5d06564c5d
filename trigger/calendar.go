package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Calendar is a named set of days: the days of the week in Days, if any, and
// the Dates, but never those in Without. It is what the schedule's Only and
// Except name.
type Calendar struct {
	// Name is what schedules call it.
	Name string `msgpack:"n" json:"name" yaml:"name"`
	// Days are days of the week that belong, as in "mon-fri". Empty means none,
	// or all if there are no Dates either.
	Days string `msgpack:"d,omitempty" json:"days,omitempty" yaml:"days,omitempty"`
	// Dates are days that belong: "2026-12-25", "12-25" for every year, or
	// "2026-12-24..2027-01-01" with both ends.
	Dates []string `msgpack:"a,omitempty" json:"dates,omitempty" yaml:"dates,omitempty"`
	// Without are days that do not belong, in the same form.
	Without []string `msgpack:"w,omitempty" json:"without,omitempty" yaml:"without,omitempty"`
}

// Calendars finds a calendar by its name.
type Calendars func(name string) (Calendar, bool)

// CalendarsOf finds the given calendars.
func CalendarsOf(all ...Calendar) Calendars {
	return func(name string) (Calendar, bool) {
		for _, c := range all {
			if c.Name == name {
				return c, true
			}
		}
		return Calendar{}, false
	}
}

// BusinessDays is the days from Monday to Friday but for the holidays.
func BusinessDays(name string, holidays Calendar) Calendar {
	return Calendar{Name: name, Days: "mon-fri", Without: holidays.Dates}
}

// Validate returns what can't be.
func (c Calendar) Validate() error {
	_, err := c.compile()
	return err
}

// Has returns whether the day of a reading belongs. An invalid calendar has
// none.
func (c Calendar) Has(reading time.Time) bool {
	set, err := c.compile()
	return err == nil && set.has(reading)
}

// The most days of one calendar.
const maxDays = 100_000

// A dateSet is a calendar made ready to be asked.
type dateSet struct {
	weekdays       Weekdays
	byWeekday      bool
	dates, without map[int]bool // by day, see dayOf
}

// dayOf numbers days, and the days of a year that comes every year: those
// are negative.
func dayOf(reading time.Time) int { return int(reading.Unix() / 86400) }

func yearDay(reading time.Time) int {
	return -(int(reading.Month())*100 + reading.Day()) - 1_000_000
}

func (c *Calendar) compile() (*dateSet, error) {
	set := &dateSet{dates: map[int]bool{}, without: map[int]bool{}, byWeekday: c.Days != "" || len(c.Dates) == 0}
	var err error
	if set.weekdays, err = ParseWeekdays(c.Days); err != nil {
		return nil, fmt.Errorf("%w in calendar %q", err, c.Name)
	}
	for i, list := range [][]string{c.Dates, c.Without} {
		into := []map[int]bool{set.dates, set.without}[i]
		for _, text := range list {
			if err := addDates(into, text); err != nil {
				return nil, fmt.Errorf("trigger: calendar %q: %w", c.Name, err)
			}
		}
	}
	return set, nil
}

func addDates(into map[int]bool, text string) error {
	if t, err := time.Parse("2006-01-02", "2000-"+text); err == nil { // a leap year
		into[yearDay(t)] = true
		return nil
	}
	from, to, ranged := strings.Cut(text, "..")
	if !ranged {
		to = from
	}
	first, err := time.Parse(time.DateOnly, from)
	last, err2 := time.Parse(time.DateOnly, to)
	if err != nil || err2 != nil || last.Before(first) {
		return fmt.Errorf("date %q: want one as in 2026-12-25, 12-25 or 2026-12-24..2027-01-01", text)
	}
	if n := int(last.Sub(first).Hours()/24) + len(into); n >= maxDays {
		return fmt.Errorf("%d days: want at most %d", n, maxDays)
	}
	for d := dayOf(first); d <= dayOf(last); d++ {
		into[d] = true
	}
	return nil
}

func (s *dateSet) has(reading time.Time) bool {
	d, y := dayOf(reading), yearDay(reading)
	if s.without[d] || s.without[y] {
		return false
	}
	return s.dates[d] || s.dates[y] || s.byWeekday && s.weekdays.Has(reading.Weekday())
}

// find returns the calendar of a name, made ready.
func (c Calendars) find(name string) (*dateSet, error) {
	if c != nil {
		if cal, ok := c(name); ok {
			return cal.compile()
		}
	}
	return nil, fmt.Errorf("trigger: calendar %q: want the name of one that exists", name)
}
