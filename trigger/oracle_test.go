package trigger

import (
	"archive/zip"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// long asks for tests of ten years in all zones: MUSTER_LONG=1 go test.
var long = os.Getenv("MUSTER_LONG") != ""

// seeded is chance whose seed is logged, so that a failure can be repeated.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// allZones are the names in the time zone database of the Go distribution.
func allZones(t testing.TB) []string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no Go distribution to take the zones from: %v", err)
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("no time zone database: %v", err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		if _, err := Zone(f.Name); err == nil && !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	if len(names) < 500 {
		t.Fatalf("got %d zones, want some 600", len(names))
	}
	return names
}

// representative are zones with every kind of change there is: by an hour,
// half an hour, a whole day, at midnight, and with a negative daylight saving.
var representative = []string{
	"America/New_York", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo",
	"Africa/Casablanca", "Asia/Tehran", "Asia/Gaza", "America/Havana", "America/Asuncion", "America/Godthab",
	"Antarctica/Troll", "Pacific/Apia", "Asia/Kathmandu", "UTC",
}

func mustParse(t testing.TB, text string) Trigger {
	t.Helper()
	tr, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	for _, layout := range []string{time.RFC3339, "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	t.Fatalf("no instant: %q", text)
	return time.Time{}
}

// fires are the first n of tr after an instant.
func fires(tr Trigger, after time.Time, n int) []time.Time {
	var out []time.Time
	for range n {
		fire, ok := tr.Next(after)
		if !ok {
			break
		}
		out = append(out, fire.At)
		after = fire.At
	}
	return out
}

// matches says whether a cron expression is due at a reading, the slow and
// obvious way.
func (c Cron) matches(reading time.Time) bool {
	has := func(i, v int) bool { return slices.Contains(c.sets[i].values, v) }
	if !has(second, reading.Second()) || !has(minute, reading.Minute()) || !has(hour, reading.Hour()) || !has(month, int(reading.Month())) || !has(year, reading.Year()) {
		return false
	}
	lastDay := time.Date(reading.Year(), reading.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	dom := has(dayOfMonth, reading.Day())
	for _, mark := range c.sets[dayOfMonth].marks {
		target := lastDay
		if day, ok := strings.CutSuffix(mark, "w"); ok && day != "l" {
			n := 0
			for _, digit := range day {
				n = n*10 + int(digit-'0')
			}
			if target = time.Date(reading.Year(), reading.Month(), n, 0, 0, 0, 0, time.UTC); n > lastDay.Day() {
				continue
			}
		}
		if strings.HasSuffix(mark, "w") { // the nearest weekday in the month
			for _, d := range []int{0, -1, 1, -2, 2} {
				near := target.AddDate(0, 0, d)
				if near.Month() == target.Month() && near.Weekday() != time.Saturday && near.Weekday() != time.Sunday {
					target = near
					break
				}
			}
		}
		dom = dom || reading.Day() == target.Day()
	}
	dow := has(dayOfWeek, int(reading.Weekday()))
	for _, mark := range c.sets[dayOfWeek].marks {
		if int(mark[0]-'0') != int(reading.Weekday()) {
			continue
		}
		if mark[1] == 'l' {
			dow = dow || reading.Day()+7 > lastDay.Day()
		} else {
			dow = dow || (reading.Day()-1)/7+1 == int(mark[2]-'0')
		}
	}
	if c.sets[dayOfMonth].star || c.sets[dayOfWeek].star {
		return dom && dow
	}
	return dom || dow
}

// oracle returns the fires of c after one instant and up to another, by
// looking at every reading of the clock, in steps of a minute or a second.
func (c Cron) oracle(after, until time.Time, step time.Duration) []time.Time {
	z := c.local.zone()
	due := map[int64]bool{}
	_, offset := after.In(z).Zone()
	for u := after.Add(-50 * time.Hour).Truncate(step); !u.After(until); u = u.Add(step) {
		previous := offset
		_, offset = u.In(z).Zone()
		reading := wallIn(u, z)
		if gap := offset - previous; gap > 0 && !c.follow && c.local.Gap != GapSkip {
			for r := wall(u, previous); r.Before(reading); r = r.Add(step) {
				if c.matches(r) {
					due[wall(r, -previous).Unix()] = true
				}
			}
		}
		if !c.matches(reading) {
			continue
		}
		before, behind := passes(u, z)
		switch {
		case c.follow || c.local.Twice == TwiceBoth,
			c.local.Twice == TwiceLast && !behind,
			c.local.Twice != TwiceLast && !before:
			due[u.Unix()] = true
		}
	}
	var out []time.Time
	for u := range due {
		if t := time.Unix(u, 0).UTC(); t.After(after) && !t.After(until) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// passes says whether clocks showed the same reading before u, and will again.
func passes(u time.Time, z *time.Location) (before, behind bool) {
	reading := wallIn(u, z)
	_, offset := u.In(z).Zone()
	for d := -26 * time.Hour; d <= 26*time.Hour; d += 30 * time.Minute {
		_, other := u.Add(d).In(z).Zone()
		if other == offset {
			continue
		}
		if same := wall(reading, -other); wallIn(same, z).Equal(reading) {
			before = before || same.Before(u)
			behind = behind || same.After(u)
		}
	}
	return before, behind
}
