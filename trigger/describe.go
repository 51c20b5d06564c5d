package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Describe says in words when a trigger is due.
func Describe(t Trigger) string {
	var text string
	switch t := t.(type) {
	case Manual:
		return "when somebody asks for it"
	case Once:
		text = t.describe()
	case Second:
		text = "every " + plural(int(t.every/time.Second), "second")
		if t.phase > 0 {
			text += ", " + span(t.phase) + " after each multiple"
		}
		return text
	case Rate:
		text = "every " + span(t.every) + ", from start to start"
		if t.days() {
			text = "every " + plural(int(t.every/(24*time.Hour)), "day") + ", at the same time of day"
		}
		if !t.anchor.IsZero() {
			text += ", counted from " + t.anchor.Format(time.RFC3339)
		}
	case Delay:
		return span(t.wait) + " after the end of the run before"
	case Cron:
		text = t.describe()
	case Daily:
		text = fmt.Sprintf("every %s from %s to %s", span(t.every), clock(t.from), clock(t.to))
		if t.to <= t.from {
			text += " of the next day"
		}
		if t.days != 0 {
			text += ", on " + daysInWords(t.days)
		}
	case Months:
		text = strings.TrimPrefix(t.String(), t.local.String())
	case Recurrence:
		text = "by the rule " + t.text
	default:
		return t.String()
	}
	if z, ok := t.(zoned); ok && z.where().Zone != "" {
		text += ", " + z.where().Zone + " time"
	}
	return text
}

func (o Once) describe() string {
	if o.after > 0 {
		return "once, " + span(o.after) + " after it is saved"
	}
	times := make([]string, 0, len(o.times)+len(o.walls))
	for _, t := range o.times {
		times = append(times, t.Format(time.RFC3339))
	}
	for _, t := range o.walls {
		times = append(times, t.Format("2006-01-02 15:04:05"))
	}
	return "once, at " + and(times)
}

func daysInWords(w Weekdays) string {
	var names []string
	for _, d := range week {
		if w.Has(d) {
			names = append(names, d.String())
		}
	}
	if w == On(1, 2, 3, 4, 5) {
		return "Monday to Friday"
	}
	return and(names)
}

// and is a list as it is spoken.
func and(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

func plural(n int, unit string) string {
	if n == 1 {
		return unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
