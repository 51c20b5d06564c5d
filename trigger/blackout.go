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
