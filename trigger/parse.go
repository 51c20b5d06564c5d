package trigger

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The longest text of a trigger.
const maxText = 16 << 10

// Parse reads the text of a trigger, in any of the modes:
//
//	manual
//	at 2026-03-08T02:30:00Z            once; or a local time, 2026-03-08 02:30
//	after 10m                          once, after it is saved
//	every 10s                          by the second; also with phase 3s
//	30 2 * * mon-fri                   cron, of five to seven fields
//	every 5m                           from start to start; also from an instant
//	delay 5m                           from the end of a run to the next start
//	daily 09:00-17:30 every 15m on mon-fri
//	rrule FREQ=MONTHLY;BYDAY=-1FR      of RFC 5545
//	every 2 months on last business day at 18:00
//	event order.paid where "data.amount > 100" debounce(data.customer, 5s, 1m)
//	upstream all of load, clean on success by nominal
//	workflow nightly on 30 2 * * *     any of the others
//	lifecycle join each debounce 30s
//
// Words before it say where local times are those of, and what to do on days
// when clocks change: TZ=Europe/Berlin GAP=skip TWICE=both. What Parse returns
// is valid.
func Parse(text string) (Trigger, error) {
	if len(text) > maxText || !utf8.ValidString(text) {
		return nil, fmt.Errorf("trigger: text of %d bytes: want at most %d, in UTF-8", len(text), maxText)
	}
	local, rest, err := parseLocal(text)
	if err != nil {
		return nil, err
	}
	head, tail := cutWord(rest)
	if head == "" {
		return nil, errors.New(`trigger: empty: want a cron expression, or one of the other forms, as in "every 5m" or "manual"`)
	}
	t, err := parseForm(strings.ToLower(head), tail, rest, local)
	if err != nil {
		return nil, err
	}
	if _, ok := t.(zoned); !ok && t.Mode() != ModeWorkflow && local != (Local{}) {
		return nil, fmt.Errorf("trigger: %q: want no TZ, GAP or TWICE: a trigger of mode %s has no local times", text, t.Mode())
	}
	return t, nil
}

// parseForm reads a trigger by the word that its text begins with. What begins
// with none of the words is a cron expression.
func parseForm(head, tail, whole string, local Local) (Trigger, error) {
	switch head {
	case "manual":
		return parseManual(tail)
	case "at":
		return parseOnce(tail, local)
	case "after":
		return parseAfter(tail)
	case "every", "@every":
		return parseEvery(tail, local)
	case "delay":
		return parseDelay(tail)
	case "daily":
		return parseDaily(tail, local)
	case "rrule":
		r, err := ParseRecurrence(tail, local)
		if err != nil {
			return nil, err
		}
		return r, r.Validate()
	case "event":
		return parseEvent(tail)
	case "upstream":
		return parseDependency(tail)
	case "workflow":
		return parseWorkflow(tail, local)
	case "lifecycle":
		return parseLifecycle(tail)
	case "cron":
		return validCron(tail, local)
	}
	return validCron(whole, local)
}

// zoned is a trigger with local times, which belong to some zone.
type zoned interface {
	in(l Local) Trigger
	where() Local
}

// parseLocal takes the words that String of Local writes.
func parseLocal(text string) (l Local, rest string, err error) {
	for rest = text; ; {
		word, tail := cutWord(rest)
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return l, rest, l.Validate()
		}
		switch strings.ToUpper(name) {
		case "TZ", "CRON_TZ":
			l.Zone = value
		case "GAP":
			l.Gap = Gap(strings.ToLower(value))
		case "TWICE":
			l.Twice = Twice(strings.ToLower(value))
		default:
			return l, rest, nil // not one of ours: the form will say
		}
		if value == "" {
			return l, rest, fmt.Errorf("trigger: %q: want a value behind the =", word)
		}
		rest = tail
	}
}

func cutWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, " \t\n\r"); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

func validCron(expr string, local Local) (Trigger, error) {
	c, err := ParseCron(expr, local)
	if err != nil {
		return nil, err
	}
	return c, c.Validate()
}

func parseManual(rest string) (Trigger, error) {
	if rest != "" {
		return nil, fmt.Errorf("trigger: manual %q: want nothing more", rest)
	}
	return Manual{}, nil
}

func parseAfter(rest string) (Trigger, error) {
	d, err := parseSpan(rest)
	if err != nil {
		return nil, fmt.Errorf("trigger: after %w", err)
	}
	return After(d), positive("after", d, time.Second)
}

func parseDelay(rest string) (Trigger, error) {
	d, err := parseSpan(rest)
	if err != nil {
		return nil, fmt.Errorf("trigger: delay %w", err)
	}
	return Again(d), Again(d).Validate()
}

// parseEvery reads what follows "every", for the modes that have it.
func parseEvery(rest string, local Local) (Trigger, error) {
	w := words(rest)
	if n := min(2, len(w.rest)); strings.Contains(strings.Join(w.rest[:n], " "), "month") {
		return parseMonths(rest, local)
	}
	d, err := parseSpan(w.next())
	if err != nil {
		return nil, fmt.Errorf("trigger: every %w", err)
	}
	t := Every(d)
	switch {
	case w.accept("phase"):
		phase, err := parseSpan(w.next())
		if err != nil {
			return nil, fmt.Errorf("trigger: phase %w", err)
		}
		t = EverySecond(d, phase)
	case w.accept("from"):
		r := Rate{every: d, local: local}
		if !w.accept("start") {
			from := w.next()
			anchor, err := time.Parse(time.RFC3339, from)
			if err != nil {
				return nil, fmt.Errorf("trigger: from %q: want an instant as in 2026-03-08T02:30:00Z, or start", from)
			}
			r = EveryFrom(d, anchor, local)
		}
		t = r
	}
	if r, ok := t.(Rate); ok {
		t = r.in(local)
	}
	if err := w.end(); err != nil {
		return nil, fmt.Errorf("trigger: every: %w", err)
	}
	return t, t.Validate()
}
