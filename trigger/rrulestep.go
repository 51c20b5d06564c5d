package trigger

import (
	"time"

	"github.com/teambition/rrule-go"
)

// next returns the first reading of the rule after the given one, by
// teambition/rrule-go behind its fence. The library always begins at the
// rule's start, reads the clock if it has none, errs when clocks change, and
// searches for an impossible day until the year 9999. So it only sees readings
// of a wall clock; a start that is near, unless COUNT forbids that; and years
// close to its last, as the calendar is the same every 400 years.
func (u rule) next(after, until time.Time) (reading time.Time, ok bool) {
	defer func() {
		if recover() != nil { // its masks have edges
			reading, ok = time.Time{}, false
		}
	}()
	start := u.near(after)
	option := rrule.ROption{
		Freq: rrule.Frequency(u.freq), Dtstart: late(start), Interval: u.interval, Count: u.count, Wkst: weekdays[u.weekStart],
		Bymonth: u.lists[byMonth], Bymonthday: u.lists[byMonthDay], Byyearday: u.lists[byYearDay], Byweekno: u.lists[byWeekNo],
		Byhour: u.lists[byHour], Byminute: u.lists[byMinute], Bysecond: u.lists[bySecond], Bysetpos: u.lists[bySetPos],
	}
	for _, d := range u.days {
		day := weekdays[d.day]
		option.Byweekday = append(option.Byweekday, day.Nth(d.n))
	}
	u.fill(&option)
	if !until.IsZero() {
		option.Until = late(until)
	}
	r, err := rrule.NewRRule(option)
	if err != nil {
		return time.Time{}, false
	}
	next, least := r.Iterator(), late(after)
	for range maxRuleCount + 3*1440 {
		t, ok := next()
		if !ok {
			break
		}
		if t.After(least) {
			return t.AddDate(-cycles, 0, 0), true
		}
	}
	return time.Time{}, false
}

// cycles is how many years lie between readings and what the library sees.
const cycles = 19 * 400

func late(t time.Time) time.Time { return t.AddDate(cycles, 0, 0) }

var weekdays = [...]rrule.Weekday{rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA}

// near returns a start as late as can be that leaves all readings after the
// given one as they are.
func (u *rule) near(after time.Time) time.Time {
	if u.count > 0 || !after.After(u.start) {
		return u.start
	}
	days := int(after.Sub(u.start).Hours() / 24)
	switch u.freq {
	case daily:
		return u.start.AddDate(0, 0, max(0, days/u.interval-1)*u.interval)
	case weekly:
		return u.start.AddDate(0, 0, max(0, days/(7*u.interval)-1)*7*u.interval)
	case hourly:
		steps := max(0, int(after.Sub(u.start).Hours())/u.interval-25) // 25: so that BYHOUR is met again
		return u.start.Add(time.Duration(steps*u.interval) * time.Hour)
	}
	months := (after.Year()-u.start.Year())*12 + int(after.Month()) - int(u.start.Month())
	period := u.interval
	if u.freq == yearly {
		period *= 12
	}
	steps := months/period - 1
	if steps <= 0 {
		return u.start
	}
	// The first of the month exists everywhere; fill has kept the day.
	first := time.Date(u.start.Year(), u.start.Month(), 1, u.start.Hour(), u.start.Minute(), u.start.Second(), 0, time.UTC)
	if u.freq == yearly {
		first = time.Date(u.start.Year(), 1, 1, u.start.Hour(), u.start.Minute(), u.start.Second(), 0, time.UTC)
	}
	return first.AddDate(0, steps*period, 0)
}

// fill says what the library would take from the start, which may have moved.
func (u *rule) fill(o *rrule.ROption) {
	if len(o.Byhour) == 0 && u.freq < hourly {
		o.Byhour = []int{u.start.Hour()}
	}
	if len(o.Byminute) == 0 {
		o.Byminute = []int{u.start.Minute()}
	}
	if len(o.Bysecond) == 0 {
		o.Bysecond = []int{u.start.Second()}
	}
	if len(o.Byweekno)+len(o.Byyearday)+len(o.Bymonthday)+len(o.Byweekday) > 0 {
		return
	}
	switch u.freq {
	case yearly:
		if len(o.Bymonth) == 0 {
			o.Bymonth = []int{int(u.start.Month())}
		}
		o.Bymonthday = []int{u.start.Day()}
	case monthly:
		o.Bymonthday = []int{u.start.Day()}
	case weekly:
		o.Byweekday = []rrule.Weekday{weekdays[u.start.Weekday()]}
	}
}
