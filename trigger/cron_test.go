package trigger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCronFollowsTheRuleWhenClocksChange(t *testing.T) {
	for _, c := range []struct{ text, after, want string }{
		{"TZ=America/New_York 30 2 * * *", "2026-03-08", "2026-03-08T03:30:00-04:00 2026-03-09T02:30:00-04:00"},
		{"TZ=America/New_York GAP=skip 30 2 * * *", "2026-03-08", "2026-03-09T02:30:00-04:00"},
		{"TZ=America/New_York 30 1 * * *", "2026-11-01", "2026-11-01T01:30:00-04:00 2026-11-02T01:30:00-05:00"},
		{"TZ=America/New_York TWICE=last 30 1 * * *", "2026-11-01", "2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00"},
		{"TZ=America/New_York TWICE=both 30 1 * * *", "2026-11-01", "2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00"},
		{"TZ=America/New_York 0 * * * *", "2026-11-01T04:30:00Z", "2026-11-01T01:00:00-04:00 2026-11-01T01:00:00-05:00 2026-11-01T02:00:00-05:00"},
		{"TZ=America/New_York 0 * * * *", "2026-03-08T05:30:00Z", "2026-03-08T01:00:00-05:00 2026-03-08T03:00:00-04:00"},
		{"TZ=America/New_York 30 */2 * * *", "2026-03-08T05:00:00Z", "2026-03-08T00:30:00-05:00 2026-03-08T04:30:00-04:00"},
		{"TZ=America/New_York 0,45 2,3 * * *", "2026-03-08T06:00:00Z", "2026-03-08T03:00:00-04:00 2026-03-08T03:45:00-04:00 2026-03-09T02:00:00-04:00"},
		{"TZ=America/New_York 50 2 * * *", "2026-03-08T07:00:00Z", "2026-03-08T03:50:00-04:00"},
		{"TZ=America/Santiago 0 0 * * *", "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00"},
		{"TZ=Africa/Cairo 0 0 * * *", "2026-04-23T12:00:00Z", "2026-04-24T01:00:00+03:00"},
		{"TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-03T12:00:00Z", "2026-10-04T02:45:00+11:00"},
		{"TZ=Pacific/Apia 0 9 * * *", "2011-12-29T12:00:00-10:00", "2011-12-31T09:00:00+14:00 2012-01-01T09:00:00+14:00"},
	} {
		tr := mustParse(t, c.text)
		want := strings.Fields(c.want)
		z := tr.(zoned).where().zone()
		got := make([]string, 0, len(want))
		for _, f := range fires(tr, at(t, c.after), len(want)) {
			got = append(got, f.In(z).Format(time.RFC3339))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s after %s: got %v, want %v", c.text, c.after, got, want)
		}
	}
}

func TestADailyJobFiresOnceOnDaysWhenLordHoweChanges(t *testing.T) {
	tr := mustParse(t, "TZ=Australia/Lord_Howe 0 9 * * *")
	for _, day := range []string{"2026-04-05", "2026-10-04", "2027-04-04", "2027-10-03"} {
		z := tr.(zoned).where().zone()
		start, _ := time.ParseInLocation(time.DateOnly, day, z)
		var on []string
		for _, f := range fires(tr, start.Add(-time.Second), 2) {
			on = append(on, f.In(z).Format("2006-01-02 15:04"))
		}
		if on[0] != day+" 09:00" || strings.HasPrefix(on[1], day) {
			t.Errorf("%s: got %v, want it at 09:00 and no more", day, on)
		}
	}
}

func TestCronReadsEveryForm(t *testing.T) {
	const after = "2026-11-22T06:45:13Z"
	for _, c := range []struct{ expr, want string }{
		{"*/5 * * * * *", "2026-11-22T06:45:15Z"},
		{"0 0 12 * * ?", "2026-11-22T12:00:00Z"},
		{"0 0 12 ? * MON-FRI", "2026-11-23T12:00:00Z"},
		{"0 0 12 ? * FRI#3", "2026-12-18T12:00:00Z"},
		{"0 0 0 1 1 ? 2028", "2028-01-01T00:00:00Z"},
		{"30 0 0 1 1 * 2027/2", "2027-01-01T00:00:30Z"},
		{"0 0 * * 05", "2026-11-27T00:00:00Z"},
		{"0 0 1 01 *", "2027-01-01T00:00:00Z"},
		{"0 0 * * 5-7", "2026-11-27T00:00:00Z"},
		{"0 0 * * mon-sun", "2026-11-23T00:00:00Z"},
		{"0 0 * * sat-sun", "2026-11-28T00:00:00Z"},
		{"0 0 LW * *", "2026-11-30T00:00:00Z"},
		{"0 0 L 2 *", "2027-02-28T00:00:00Z"},
		{"0 0 15W * ?", "2026-12-15T00:00:00Z"},
		{"0 0 1W 8 *", "2027-08-02T00:00:00Z"},
		{"0 0 * * 5#3", "2026-12-18T00:00:00Z"},
		{"0 0 * * 7L", "2026-11-29T00:00:00Z"},
		{"0 0 * * 7/6", "2026-11-28T00:00:00Z"},
		{"0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"0 0 * * Friday", "2026-11-27T00:00:00Z"},
		{"0 0 13 * fri", "2026-11-27T00:00:00Z"},
		{"0 0 */13 * fri", "2026-11-27T00:00:00Z"},
		{"0 0 */2 * tue", "2026-12-01T00:00:00Z"},
		{"0 0 31 * *", "2026-12-31T00:00:00Z"},
		{"50-59/3,5 6 * * *", "2026-11-22T06:50:00Z"},
		{"@midnight", "2026-11-23T00:00:00Z"},
		{"@HOURLY", "2026-11-22T07:00:00Z"},
		{"@weekly", "2026-11-29T00:00:00Z"},
		{"@yearly", "2027-01-01T00:00:00Z"},
		{"cron 0 0 1 * *", "2026-12-01T00:00:00Z"},
		{"CRON_TZ=Asia/Tokyo 0 6 * * *", "2026-11-22T21:00:00Z"},
	} {
		got := "nothing"
		if fire, ok := mustParse(t, c.expr).Next(at(t, after)); ok {
			got = fire.At.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q after %s: got %s, want %s", c.expr, after, got, c.want)
		}
	}
}

func TestCronRefusesWithFieldValueAndRemedy(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"0 0 31 2 *", "never due"},
		{"0 0 30 feb *", "never due"},
		{"0 0 31W feb *", "never due"},
		{"5-2 * * * *", `minute "5-2": want a range that goes up`},
		{"0 0 * * fri-mon", `day-of-week "fri-mon": want a range that goes up, or two`},
		{"60 * * * *", `minute "60": want a number from 0 to 59`},
		{"0 24 * * *", `hour "24": want a number from 0 to 23`},
		{"0 0 0 * *", `day-of-month "0"`},
		{"0 0 * 13 *", `month "13": want a number from 1 to 12, or a name as in feb`},
		{"0 0 * * 8", `day-of-week "8"`},
		{"*/0 * * * *", `minute "*/0": want a step from 1 to 59`},
		{"*/60 * * * *", `minute "*/60"`},
		{"0 0 0 1 1 * 1969", `year "1969": want a number from 1970 to 2099`},
		{"0 0 0 1 1 * 2100", `year "2100"`},
		{"1,,2 * * * *", `minute ""`},
		{"0 0 * * fri2", `day-of-week "fri2"`},
		{"0 0 * * 5#6", `from 1 to 5`},
		{"-1 * * * *", `minute ""`},
		{"+1 * * * *", `minute "+1"`},
		{"? * * * *", `want ? alone`},
		{"0 0 12 ? * 2-6", "1 is Sunday in Quartz"},
		{"0 0 12 ? * 6L", "want names"},
		{"0 0 12 ? * ?", "? for both days"},
		{"* * * *", "4 fields: want 5"},
		{"* * * * * * * *", "8 fields"},
		{"@fortnightly", "1 fields"},
		{"0 0 L-3 * *", `day-of-month "l"`},
		{"0 0 0 1 1 * H", "H would be once"},
		{"H(5-2) * * * *", "range that goes up"},
		{"Hx * * * *", "want H, H(0-29) or H/15"},
		{"TZ=Mars/Olympus 0 0 * * *", `Zone "Mars/Olympus"`},
		{"TZ=Local 0 0 * * *", "differs from machine to machine"},
		{"TZ= 0 0 * * *", "want a value"},
		{"GAP=jump 0 0 * * *", "want shift or skip"},
		{strings.Repeat("1,", 300) + "1 * * * *", "want at most 512"},
	} {
		_, err := Parse(c.expr)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%q: got error %v, want it to say %q", c.expr, err, c.want)
		}
	}
}

func TestHSpreadsByNameAndStays(t *testing.T) {
	minutes := map[int]int{}
	for i := range 600 {
		c, err := parseCron("H H(1-5) * * *", Local{}, fmt.Sprintf("reports/job-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		fire, _ := c.Next(at(t, "2026-01-01"))
		if h := fire.At.Hour(); h < 1 || h > 5 {
			t.Fatalf("got hour %d, want it from 1 to 5", h)
		}
		minutes[fire.At.Minute()]++
		again, _ := parseCron("H H(1-5) * * *", Local{}, fmt.Sprintf("reports/job-%d", i))
		if second, _ := again.Next(at(t, "2026-01-01")); second != fire {
			t.Fatalf("got %v, then %v", fire, second)
		}
	}
	for m := range 60 {
		if minutes[m] == 0 || minutes[m] > 30 {
			t.Errorf("minute %d has %d of 600 triggers, want about 10", m, minutes[m])
		}
	}
	c, _ := parseCron("H/15 * * * *", Local{}, "x")
	at := fires(c, at(t, "2026-01-01"), 8)
	for i := 1; i < len(at); i++ {
		if at[i].Sub(at[i-1]) != 15*time.Minute {
			t.Errorf("H/15: got %v, want a quarter of an hour between", at)
		}
	}
}

// randomCron makes an expression that is often due and sometimes strange.
func randomCron(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	field := func(lo, hi int) string {
		a, b := lo+r.IntN(hi-lo+1), lo+r.IntN(hi-lo+1)
		switch r.IntN(6) {
		case 0:
			return fmt.Sprint(a)
		case 1:
			return fmt.Sprintf("%d,%d", a, b)
		case 2:
			return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		case 3:
			return fmt.Sprintf("*/%d", 1+r.IntN(hi))
		case 4:
			return fmt.Sprintf("%d/%d", a, 1+r.IntN(hi))
		}
		return "*"
	}
	dom, dow, mon := "*", "*", "*"
	if r.IntN(2) == 0 {
		dom = pick(field(1, 31), "L", "LW", fmt.Sprintf("%dW", 1+r.IntN(31)), "1,15W,L")
	}
	if r.IntN(2) == 0 {
		dow = pick(field(0, 6), "mon-fri", fmt.Sprintf("%dL", r.IntN(8)), fmt.Sprintf("%d#%d", r.IntN(8), 1+r.IntN(5)), "sat,sun", "5-7", "0-6")
	}
	if r.IntN(3) == 0 {
		mon = field(1, 12)
	}
	return strings.Join([]string{field(0, 59), field(0, 23), dom, mon, dow}, " ")
}

func TestCronIsDueWhenAScanOfEveryMinuteSaysSo(t *testing.T) {
	r := seeded(t)
	rounds := 120
	if long {
		rounds = 3000
	}
	for range rounds {
		local := Local{Zone: representative[r.IntN(len(representative))]}
		local.Gap = []Gap{"", GapSkip}[r.IntN(2)]
		local.Twice = []Twice{"", TwiceLast, TwiceBoth}[r.IntN(3)]
		expr := randomCron(r)
		c, err := ParseCron(expr, local)
		if err != nil {
			t.Fatal(err)
		}
		// Around a change of clocks, where there is one.
		after := time.Date(2009+r.IntN(25), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		if s := stretchAt(after, local.zone()); !s.end.IsZero() {
			after = s.end.Add(-time.Duration(r.IntN(3*24*60)) * time.Minute)
		}
		until := after.Add(12 * 24 * time.Hour)
		want := c.oracle(after, until, time.Minute)
		got := fires(c, after, len(want))
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s after %v: got %v, want %v", c, after, got, want)
		}
		if extra, ok := c.Next(append(want, after)[max(0, len(want)-1)]); ok && !extra.At.After(until) {
			t.Fatalf("%s after %v: got %v too", c, after, extra)
		}
		if n := c.count(after, until); n != len(want) {
			t.Fatalf("%s from %v to %v: counted %d, want %d", c, after, until, n, len(want))
		}
	}
}

func TestCronOfSecondsIsDueWhenAScanOfEverySecondSaysSo(t *testing.T) {
	r := seeded(t)
	for range 20 {
		expr := fmt.Sprintf("%d/%d %s", r.IntN(60), 1+r.IntN(59), randomCron(r))
		c, err := ParseCron(expr, Local{Zone: "Europe/Berlin"})
		if err != nil {
			t.Fatal(err)
		}
		after := at(t, "2026-03-28T23:30:00Z").Add(time.Duration(r.IntN(7200)) * time.Second)
		if r.IntN(2) == 0 {
			after = at(t, "2026-10-24T23:00:00Z").Add(time.Duration(r.IntN(7200)) * time.Second)
		}
		until := after.Add(4 * time.Hour)
		want := c.oracle(after, until, time.Second)
		if got := fires(c, after, len(want)); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s after %v: got %d fires, want %d", c, after, len(got), len(want))
		}
		if n := c.count(after, until); n != len(want) {
			t.Fatalf("%s from %v to %v: counted %d, want %d", c, after, until, n, len(want))
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 0-3 1,2 jan-mar mon#2", "0 0 L * 5L", "0 0 15W * ?", "0 0 0 1 1 * 2027/2", "@daily", "5-2 * * * *", "0 0 * * 5-7", "0 0 30 2 *", "H H(1-5)/2 * * *", "0 0 */2 * */3", "0 * 1 1 7/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		c, err := ParseCron(expr, Local{Zone: "America/Santiago"})
		if err != nil {
			return
		}
		again, err := ParseCron(c.text, c.local)
		if err != nil || !Equal(c, again) {
			t.Fatalf("%q: its text %q is read as %v, %v", expr, c.text, again, err)
		}
		after := time.Date(2026, 4, 4, 1, 2, 3, 0, time.UTC)
		for range 20 {
			fire, ok := c.Next(after)
			if !ok {
				return
			}
			if !fire.At.After(after) {
				t.Fatalf("%q went from %v to %v", expr, after, fire.At)
			}
			reading := wallIn(fire.At, c.local.zone())
			if fire.Note&Shifted == 0 && !c.matches(reading) {
				t.Fatalf("%q is due at %v", expr, reading)
			}
			after = fire.At
		}
	})
}
