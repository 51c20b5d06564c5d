package trigger

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// A cronField is what one field of a cron expression may hold.
type cronField struct {
	name   string
	lo, hi int
	names  []string // of lo and what follows, in lower case
}

// The fields, in the order of the seven-field form.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	year
)

var (
	monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	dayNames   = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

	cronFields = [...]cronField{
		{"second", 0, 59, nil},
		{"minute", 0, 59, nil},
		{"hour", 0, 23, nil},
		{"day-of-month", 1, 31, nil},
		{"month", 1, 12, monthNames},
		{"day-of-week", 0, 7, dayNames},
		{"year", 1970, 2099, nil},
	}
)

// A cronSet is what a field means, as plain as can be.
type cronSet struct {
	values []int    // sorted, each once
	marks  []string // what depends on the month, as cronexpr writes it: l, lw, 15w, 5l, 5#3
	star   bool     // the field begins with *, which Vixie's cron asks for
	all    bool     // every value
}

// parse reads one field, in lower case. The id is what H is spread by.
func (f *cronField) parse(text, id string) (set cronSet, err error) {
	set.star = text[0] == '*' || text[0] == '?'
	for item := range strings.SplitSeq(text, ",") {
		mark, err := f.mark(item)
		if err != nil {
			return set, err
		}
		if mark != "" {
			set.marks = append(set.marks, mark)
			continue
		}
		from, to, by, err := f.span(item, id)
		if err != nil {
			return set, err
		}
		for v := from; v <= to; v += by {
			if f == &cronFields[dayOfWeek] && v == 7 { // another name of 0
				set.values = append(set.values, 0)
				continue
			}
			set.values = append(set.values, v)
		}
	}
	slices.Sort(set.values)
	set.values = slices.Compact(set.values)
	slices.Sort(set.marks)
	set.marks = slices.Compact(set.marks)
	set.all = set.star && len(set.marks) == 0 && len(set.values) == f.size()
	return set, nil
}

// size is how many values the field has.
func (f *cronField) size() int {
	if f == &cronFields[dayOfWeek] {
		return 7
	}
	return f.hi - f.lo + 1
}

// mark reads what depends on the month: the last day, the nearest weekday, the
// third Friday. It returns nothing for an item that is not of this kind.
func (f *cronField) mark(item string) (string, error) {
	if f != &cronFields[dayOfMonth] && f != &cronFields[dayOfWeek] {
		return "", nil
	}
	if f == &cronFields[dayOfMonth] {
		if item == "l" || item == "lw" {
			return item, nil
		}
		if day, ok := strings.CutSuffix(item, "w"); ok {
			v, err := f.value(day)
			return strconv.Itoa(v) + "w", err
		}
		return "", nil
	}
	if day, nth, ok := strings.Cut(item, "#"); ok {
		v, err := f.value(day)
		if len(nth) != 1 || nth[0] < '1' || nth[0] > '5' {
			return "", f.bad(item, "want a day and its number in the month, from 1 to 5, as in fri#3")
		}
		return strconv.Itoa(v%7) + "#" + nth, err
	}
	if day, ok := strings.CutSuffix(item, "l"); ok && day != "" {
		v, err := f.value(day)
		return strconv.Itoa(v%7) + "l", err
	}
	return "", nil
}

// span reads a value, a range, a star or an H, with or without a step.
func (f *cronField) span(item, id string) (from, to, by int, err error) {
	base, step, stepped := strings.Cut(item, "/")
	by = 1
	if stepped {
		if by, err = f.number(step); err != nil || by < 1 || by > f.hi {
			return 0, 0, 0, f.bad(item, fmt.Sprintf("want a step from 1 to %d", f.hi))
		}
	}
	hi := f.hi
	if f == &cronFields[dayOfWeek] {
		hi = 6
	}
	switch first, last, ranged := strings.Cut(base, "-"); {
	case base == "*" || base == "?":
		if base == "?" && (stepped || f != &cronFields[dayOfMonth] && f != &cronFields[dayOfWeek]) {
			return 0, 0, 0, f.bad(item, "want ? alone, and for the day of month or of week only")
		}
		return f.lo, hi, by, nil
	case strings.HasPrefix(base, "h"):
		return f.spread(item, base, by, stepped, id)
	case ranged:
		if from, err = f.value(first); err != nil {
			return 0, 0, 0, err
		}
		if to, err = f.value(last); err != nil {
			return 0, 0, 0, err
		}
		if f == &cronFields[dayOfWeek] && to == 0 && from > 0 {
			to = 7 // fri-sun
		}
		if from > to {
			return 0, 0, 0, f.bad(item, fmt.Sprintf("want a range that goes up, or two: %s-%s is none", first, last))
		}
		return from, to, by, nil
	case stepped:
		if from, err = f.value(base); f == &cronFields[dayOfWeek] {
			from %= 7 // the steps are those from Sunday, whatever it is called
		}
		return from, hi, by, err
	}
	from, err = f.value(base)
	return from, from, 1, err
}

// spread reads H, H(10-20), H/15 and H(0-29)/10: one value, or a phase, that
// the id decides.
func (f *cronField) spread(item, base string, by int, stepped bool, id string) (from, to, step int, err error) {
	lo, hi := f.lo, f.hi
	switch f {
	case &cronFields[dayOfMonth]:
		hi = 28 // which every month has
	case &cronFields[dayOfWeek]:
		hi = 6
	case &cronFields[year]:
		return 0, 0, 0, f.bad(item, "want years: H would be once in 130")
	}
	if within, ok := strings.CutPrefix(base, "h("); ok {
		first, last, _ := strings.Cut(strings.TrimSuffix(within, ")"), "-")
		a, errA := f.value(first)
		b, errB := f.value(last)
		if errA != nil || errB != nil || a > b || b > f.hi || !strings.HasSuffix(within, ")") {
			return 0, 0, 0, f.bad(item, "want H with a range that goes up, as in H(0-29)")
		}
		lo, hi = a, b
	} else if base != "h" {
		return 0, 0, 0, f.bad(item, "want H, H(0-29) or H/15")
	}
	h := fnv.New64a()
	h.Write([]byte(id + "\x00" + f.name))
	n := h.Sum64()
	n ^= n >> 32 // the low bits of FNV follow those of the last letters
	if stepped {
		return lo + int(n%uint64(min(by, hi-lo+1))), hi, by, nil
	}
	from = lo + int(n%uint64(hi-lo+1))
	return from, from, 1, nil
}

// value reads a number or a name.
func (f *cronField) value(text string) (int, error) {
	for i, name := range f.names {
		if text == name || text == name[:3] {
			return f.lo + i, nil
		}
	}
	v, err := f.number(text)
	if err != nil || v < f.lo || v > f.hi {
		want := fmt.Sprintf("want a number from %d to %d", f.lo, f.hi)
		if f.names != nil {
			want += ", or a name as in " + f.names[1][:3]
		}
		return f.lo, f.bad(text, want)
	}
	return v, nil
}

// number reads digits and nothing else.
func (f *cronField) number(text string) (int, error) {
	if text == "" || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}

func (f *cronField) bad(item, want string) error {
	return fmt.Errorf("%s %q: %s", f.name, item, want)
}
