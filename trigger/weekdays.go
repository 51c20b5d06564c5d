package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Weekdays is a set of days of the week. The zero value is all of them.
type Weekdays uint8

// On is the set of the given days.
func On(days ...time.Weekday) Weekdays {
	var w Weekdays
	for _, d := range days {
		w |= 1 << d
	}
	return w
}

// Has returns whether d is in the set.
func (w Weekdays) Has(d time.Weekday) bool { return w == 0 || w&(1<<d) != 0 }

// The week as Weekdays are written: it begins on Monday.
var week = [...]time.Weekday{1, 2, 3, 4, 5, 6, 0}

// String is as in "mon-fri" and "mon,wed".
func (w Weekdays) String() string {
	var parts []string
	for i := 0; i < len(week); i++ {
		first := i
		for i < len(week) && w.Has(week[i]) {
			i++
		}
		switch n := i - first; {
		case n == 1:
			parts = append(parts, dayNames[week[first]][:3])
		case n > 1:
			parts = append(parts, dayNames[week[first]][:3]+"-"+dayNames[week[i-1]][:3])
		}
	}
	return strings.Join(parts, ",")
}

// ParseWeekdays reads what String wrote. No text is all days.
func ParseWeekdays(text string) (w Weekdays, err error) {
	if text == "" {
		return 0, nil
	}
	for item := range strings.SplitSeq(strings.ToLower(text), ",") {
		first, last, ranged := strings.Cut(item, "-")
		if !ranged {
			last = first
		}
		from, to := weekday(first), weekday(last)
		if from < 0 || to < 0 {
			return 0, fmt.Errorf("trigger: days %q: want names, as in mon-fri or mon,wed", item)
		}
		for i := from; ; i = (i + 1) % 7 {
			w |= 1 << week[i]
			if i == to {
				break
			}
		}
	}
	return w, nil
}

// weekday returns the index in week of a name, or -1.
func weekday(name string) int {
	for i, d := range week {
		if name == dayNames[d] || name == dayNames[d][:3] {
			return i
		}
	}
	return -1
}
