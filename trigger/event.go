package trigger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is due when an event of its name arrives: mode 9. The filter decides
// which count; then, in this order, Dedupe drops those that were there before,
// Throttle those that are too many, and Debounce or Batch make one run of
// several.
type Event struct {
	name     string
	where    Filter
	dedupe   modifier // period: how long an event is remembered
	throttle modifier // n fires in period
	debounce modifier // period: quiet; most: the longest wait
	batch    modifier // n events, or period since the first
	ttl      time.Duration
}

// modifier is one of the rules behind the filter. It is absent if period is 0.
type modifier struct {
	key    Filter
	n      int
	period time.Duration
	most   time.Duration
}

// The bounds of an event.
const (
	maxName  = 200
	maxBatch = 10_000
)

// TTL is for how long delivery of an event is tried again: 24 h, if the
// trigger says nothing else.
func (e Event) TTL() time.Duration { return defaulted(e.ttl, 24*time.Hour) }

// Name is the name of the events that count.
func (e Event) Name() string { return e.name }

// Mode returns ModeEvent.
func (Event) Mode() Mode { return ModeEvent }

// Next returns false: nobody knows when an event arrives.
func (Event) Next(time.Time) (Fire, bool) { return Fire{}, false }

// String is as in
//
//	event order.paid where "data.amount > 100" dedupe(id, 1h) debounce(data.customer, 5s, 1m)
func (e Event) String() string {
	text := "event " + e.name
	if e.where.text != "" {
		text += " where " + strconv.Quote(e.where.text)
	}
	if m := e.dedupe; m.period > 0 {
		text += fmt.Sprintf(" dedupe(%s, %s)", m.key, span(m.period))
	}
	if m := e.throttle; m.period > 0 {
		text += fmt.Sprintf(" throttle(%s, %d/%s)", m.key, m.n, span(m.period))
	}
	if m := e.debounce; m.period > 0 {
		text += fmt.Sprintf(" debounce(%s, %s, %s)", m.key, span(m.period), span(m.most))
	}
	if m := e.batch; m.period > 0 {
		text += fmt.Sprintf(" batch(%d, %s)", m.n, span(m.period))
	}
	if e.ttl > 0 {
		text += " ttl " + span(e.ttl)
	}
	return text
}

// Validate returns what can't be.
func (e Event) Validate() error {
	if err := validName("event", e.name); err != nil {
		return err
	}
	for _, m := range []struct {
		name   string
		period time.Duration
	}{{"dedupe", e.dedupe.period}, {"throttle", e.throttle.period}, {"debounce", e.debounce.period}, {"debounce", e.debounce.most}, {"batch", e.batch.period}, {"ttl", e.ttl}} {
		if m.period < 0 || m.period > maxSpan || m.period > 0 && m.period < time.Millisecond {
			return fmt.Errorf("trigger: event %s: %s %s: want at least 1ms and at most %s", e.name, m.name, span(m.period), span(maxSpan))
		}
	}
	switch {
	case e.debounce.period > 0 && e.batch.period > 0:
		return fmt.Errorf("trigger: event %s: want debounce or batch, not both", e.name)
	case e.debounce.most < e.debounce.period:
		return fmt.Errorf("trigger: event %s: debounce for at most %s: want at least the quiet time, %s", e.name, span(e.debounce.most), span(e.debounce.period))
	case e.throttle.period > 0 && (e.throttle.n < 1 || e.throttle.n > maxBatch), e.batch.period > 0 && (e.batch.n < 1 || e.batch.n > maxBatch):
		return fmt.Errorf("trigger: event %s: want from 1 to %d events in throttle and batch", e.name, maxBatch)
	}
	return nil
}

// validName refuses what does not fit into one word of a text.
func validName(what, name string) error {
	if name == "" || len(name) > maxName || strings.ContainsAny(name, " \t\r\n,()\"'") {
		return fmt.Errorf("trigger: %s %q: want a name of 1 to %d characters, without spaces, commas, brackets and quotes", what, name, maxName)
	}
	return nil
}

// parseEvent reads what follows "event".
func parseEvent(text string) (Trigger, error) {
	var e Event
	e.name, text = cutWord(text)
	fail := func(err error) (Trigger, error) {
		return nil, fmt.Errorf("trigger: event %s: %s", e.name, strings.TrimPrefix(err.Error(), "trigger: "))
	}
	seen := map[string]bool{}
	for text != "" {
		end := strings.IndexAny(text, " (")
		if end < 0 {
			end = len(text)
		}
		word := strings.ToLower(text[:end])
		if seen[word] {
			return fail(fmt.Errorf("%s: want it once", word))
		}
		seen[word] = true
		var err error
		if text, err = e.modify(word, strings.TrimSpace(text[end:])); err != nil {
			return fail(err)
		}
	}
	return e, e.Validate()
}

// modify reads what follows a word, and returns the rest.
func (e *Event) modify(word, text string) (rest string, err error) {
	switch word {
	case "where":
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", errors.New(`where: want the expression in quotes, as in where "data.amount > 100"`)
		}
		plain, _ := strconv.Unquote(quoted)
		e.where, err = CompileFilter(plain)
		return strings.TrimSpace(text[len(quoted):]), err
	case "ttl":
		var value string
		value, text = cutWord(text)
		e.ttl, err = parseSpan(value)
		return text, err
	}
	args, rest, err := arguments(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", word, err)
	}
	switch {
	case word == "dedupe" && len(args) == 2:
		err = e.dedupe.read(args[0], args[1])
	case word == "throttle" && len(args) == 2:
		n, period, ok := strings.Cut(args[1], "/")
		if e.throttle.n, err = number(n, 1, maxBatch); err != nil || !ok {
			return "", fmt.Errorf("throttle %q: want a number and a time, as in 10/1m", args[1])
		}
		err = e.throttle.read(args[0], period)
	case word == "debounce" && len(args) == 3:
		if e.debounce.most, err = parseSpan(args[2]); err == nil {
			err = e.debounce.read(args[0], args[1])
		}
	case word == "batch" && len(args) == 2:
		if e.batch.n, err = number(args[0], 1, maxBatch); err == nil {
			e.batch.period, err = parseSpan(args[1])
		}
	default:
		return "", fmt.Errorf("%q: want dedupe(key, ttl), throttle(key, n/period), debounce(key, quiet, most), batch(n, wait), where or ttl", word)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", word, err)
	}
	return rest, nil
}

func (m *modifier) read(key, period string) (err error) {
	if m.key, err = CompileKey(key); err != nil {
		return err
	}
	m.period, err = parseSpan(period)
	if err == nil && m.period == 0 {
		err = fmt.Errorf("%q: want a time above 0", period)
	}
	return err
}

// arguments reads a list in brackets, with commas between. Brackets and quotes
// inside of an argument are its own.
func arguments(text string) (args []string, rest string, err error) {
	if !strings.HasPrefix(text, "(") {
		return nil, "", errors.New("want its arguments in brackets")
	}
	depth, quote, from := 0, rune(0), 1
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '(' || r == '[' || r == '{':
			depth++
		case r == ')' || r == ']' || r == '}':
			if depth--; depth == 0 {
				return append(args, strings.TrimSpace(text[from:i])), strings.TrimSpace(text[i+1:]), nil
			}
		case r == ',' && depth == 1:
			args = append(args, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	return nil, "", errors.New("want a closing bracket")
}
