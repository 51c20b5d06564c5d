package trigger

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// debian returns when Debian's cron starts a job, by the rules of cron(8): one
// whose minute or hour begins with a star follows the clock; any other that a
// jump forward left out runs at once after it, and is not repeated while a
// clock that was put back catches up.
func (c Cron) debian(after, until time.Time) (starts []time.Time) {
	z := c.local.zone()
	var seen time.Time // the latest reading there was
	for u := after.Truncate(time.Minute).Add(-26 * time.Hour); !u.After(until); u = u.Add(time.Minute) {
		reading := wallIn(u, z)
		due := c.follow && c.matches(reading)
		if !c.follow && reading.After(seen) {
			first := reading
			if !seen.IsZero() {
				first = seen.Add(time.Minute)
			}
			for r := first; !r.After(reading); r = r.Add(time.Minute) {
				due = due || c.matches(r)
			}
		}
		if reading.After(seen) {
			seen = reading
		}
		if due && u.After(after) {
			starts = append(starts, u)
		}
	}
	return starts
}

func TestCronAgreesWithDebianButForWhenAGapsJobsRun(t *testing.T) {
	r := seeded(t)
	for _, zone := range representative {
		s := stretchAt(at(t, "2025-01-15"), must(t, zone))
		for range 6 {
			if s.end.IsZero() {
				break
			}
			from, until := s.end.Add(-30*time.Hour), s.end.Add(30*time.Hour)
			for range 12 {
				hour := []string{"*", "*/2", "*/3", fmt.Sprint(r.IntN(24)), fmt.Sprint(wall(s.end, s.off).Hour()), fmt.Sprint(wall(s.end, s.behind).Hour())}[r.IntN(6)]
				expr := fmt.Sprintf("%d %s * * *", r.IntN(60), hour)
				if r.IntN(4) == 0 {
					expr = "*/7 " + hour + " * * *"
				}
				c, err := ParseCron(expr, Local{Zone: zone})
				if err != nil {
					t.Fatal(err)
				}
				var got []time.Time
				for at := from; ; {
					fire, _ := c.Next(at)
					if at = fire.At; at.After(until) {
						break
					}
					if fire.Note&Shifted != 0 { // which Debian runs at once
						fire.At = s.end
					}
					got = append(got, fire.At)
				}
				if want := c.debian(from, until); !slices.EqualFunc(got, want, time.Time.Equal) {
					t.Fatalf("%s around %v: got %v, want %v", c, s.end, got, want)
				}
			}
			s = stretchAt(s.end, must(t, zone))
		}
	}
}

func must(t *testing.T, zone string) *time.Location {
	t.Helper()
	z, err := Zone(zone)
	if err != nil {
		t.Fatal(err)
	}
	return z
}
