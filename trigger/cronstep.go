package trigger

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorhill/cronexpr"
)

// A stepper is gorhill/cronexpr behind its fence. The library panics, loops
// and goes back in time on much that it accepts, around changes of clocks, and
// from two goroutines. So it only ever sees fields that are plain sorted
// numbers, readings of a wall clock, and one caller at a time; and what it
// returns is only believed if it is later than what it was given.
type stepper struct {
	mu   sync.Mutex
	expr *cronexpr.Expression // guarded by mu: asking changes it

	// both is set when a day must satisfy both of its fields, as in Vixie's
	// cron if one of them begins with a star; then expr does not know of
	// weekdays, and they are checked here.
	both     bool
	weekdays cronSet
}

// newStepper hands the fields, second to year, to the library.
func newStepper(sets *[7]cronSet) (st *stepper, err error) {
	defer func() {
		if r := recover(); r != nil {
			st, err = nil, fmt.Errorf("cronexpr: %v", r)
		}
	}()
	st = &stepper{weekdays: sets[dayOfWeek]}
	var text [7]string
	for i := range sets {
		text[i] = sets[i].canonical()
	}
	dom, dow := &sets[dayOfMonth], &sets[dayOfWeek]
	if (dom.star || dow.star) && !dom.all && !dow.all {
		st.both = true
		text[dayOfWeek] = "*"
	}
	st.expr, err = cronexpr.Parse(strings.Join(text[:], " "))
	return st, err
}

// canonical writes a field as the library reads it rightly.
func (s *cronSet) canonical() string {
	if s.all {
		return "*"
	}
	items := make([]string, 0, len(s.values)+len(s.marks))
	for _, v := range s.values {
		items = append(items, strconv.Itoa(v))
	}
	return strings.Join(append(items, s.marks...), ",")
}

// next is a step. It gives up in 2100, and after as many days as eight years
// have that satisfied only one of their fields.
func (st *stepper) next(after time.Time) (time.Time, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for range 8 * 366 {
		reading := st.expr.Next(after)
		if reading.IsZero() {
			return time.Time{}, false
		}
		if !reading.After(after) {
			panic(fmt.Sprintf("trigger: cronexpr went from %v to %v", after, reading))
		}
		if !st.both || st.weekdays.hasDay(reading) {
			return reading, true
		}
		y, m, d := reading.Date()
		after = time.Date(y, m, d, 23, 59, 59, 0, time.UTC)
	}
	return time.Time{}, false
}

// hasDay returns whether the set, of days of week, has the day of a reading.
func (s *cronSet) hasDay(reading time.Time) bool {
	for _, v := range s.values {
		if v == int(reading.Weekday()) {
			return true
		}
	}
	day := reading.Day()
	last := time.Date(reading.Year(), reading.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	for _, mark := range s.marks {
		if mark[0]-'0' != byte(reading.Weekday()) {
			continue
		}
		if mark[1] == 'l' && day > last-7 || mark[1] == '#' && int(mark[2]-'0') == (day+6)/7 {
			return true
		}
	}
	return false
}
