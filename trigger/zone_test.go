package trigger

import (
	"fmt"
	"testing"
	"time"
)

func TestZonesThatDifferFromMachineToMachineAreRefused(t *testing.T) {
	for _, name := range []string{"Local", "localtime", "posixrules", "Factory", "right/UTC", "posix/Europe/Berlin", "Nowhere/Land", "../etc/passwd", "/etc/localtime", "europe berlin"} {
		if _, err := Zone(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
		if _, err := ZoneVersion(name); err == nil {
			t.Errorf("%q has a version", name)
		}
	}
	if z, err := Zone(""); err != nil || z != time.UTC {
		t.Errorf("no name: got %v, %v, want UTC", z, err)
	}
}

func TestZoneVersionIsThatOfTheRules(t *testing.T) {
	versions := map[string]string{}
	for _, name := range []string{"Europe/Berlin", "Europe/Rome", "America/New_York", "UTC", "Africa/Cairo"} {
		v, err := ZoneVersion(name)
		again, _ := ZoneVersion(name)
		if err != nil || v != again || len(v) != 16 {
			t.Errorf("%s: got %q, then %q, %v", name, v, again, err)
		}
		versions[name] = v
	}
	if versions["Europe/Berlin"] != versions["Europe/Rome"] || versions["Europe/Berlin"] == versions["America/New_York"] {
		t.Errorf("got %v, want Berlin and Rome, which have the same rules, alike and all others different", versions)
	}
}

func TestStretchesFollowOneAnother(t *testing.T) {
	for _, name := range allZones(t) {
		z, err := Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		s := stretchAt(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC), z)
		for !s.end.IsZero() && s.end.Year() < 2045 {
			next := stretchAt(s.end, z)
			if !next.start.Equal(s.end) || next.before != s.off || s.behind != next.off || next.off == s.off {
				t.Fatalf("%s: %+v is followed by %+v", name, s, next)
			}
			s = next
		}
	}
	// The last day of a leap year for which the zone has a rule and no table.
	z, _ := Zone("America/Santiago")
	s := stretchAt(time.Date(2040, 12, 31, 12, 0, 0, 0, time.UTC), z)
	if s.start.Year() != 2040 || s.end.Year() != 2041 {
		t.Errorf("got %+v, want a summer", s)
	}
}

// exactlyOnce checks that a job at a time of day fires once on every date that
// the zone has, and returns on how many.
func exactlyOnce(t *testing.T, zone, expr string, from time.Time, years int) (dates int) {
	t.Helper()
	c, err := ParseCron(expr, Local{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	z := c.local.zone()
	until := from.AddDate(years, 0, 0)
	after := from.Add(-1)
	expected := midnight(wallIn(from, z))
	for {
		fire, ok := c.Next(after)
		if !ok || !fire.At.After(after) {
			t.Fatalf("%s: went from %v to %v", c, after, fire)
		}
		if fire.At.After(until) {
			return dates
		}
		got := midnight(wallIn(fire.At, z))
		if fire.Note&Shifted != 0 { // its date may have ended with the gap, as in Nuuk
			got = midnight(wall(fire.At, stretchAt(fire.At, z).before))
		}
		if dates == 0 && got.Equal(expected.AddDate(0, 0, 1)) {
			expected = got // the first day's time was over
		}
		for got.After(expected) && !exists(expected, z) {
			expected = expected.AddDate(0, 0, 1)
		}
		if !got.Equal(expected) {
			t.Fatalf("%s: %v is on %s, want the fire of %s", c, fire.At, got.Format(time.DateOnly), expected.Format(time.DateOnly))
		}
		dates++
		after, expected = fire.At, expected.AddDate(0, 0, 1)
	}
}

// exists says whether clocks in the zone ever show a date.
func exists(day time.Time, z *time.Location) bool {
	for h := -16; h <= 40; h++ {
		if midnight(wallIn(day.Add(time.Duration(h)*time.Hour), z)).Equal(day) {
			return true
		}
	}
	return false
}

// Ten years in all zones; with MUSTER_LONG=1 at every half hour, which takes
// minutes.
func TestADailyScheduleFiresOncePerDateInEveryZone(t *testing.T) {
	r := seeded(t)
	dates, zones := 0, allZones(t)
	for i, zone := range zones {
		if long {
			for half := range 48 {
				dates += exactlyOnce(t, zone, fmt.Sprintf("%d %d * * *", half%2*30, half/2), at(t, "2019-01-01"), 10)
			}
			continue
		}
		// Most changes are at night; every zone gets one time of day out of it.
		half := (i + r.IntN(8)) % 8
		dates += exactlyOnce(t, zone, fmt.Sprintf("%d %d * * *", half%2*30, half/2), at(t, "2019-01-01"), 10)
	}
	t.Logf("%d zones, %d dates", len(zones), dates)
}

func TestADailyScheduleFiresOncePerDateAtEveryHalfHour(t *testing.T) {
	for _, zone := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Gaza", "Africa/Casablanca", "America/Havana", "Asia/Tehran"} {
		for half := range 48 {
			exactlyOnce(t, zone, fmt.Sprintf("%d %d * * *", half%2*30, half/2), at(t, "2026-01-01"), 2)
		}
	}
	exactlyOnce(t, "Pacific/Apia", "30 9 * * *", at(t, "2011-01-01"), 2) // which lacks a day
}

func TestAScheduleOfMinutesFollowsElapsedTimeInEveryZone(t *testing.T) {
	// Debian's cron: what begins with a star neither jumps nor repeats more
	// than clocks do.
	for _, zone := range allZones(t) {
		c, _ := ParseCron("*/30 * * * *", Local{Zone: zone})
		z := c.local.zone()
		s := stretchAt(at(t, "2026-01-01"), z)
		if s.end.IsZero() {
			continue
		}
		after := s.end.Add(-3 * time.Hour)
		for _, f := range fires(c, after, 12) {
			if m := wallIn(f, z).Minute(); m%30 != 0 || f.Sub(after) > 30*time.Minute {
				t.Fatalf("%s: got %v after %v", zone, f.In(z), after)
			}
			after = f
		}
	}
}
