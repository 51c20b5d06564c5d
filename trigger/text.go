package trigger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span writes a duration without the units that are zero: 5m, not 5m0s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// parseSpan reads a duration; besides those of Go it knows days, as in 2d and
// 1d12h.
func parseSpan(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	} else if rest == "" {
		rest = "0s"
	}
	n, err := strconv.ParseUint(days, 10, 16)
	d, err2 := time.ParseDuration(rest)
	if err != nil || err2 != nil || n > 36600 || d < 0 || rest[0] == '+' {
		return 0, fmt.Errorf("%q: want a duration, as in 30s, 5m, 1h30m or 2d", text)
	}
	return time.Duration(n)*24*time.Hour + d, nil
}

// clock writes a time of day, since midnight.
func clock(d time.Duration) string {
	h, m, s := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	if s == 0 {
		return fmt.Sprintf("%02d:%02d", h, m)
	}
	return fmt.Sprintf("%02d:%02d:%02d", h, m, s)
}

// parseClock reads a time of day, from 00:00 to 24:00.
func parseClock(text string) (time.Duration, error) {
	if text == "24:00" || text == "24:00:00" {
		return 24 * time.Hour, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && len(text) == len(layout) {
			return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second, nil
		}
	}
	return 0, fmt.Errorf("trigger: time of day %q: want hours and minutes, as in 09:00", text)
}

// inYears refuses what neither clocks nor calendars are made for.
func inYears(field string, t time.Time) error {
	if y := t.Year(); y < 1970 || y > 2099 {
		return fmt.Errorf("trigger: %s: year %d: want one from 1970 to 2099", field, y)
	}
	return nil
}

// wordList is text that is read word by word.
type wordList struct{ rest []string }

func words(text string) *wordList { return &wordList{strings.Fields(text)} }

// next takes a word, or nothing if there is none.
func (w *wordList) next() string {
	if len(w.rest) == 0 {
		return ""
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word
}

// accept takes the next word if it is the given one.
func (w *wordList) accept(word string) bool {
	if len(w.rest) == 0 || !strings.EqualFold(w.rest[0], word) {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// end refuses words that nobody took.
func (w *wordList) end() error {
	if len(w.rest) > 0 {
		return fmt.Errorf("%q: want nothing more", strings.Join(w.rest, " "))
	}
	return nil
}
