package trigger

import (
	"errors"
	"fmt"
	"time"
)

// Blackout is a time in which nothing is due: once, between two instants, or
// every day between two times of day.
type Blackout struct {
	// Start and End are instants, the second exclusive. Zero means that the
	// blackout is one of every day.
	Start time.Time `msgpack:"s,omitempty" json:"start,omitzero" yaml:"start,omitempty"`
	End   time.Time `msgpack:"e,omitempty" json:"end,omitzero" yaml:"end,omitempty"`

	// From and To are times of day in the schedule's zone, as in "22:00", the
	// second exclusive. If To is not after From it is on the next day.
	From string `msgpack:"f,omitempty" json:"from,omitempty" yaml:"from,omitempty"`
	To   string `msgpack:"t,omitempty" json:"to,omitempty" yaml:"to,omitempty"`
	// Days are the days of the week on which it begins, as in "mon-fri". Empty
	// means all.
	Days string `msgpack:"d,omitempty" json:"days,omitempty" yaml:"days,omitempty"`

	// Defer puts fires off until the end, where they become one. Otherwise
	// they are dropped.
	Defer bool `msgpack:"df,omitempty" json:"defer,omitempty" yaml:"defer,omitempty"`
}

const maxBlackouts = 100

func (b *Blackout) validate() error {
	once, daily := !b.Start.IsZero() || !b.End.IsZero(), b.From != "" || b.To != ""
	switch {
	case once == daily:
		return errors.New("want either Start and End, which are instants, or From and To, which are times of day")
	case once && (b.Start.IsZero() || !b.End.After(b.Start)):
		return fmt.Errorf("end %s: want it after Start %s, and both given", b.End.UTC().Format(time.RFC3339), b.Start.UTC().Format(time.RFC3339))
	case once:
		return nil
	}
	from, err := parseClock(b.From)
	if err != nil {
		return err
	}
	to, err := parseClock(b.To)
	if err != nil {
		return err
	}
	if from == 24*time.Hour || from == to || from == 0 && to == 24*time.Hour && b.Days == "" {
		return fmt.Errorf("from %s to %s: want less than every day's whole", b.From, b.To)
	}
	_, err = ParseWeekdays(b.Days)
	return err
}

// interval is a stretch of time, the end exclusive.
type interval struct {
	start, end time.Time
	deferring  bool
}

// at returns the interval of b that t is in.
func (b *Blackout) at(t time.Time, local Local) (interval, bool) {
	if b.From == "" {
		return interval{b.Start, b.End, b.Defer}, !t.Before(b.Start) && t.Before(b.End)
	}
	from, _ := parseClock(b.From)
	to, _ := parseClock(b.To)
	if to <= from {
		to += 24 * time.Hour
	}
	days, _ := ParseWeekdays(b.Days)
	late := Local{Zone: local.Zone, Twice: TwiceLast} // both passes are in it
	today := midnight(wallIn(t, local.zone()))
	for d := -2; d <= 1; d++ {
		day := today.AddDate(0, 0, d)
		if !days.Has(day.Weekday()) {
			continue
		}
		i := interval{Local{Zone: local.Zone}.instant(day.Add(from)).At, late.instant(day.Add(to)).At, b.Defer}
		if !t.Before(i.start) && t.Before(i.end) {
			return i, true
		}
	}
	return interval{}, false
}

// blackoutAt returns the interval without fires that t is in, made of all that
// touch it. It puts fires off if the one that ends last does.
func (t *Timetable) blackoutAt(at time.Time) (interval, bool) {
	var whole interval
	for grown := true; grown && whole.end.Sub(whole.start) < Horizon; {
		grown = false
		probes := []time.Time{at}
		if !whole.end.IsZero() {
			probes = []time.Time{whole.start.Add(-1), whole.end}
		}
		for _, probe := range probes {
			for i := range t.s.Blackout {
				in, ok := t.s.Blackout[i].at(probe, t.local)
				if !ok {
					continue
				}
				if whole.end.IsZero() {
					whole, grown = in, true
				}
				if in.end.After(whole.end) {
					whole.end, whole.deferring, grown = in.end, in.deferring, true
				}
				if in.start.Before(whole.start) {
					whole.start, grown = in.start, true
				}
			}
		}
	}
	return whole, !whole.end.IsZero()
}

// blackoutAfter returns the start of the first blackout that begins after t.
func (t *Timetable) blackoutAfter(at time.Time) (first time.Time) {
	for i := range t.s.Blackout {
		start := t.s.Blackout[i].after(at, t.local)
		if !start.IsZero() && (first.IsZero() || start.Before(first)) {
			first = start
		}
	}
	return first
}

// after returns the first start of b after t, or zero.
func (b *Blackout) after(t time.Time, local Local) time.Time {
	if b.From == "" {
		if b.Start.After(t) {
			return b.Start
		}
		return time.Time{}
	}
	from, _ := parseClock(b.From)
	days, _ := ParseWeekdays(b.Days)
	today := midnight(wallIn(t, local.zone()))
	for d := -1; d <= 8; d++ {
		day := today.AddDate(0, 0, d)
		if start := (Local{Zone: local.Zone}).instant(day.Add(from)).At; days.Has(day.Weekday()) && start.After(t) {
			return start
		}
	}
	return time.Time{}
}
