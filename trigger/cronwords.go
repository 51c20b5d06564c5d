package trigger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// describe says in words when the expression is due: the time of day, then the
// days.
func (c Cron) describe() string {
	text := c.timeWords() + c.dayWords()
	if months := &c.sets[month]; len(months.values) < 12 {
		text += ", in " + months.words(func(v int) string { return time.Month(v).String() })
	}
	if years := &c.sets[year]; !years.all {
		text += ", in " + years.words(strconv.Itoa)
	}
	return text
}

// The most times of day that are listed.
const maxListed = 6

func (c Cron) timeWords() string {
	s, m, h := &c.sets[second], &c.sets[minute], &c.sets[hour]
	if len(s.values) == 1 && len(h.values)*len(m.values) <= maxListed {
		times := make([]string, 0, maxListed)
		for _, hv := range h.values {
			for _, mv := range m.values {
				times = append(times, clock(time.Duration(hv)*time.Hour+time.Duration(mv)*time.Minute+time.Duration(s.values[0])*time.Second))
			}
		}
		return "at " + and(times)
	}
	var parts []string
	onTheHour := len(m.values) == 1 && m.values[0] == 0
	onTheMinute := len(s.values) == 1 && s.values[0] == 0
	if !onTheMinute {
		parts = append(parts, s.unitWords("second", 60))
	}
	if !onTheHour && (onTheMinute || len(m.values) < 60) {
		parts = append(parts, m.unitWords("minute", 60))
	}
	if onTheHour && onTheMinute && len(h.values) == 24 {
		return "every hour, on the hour"
	}
	if len(h.values) < 24 || onTheHour {
		text := h.unitWords("hour", 24)
		if first, last, by := h.series(); by == 1 && len(h.values) < 24 {
			text = fmt.Sprintf("every hour from %02d to %02d", first, last)
		}
		if len(parts) == 0 {
			return text + ", on the hour"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " of ")
}

// unitWords is as in "every 5 minutes" and "minutes 3 and 17".
func (s *cronSet) unitWords(unit string, size int) string {
	first, last, by := s.series()
	switch {
	case by == 1 && len(s.values) == size:
		return "every " + unit
	case by > 1 && first < by && last+by >= size:
		text := "every " + plural(by, unit)
		if first > 0 {
			text += fmt.Sprintf(" from %s %d on", unit, first)
		}
		return text
	case by == 1 && len(s.values) > 2:
		return fmt.Sprintf("every %s from %d to %d", unit, first, last)
	case by > 1 && len(s.values) > 3:
		return fmt.Sprintf("every %s from %d to %d", plural(by, unit), first, last)
	}
	items := make([]string, 0, len(s.values))
	for _, v := range s.values {
		items = append(items, strconv.Itoa(v))
	}
	if len(items) == 1 {
		return unit + " " + items[0]
	}
	return unit + "s " + and(items)
}

// series returns how the values go, with by 0 if they are in no even steps.
func (s *cronSet) series() (first, last, by int) {
	n := len(s.values)
	if n == 0 {
		return 0, 0, 0
	}
	first, last = s.values[0], s.values[n-1]
	if n == 1 {
		return first, last, 0
	}
	by = s.values[1] - first
	for i := 2; i < n; i++ {
		if s.values[i]-s.values[i-1] != by {
			return first, last, 0
		}
	}
	return first, last, by
}

// words lists the values, or their range.
func (s *cronSet) words(name func(int) string) string {
	first, last, by := s.series()
	switch n := len(s.values); {
	case by == 1 && n > 2:
		return name(first) + " to " + name(last)
	case by > 1 && n > 3:
		return fmt.Sprintf("%s to %s in steps of %d", name(first), name(last), by)
	}
	items := make([]string, 0, len(s.values))
	for _, v := range s.values {
		items = append(items, name(v))
	}
	return and(items)
}

func (c Cron) dayWords() string {
	dom, dow := &c.sets[dayOfMonth], &c.sets[dayOfWeek]
	var days, weekdays string
	if !dom.all {
		days = "on " + dom.domWords()
	}
	if !dow.all {
		weekdays = "on " + dow.dowWords()
	}
	switch {
	case days == "" && weekdays == "":
		return ", every day"
	case days != "" && weekdays != "" && (dom.star || dow.star):
		return ", " + days + " if that is " + weekdays
	case days != "" && weekdays != "":
		return ", " + days + ", and also " + weekdays
	}
	return ", " + days + weekdays
}

func (s *cronSet) domWords() string {
	var items []string
	if len(s.values) > 0 {
		if text := s.words(strconv.Itoa); len(s.values) == 1 {
			items = append(items, "day "+text)
		} else {
			items = append(items, "days "+text)
		}
	}
	for _, mark := range s.marks {
		switch mark {
		case "l":
			items = append(items, "the last day")
		case "lw":
			items = append(items, "the last day from Monday to Friday")
		default:
			items = append(items, "the day from Monday to Friday nearest to day "+strings.TrimSuffix(mark, "w"))
		}
	}
	return and(items) + " of the month"
}

func (s *cronSet) dowWords() string {
	name := func(v int) string { return time.Weekday(v).String() }
	var items []string
	if len(s.values) > 0 {
		items = append(items, s.words(name))
	}
	for _, mark := range s.marks {
		day := name(int(mark[0] - '0'))
		if mark[1] == 'l' {
			items = append(items, "the last "+day+" of the month")
		} else {
			items = append(items, "the "+ordinal(int(mark[2]-'0'))+" "+day+" of the month")
		}
	}
	return and(items)
}
