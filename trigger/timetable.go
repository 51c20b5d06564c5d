package trigger

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// Binding is what a schedule needs to know of the place where it is saved.
type Binding struct {
	// Cluster and Trigger are names. They decide the jitter and what H means
	// in a cron expression.
	Cluster, Trigger string
	// Saved is when the schedule took effect. It is what "after 10m" and
	// "every 5m" count from.
	Saved time.Time
	// Calendars finds those that the schedule names. Nil means that there are
	// none.
	Calendars Calendars
}

// A Timetable is a schedule made ready to be asked. It does not change, and
// may be used from many goroutines.
type Timetable struct {
	s       Schedule // with defaults
	trigger Trigger  // bound
	days    *days    // nil if every day will do
	binding Binding
	local   Local
	closed  []closed // by blackouts

	workflow string // if it starts one
}

// Bind makes the schedule ready to be asked. It returns an error that names
// the field that can't be, its value and what would be right, but accepts a
// schedule whose time is over; see Validate.
func (s Schedule) Bind(b Binding) (*Timetable, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	t, err := Parse(s.When)
	if err != nil {
		return nil, fmt.Errorf("trigger: When: %s", strings.TrimPrefix(err.Error(), "trigger: "))
	}
	table := &Timetable{binding: b, local: Local{s.Zone, s.Gap, s.Twice}}
	if w, ok := t.(Workflow); ok { // its times are those of what starts it
		table.workflow, t = w.name, w.on
	}
	if t, err = table.place(t); err != nil {
		return nil, err
	}
	if t, err = table.fix(t, s.Start); err != nil {
		return nil, err
	}
	if err := s.fits(t); err != nil {
		return nil, err
	}
	table.trigger, table.s = t, s.withDefaults(t)
	for i := range s.Blackout {
		table.closed = append(table.closed, s.Blackout[i].ready(table.local.Zone))
	}
	if len(s.Only)+len(s.Except) > 0 {
		if table.days, err = newDays(&table.s, b.Calendars); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// place brings the local time of the schedule and that of its trigger
// together.
func (t *Timetable) place(tr Trigger) (Trigger, error) {
	z, ok := tr.(zoned)
	if !ok {
		return tr, nil
	}
	l := z.where()
	for _, f := range []struct {
		name        string
		mine, given *string
	}{
		{"Zone", &t.local.Zone, &l.Zone},
		{"Gap", (*string)(&t.local.Gap), (*string)(&l.Gap)},
		{"Twice", (*string)(&t.local.Twice), (*string)(&l.Twice)},
	} {
		switch {
		case *f.mine == "":
			*f.mine = *f.given
		case *f.given != "" && *f.given != *f.mine:
			return nil, fmt.Errorf("trigger: %s %q: When says %q: want one of them", f.name, *f.mine, *f.given)
		}
	}
	return z.in(t.local), nil
}

// fix resolves what a declaration leaves open until it is saved.
func (t *Timetable) fix(tr Trigger, start time.Time) (Trigger, error) {
	if n, ok := tr.(interface {
		named(id string) (Trigger, error)
	}); ok {
		var err error
		if tr, err = n.named(t.binding.Trigger); err != nil {
			return nil, err
		}
	}
	if c, ok := tr.(interface {
		with(calendars Calendars) (Trigger, error)
	}); ok {
		var err error
		if tr, err = c.with(t.binding.Calendars); err != nil {
			return nil, err
		}
	}
	saved := t.binding.Saved
	if _, ok := tr.(Rate); ok && !start.IsZero() {
		saved = start
	}
	if a, ok := tr.(interface{ anchored(saved time.Time) Trigger }); ok && !saved.IsZero() {
		tr = a.anchored(saved)
	}
	return tr, nil
}

// fits refuses policies that mean nothing for the mode.
func (s *Schedule) fits(t Trigger) error {
	switch s.Excluded {
	case ExcludedNext, ExcludedPrevious:
		if m := t.Mode(); m == ModeSecond || m == ModeDelay || len(s.Only)+len(s.Except) == 0 {
			return fmt.Errorf("trigger: Excluded %q: want drop, or a trigger with a time of day and calendars in Only or Except", s.Excluded)
		}
	}
	return nil
}

// Trigger returns what the timetable asks, with nothing left open: its text,
// parsed again, has the same fires whenever it is saved.
func (t *Timetable) Trigger() Trigger {
	if t.workflow != "" {
		return Workflow{t.workflow, t.trigger}
	}
	return t.trigger
}

// Schedule returns the schedule, with every field as it takes effect.
func (t *Timetable) Schedule() Schedule { return t.s }

// timed returns whether the trigger has times of its own.
func (t *Timetable) timed() bool {
	switch t.trigger.Mode() {
	case ModeManual, ModeEvent, ModeDependency, ModeLifecycle:
		return false
	}
	return true
}

// Next returns the first fire strictly after the given instant: of the
// trigger, from Start on and before End, on days that calendars permit and
// outside of blackouts. For ModeDelay the instant is that at which the
// previous run ended.
func (t *Timetable) Next(after time.Time) (Fire, bool) {
	for give := after.Add(2 * Horizon); after.Before(give); {
		fire, end := t.clear(after)
		if end.IsZero() {
			return fire, !fire.At.IsZero()
		}
		after = end.Add(-1) // nothing before the end of the blackout
	}
	return Fire{}, false
}

// clear returns the first fire after the given instant. If that is in a
// blackout which drops it, it returns the blackout's end instead. Both are
// zero if there is none.
func (t *Timetable) clear(after time.Time) (fire Fire, end time.Time) {
	if b, ok := t.blackoutAt(after); ok && b.deferring && t.trigger.Mode() != ModeDelay {
		// What was due in it before the instant is still to come.
		if missed, ok := t.open(b.start.Add(-1)); ok && missed.At.Before(b.end) {
			return t.deferred(b), time.Time{}
		}
	}
	fire, ok := t.open(after)
	if !ok {
		return Fire{}, time.Time{}
	}
	b, ok := t.blackoutAt(fire.At)
	switch {
	case !ok:
		return fire, time.Time{}
	case b.deferring:
		return t.deferred(b), time.Time{}
	}
	return Fire{}, b.end
}

// deferred is the fire at the end of a blackout, unless the schedule has ended
// by then.
func (t *Timetable) deferred(b interval) Fire {
	if !t.s.End.IsZero() && !b.end.Before(t.s.End) {
		return Fire{}
	}
	return fireAt(b.end, Deferred)
}

// open returns the first fire after the given instant, whatever blackouts say.
func (t *Timetable) open(after time.Time) (Fire, bool) {
	if !t.s.Start.IsZero() && after.Before(t.s.Start) {
		after = t.s.Start.Add(-1)
		if d, ok := t.trigger.(Delay); ok { // as if a run had ended in time for it
			after = t.s.Start.Add(-d.wait)
		}
	}
	var fire Fire
	var ok bool
	if t.days == nil {
		fire, ok = t.trigger.Next(after)
	} else {
		fire, ok = t.days.next(t, after)
	}
	if ok && !t.s.End.IsZero() && !fire.At.Before(t.s.End) {
		return Fire{}, false
	}
	return fire, ok
}

// Start returns when the run of a fire is to start: at the fire, or later by
// its share of the jitter, which every node computes alike.
func (t *Timetable) Start(nominal time.Time) time.Time {
	room := t.s.Jitter
	if room <= 0 {
		return nominal
	}
	if t.trigger.Mode() != ModeDelay {
		if next, ok := t.Next(nominal); ok {
			room = min(room, next.At.Sub(nominal))
		}
	}
	h := fnv.New64a()
	h.Write([]byte(t.binding.Cluster + "\x00" + t.binding.Trigger + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(nominal.Unix())))
	// FNV of inputs that differ in the last byte only differs little in its
	// high bits; the multiplication, of SplitMix64, spreads that.
	n := h.Sum64()
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n ^= n >> 27
	return nominal.Add(time.Duration(n % uint64(room)))
}
