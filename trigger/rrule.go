package trigger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Recurrence is due as a rule of RFC 5545 says: the first part of mode 8. Its
// text is that of the RFC, with DTSTART, RDATE and EXDATE as parts among the
// others. All its times are local, but for an UNTIL that ends in Z. Without
// DTSTART it begins at midnight of the day it is saved on.
//
// Rules by the minute and by the second are refused: cron expressions and
// intervals are better at them.
type Recurrence struct {
	local        Local
	text         string
	rule         rule
	dates        []time.Time // RDATE, sorted
	without      []time.Time // EXDATE, sorted
	withoutDays  []time.Time // EXDATE without a time of day
	needsInstant bool        // UNTIL is an instant
}

// rule is a rule as it was read. The lists are as in the RFC.
type rule struct {
	freq            frequency
	interval, count int
	start, until    time.Time
	weekStart       time.Weekday
	lists           [len(ruleLists)][]int
	days            []nthDay
}

type frequency int

const (
	yearly frequency = iota
	monthly
	weekly
	daily
	hourly
)

var frequencies = []string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"}

// nthDay is a day of the week, or with n the nth of the month or year.
type nthDay struct {
	day time.Weekday
	n   int
}

// ruleLists are the parts that are lists of numbers; negative ones count from
// the end.
var ruleLists = [...]struct {
	name     string
	lo, hi   int
	negative bool
}{
	{"BYMONTH", 1, 12, false},
	{"BYMONTHDAY", 1, 31, true},
	{"BYYEARDAY", 1, 366, true},
	{"BYWEEKNO", 1, 53, true},
	{"BYHOUR", 0, 23, false},
	{"BYMINUTE", 0, 59, false},
	{"BYSECOND", 0, 59, false},
	{"BYSETPOS", 1, 366, true},
}

const (
	byMonth = iota
	byMonthDay
	byYearDay
	byWeekNo
	byHour
	byMinute
	bySecond
	bySetPos
)

var ruleDays = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

const (
	maxRuleCount = 10_000
	maxRuleList  = 100
)

// ParseRecurrence reads a rule, as in "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18".
func ParseRecurrence(text string, local Local) (Recurrence, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "RRULE:")
	r := Recurrence{local: local, text: text, rule: rule{freq: -1, interval: 1, weekStart: time.Monday}}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || value == "" || seen[name] {
			return r, fmt.Errorf("trigger: rrule %q: want each part once, as in FREQ=MONTHLY;BYDAY=-1FR", part)
		}
		seen[name] = true
		if err := r.part(name, value); err != nil {
			return r, fmt.Errorf("trigger: rrule %s=%s: %w", name, value, err)
		}
	}
	if r.rule.freq < 0 {
		return r, fmt.Errorf("trigger: rrule %q: want FREQ, as in FREQ=MONTHLY", text)
	}
	if seen["COUNT"] && seen["UNTIL"] {
		return r, fmt.Errorf("trigger: rrule %q: want COUNT or UNTIL, not both", text)
	}
	return r, r.check()
}

// part reads one of the parts.
func (r *Recurrence) part(name, value string) (err error) {
	switch name {
	case "FREQ":
		if r.rule.freq = frequency(slices.Index(frequencies, value)); r.rule.freq < 0 {
			return fmt.Errorf("want one of %s, or a cron expression, or every 90s", strings.Join(frequencies, ", "))
		}
	case "INTERVAL":
		r.rule.interval, err = number(value, 1, 1000)
	case "COUNT":
		r.rule.count, err = number(value, 1, maxRuleCount)
	case "UNTIL":
		return r.untilPart(value)
	case "DTSTART":
		if r.rule.start, err = ruleTime(value); err == nil {
			err = inYears(name, r.rule.start)
		}
	case "RDATE":
		r.dates, err = ruleTimes(value)
	case "EXDATE":
		var all []time.Time
		if all, err = ruleTimes(value); err == nil {
			for i, text := range strings.Split(value, ",") {
				if !strings.Contains(text, "T") {
					r.withoutDays = append(r.withoutDays, all[i])
				} else {
					r.without = append(r.without, all[i])
				}
			}
		}
	case "WKST":
		i := slices.Index(ruleDays, value)
		if i < 0 {
			return fmt.Errorf("want one of %s", strings.Join(ruleDays, ", "))
		}
		r.rule.weekStart = time.Weekday(i)
	case "BYDAY":
		return r.days(value)
	default:
		return r.list(name, value)
	}
	return err
}

func (r *Recurrence) untilPart(value string) (err error) {
	value, r.needsInstant = strings.CutSuffix(value, "Z")
	r.rule.until, err = ruleTime(value)
	if err == nil && !strings.Contains(value, "T") {
		r.rule.until = r.rule.until.Add(24*time.Hour - time.Second)
	}
	return err
}

func (r *Recurrence) days(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		cut := max(0, len(item)-2)
		day := slices.Index(ruleDays, item[cut:])
		n := 0
		var err error
		if cut > 0 {
			n, err = strconv.Atoi(item[:cut])
		}
		if day < 0 || err != nil || cut > 0 && n == 0 || n > 53 || n < -53 || len(r.rule.days) >= maxRuleList {
			return fmt.Errorf("%q: want days as in MO, 2TU or -1FR", item)
		}
		r.rule.days = append(r.rule.days, nthDay{time.Weekday(day), n})
	}
	return nil
}

func (r *Recurrence) list(name, value string) error {
	for i, l := range ruleLists {
		if l.name != name {
			continue
		}
		for item := range strings.SplitSeq(value, ",") {
			n, err := strconv.Atoi(item)
			size := n
			if l.negative && n < 0 {
				size = -n
			}
			if err != nil || size < l.lo || size > l.hi || len(r.rule.lists[i]) >= maxRuleList {
				return fmt.Errorf("%q: want numbers from %d to %d", item, l.lo, l.hi)
			}
			r.rule.lists[i] = append(r.rule.lists[i], n)
		}
		return nil
	}
	return fmt.Errorf("want a part of RFC 5545 section 3.3.10, or DTSTART, RDATE or EXDATE")
}

// check refuses combinations that the RFC does.
func (r *Recurrence) check() error {
	u := &r.rule
	bad := func(what string) error { return fmt.Errorf("trigger: rrule %q: %s", r.text, what) }
	for _, d := range u.days {
		if d.n != 0 && (u.freq > monthly || len(u.lists[byWeekNo]) > 0) {
			return bad("want a number before a day with MONTHLY or YEARLY only, without BYWEEKNO")
		}
	}
	if len(u.lists[byWeekNo]) > 0 && u.freq != yearly {
		return bad("want BYWEEKNO with YEARLY only")
	}
	if len(u.lists[byYearDay]) > 0 && u.freq != yearly && u.freq != hourly {
		return bad("want BYYEARDAY with YEARLY only")
	}
	if len(u.lists[byMonthDay]) > 0 && u.freq == weekly {
		return bad("want BYMONTHDAY without WEEKLY")
	}
	if u.freq == hourly && len(u.lists[byHour]) > 0 && !u.hoursMeet() {
		return bad("want hours that every INTERVAL hours meet")
	}
	if n := max(1, len(u.lists[byHour])) * max(1, len(u.lists[byMinute])) * max(1, len(u.lists[bySecond])); n > 1440 {
		return bad("want at most 1440 times of day, or a cron expression")
	}
	if len(u.lists[bySetPos]) > 0 && len(u.days) == 0 && !slices.ContainsFunc(u.lists[:bySetPos], func(l []int) bool { return len(l) > 0 }) {
		return bad("want BYSETPOS with another BY part")
	}
	return nil
}

// hoursMeet returns whether hourly steps come by an hour of BYHOUR: if not,
// the library searches for ever.
func (u *rule) hoursMeet() bool {
	hour := u.start.Hour()
	for range 24 {
		if slices.Contains(u.lists[byHour], hour) {
			return true
		}
		hour = (hour + u.interval) % 24
	}
	return false
}

func number(text string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		return lo, fmt.Errorf("want a number from %d to %d", lo, hi)
	}
	return n, nil
}

func ruleTime(text string) (time.Time, error) {
	for _, layout := range []string{"20060102T150405", "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a local time as in 20260308T023000", text)
}

func ruleTimes(value string) (times []time.Time, err error) {
	for item := range strings.SplitSeq(value, ",") {
		t, err := ruleTime(item)
		if err == nil {
			err = inYears("date", t)
		}
		if err != nil || len(times) >= maxTimes {
			return nil, fmt.Errorf("%q: want at most %d local times as in 20260308T023000", item, maxTimes)
		}
		times = append(times, t)
	}
	return times, nil
}
