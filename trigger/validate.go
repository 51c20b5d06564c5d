package trigger

import (
	"fmt"
	"strings"
	"time"
)

// Horizon is how far ahead a schedule that is saved must be due: eight years,
// the longest time between two 29ths of February.
const Horizon = 8 * 366 * 24 * time.Hour

// Validate returns the first thing that is wrong with the schedule, by field,
// value and remedy, if it is saved at the given moment: also that it would not
// be due within the Horizon. Calendars are those that its names may mean; nil
// means that there are none.
func (s Schedule) Validate(saved time.Time, calendars Calendars) error {
	t, err := s.Bind(Binding{Saved: saved, Calendars: calendars})
	if err != nil {
		return err
	}
	if m := t.trigger.Mode(); !t.timed() || m == ModeOnce || m == ModeDelay {
		return nil
	}
	from := saved
	if t.s.Start.After(from) {
		from = t.s.Start.Add(-1)
	}
	first, ok := t.Next(from)
	if ok && first.At.Sub(from) <= Horizon {
		return nil
	}
	why := fmt.Sprintf("within eight years of %s", from.UTC().Format(time.DateOnly))
	if !s.End.IsZero() {
		why += fmt.Sprintf(" and before End %s", s.End.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("trigger: When %q: never due %s: want a rule, and days that no blackout or calendar excludes, that fire at least once", s.When, why)
}

// validate checks the fields that stand for themselves.
func (s *Schedule) validate() error {
	if err := (Local{s.Zone, s.Gap, s.Twice}).Validate(); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		at   time.Time
	}{{"Start", s.Start}, {"End", s.End}} {
		if !f.at.IsZero() {
			if err := inYears(f.name, f.at); err != nil {
				return err
			}
		}
	}
	if !s.Start.IsZero() && !s.End.IsZero() && !s.End.After(s.Start) {
		return fmt.Errorf("trigger: End %s: want it after Start %s", s.End.UTC().Format(time.RFC3339), s.Start.UTC().Format(time.RFC3339))
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"MaxRuns", s.MaxRuns}, {"OverlapLimit", s.OverlapLimit}, {"MisfireLimit", s.MisfireLimit}} {
		if f.value < 0 {
			return fmt.Errorf("trigger: %s %d: want a positive number, or 0 for the default", f.name, f.value)
		}
	}
	if s.MisfireLimit > maxDue || s.OverlapLimit > 100*maxDue {
		return fmt.Errorf("trigger: MisfireLimit %d, OverlapLimit %d: want at most %d and %d", s.MisfireLimit, s.OverlapLimit, maxDue, 100*maxDue)
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Jitter", s.Jitter}, {"OverlapGrace", s.OverlapGrace}, {"CatchUp", s.CatchUp}, {"Threshold", s.Threshold}} {
		if f.value < 0 || f.value > maxSpan {
			return fmt.Errorf("trigger: %s %s: want a duration from 0 to %s", f.name, span(f.value), span(maxSpan))
		}
	}
	return s.validatePolicies()
}

func (s *Schedule) validatePolicies() error {
	for _, f := range []struct{ name, value, want string }{
		{"Overlap", string(s.Overlap), "skip queue-one queue-all cancel-old kill-old allow"},
		{"Misfire", string(s.Misfire), "skip one all"},
		{"OnResume", string(s.OnResume), "skip one all"},
		{"Excluded", string(s.Excluded), "drop next previous"},
	} {
		if f.value != "" && !strings.Contains(" "+f.want+" ", " "+f.value+" ") {
			return fmt.Errorf("trigger: %s %q: want one of %s", f.name, f.value, strings.ReplaceAll(f.want, " ", ", "))
		}
	}
	if s.OverlapKey != "" {
		if _, err := CompileKey(s.OverlapKey); err != nil {
			return fmt.Errorf("trigger: OverlapKey: %s", strings.TrimPrefix(err.Error(), "trigger: "))
		}
	}
	if len(s.Blackout) > maxBlackouts {
		return fmt.Errorf("trigger: %d blackouts: want at most %d, or a calendar", len(s.Blackout), maxBlackouts)
	}
	for i, b := range s.Blackout {
		if err := b.validate(); err != nil {
			return fmt.Errorf("trigger: Blackout[%d]: %w", i, err)
		}
	}
	return nil
}
