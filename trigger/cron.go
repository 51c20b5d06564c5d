package trigger

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Cron is due at the local times that a cron expression names: mode 4.
//
// The expression has five fields (minute, hour, day of month, month, day of
// week), six (with a second before them) or seven (with a year behind them),
// or is one of @yearly, @monthly, @weekly, @daily and @hourly. A field is *, a
// number or name, a range, a step as in */15 or 9-17/2, or several of these
// with commas between. A day of month may be L for the last, LW for the last
// from Monday to Friday, or 15W for the nearest of them to the 15th; a day of
// week may be 5L for the last Friday or 5#3 for the third. Sunday is 0 and 7.
// H is a value that the trigger's name decides, so that triggers spread.
//
// As in Vixie's cron a day need only satisfy one of its two fields, unless
// one of them begins with *. As in Debian's, an expression whose minute or
// hour begins with * follows the elapsed time when clocks change; all others
// follow Local.
type Cron struct {
	local  Local
	text   string // as written, with single spaces
	id     string // what H is spread by
	sets   [7]cronSet
	step   *stepper
	follow bool // elapsed time
}

// The longest expression that is read.
const maxCron = 512

var cronNames = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// ParseCron reads a cron expression in the given local time. That it is ever
// due is Validate's to say.
func ParseCron(expr string, local Local) (Cron, error) { return parseCron(expr, local, "") }

func parseCron(expr string, local Local, id string) (Cron, error) {
	c := Cron{local: local, id: id}
	if len(expr) > maxCron {
		return c, fmt.Errorf("trigger: cron expression of %d bytes: want at most %d", len(expr), maxCron)
	}
	if err := local.Validate(); err != nil {
		return c, err
	}
	fields := strings.Fields(expr)
	c.text = strings.Join(fields, " ")
	if len(fields) == 1 {
		if long, ok := cronNames[strings.ToLower(fields[0])]; ok {
			fields = strings.Fields(long)
		}
	}
	fields, err := sevenFields(fields)
	if err == nil {
		for i := range fields {
			if c.sets[i], err = cronFields[i].parse(strings.ToLower(fields[i]), id); err != nil {
				break
			}
		}
	}
	if err == nil {
		c.step, err = newStepper(&c.sets)
	}
	if err != nil {
		return c, fmt.Errorf("trigger: cron %q: %w", c.text, err)
	}
	for _, i := range []int{minute, hour} {
		head := strings.ToLower(fields[i])
		c.follow = c.follow || head[0] == '*' || strings.HasPrefix(head, "h/")
	}
	return c, nil
}

// sevenFields brings every form to second, minute, hour, day of month, month,
// day of week and year.
func sevenFields(fields []string) ([]string, error) {
	switch len(fields) {
	case 5:
		return append(append([]string{"0"}, fields...), "*"), nil
	case 6:
		fields = append(fields, "*")
	case 7:
	default:
		return nil, fmt.Errorf("%d fields: want 5 (minute hour day-of-month month day-of-week), 6 (with a second first), 7 (with a year last), or a name such as @daily", len(fields))
	}
	// Quartz counts weekdays from Sunday = 1, everybody else from 0. Its
	// expressions are known by their ?, and a guess would be a day off.
	days, _, _ := strings.Cut(fields[dayOfWeek], "#")
	if fields[dayOfMonth] == "?" && strings.ContainsAny(strings.SplitN(days, "/", 2)[0], "0123456789") {
		return nil, fmt.Errorf("day-of-week %q beside ?: want names, as in MON-FRI: 1 is Sunday in Quartz and Monday elsewhere", fields[dayOfWeek])
	}
	if fields[dayOfMonth] == "?" && fields[dayOfWeek] == "?" {
		return nil, errors.New("? for both days: want at least one of them to say something")
	}
	return fields, nil
}

// Mode returns ModeCron.
func (Cron) Mode() Mode { return ModeCron }

// Next returns the first fire strictly after the given instant, and false if
// there is none before the year 2100.
func (c Cron) Next(after time.Time) (Fire, bool) {
	if c.step == nil {
		return Fire{}, false
	}
	return c.local.next(after, c.step.next, c.follow)
}

// String returns the expression as it was written, after its local time.
func (c Cron) String() string { return c.local.String() + c.text }

// Validate returns an error if the expression is never due.
func (c Cron) Validate() error {
	if c.step == nil {
		return errors.New("trigger: the zero Cron: want one that ParseCron made")
	}
	if _, ok := c.step.next(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)); !ok {
		if _, ok := c.step.next(time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)); !ok {
			return fmt.Errorf("trigger: cron %q: never due: want a day that some month has", c.text)
		}
	}
	return nil
}

func (c Cron) in(l Local) Trigger {
	c.local = l
	return c
}

func (c Cron) where() Local { return c.local }

// named returns the expression with its H decided by id.
func (c Cron) named(id string) (Trigger, error) {
	if id == c.id || !strings.ContainsAny(c.text, "hH") {
		return c, nil
	}
	return parseCron(c.text, c.local, id)
}
