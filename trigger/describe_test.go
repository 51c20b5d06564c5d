package trigger

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDescribeSaysItInWords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"* * * * *", "every minute, every day"},
		{"*/5 * * * *", "every 5 minutes, every day"},
		{"* * * * * *", "every second, every day"},
		{"*/10 * * * * *", "every 10 seconds, every day"},
		{"30 2 * * *", "at 02:30, every day"},
		{"TZ=Europe/Berlin 0 9,17 * * mon-fri", "at 09:00 and 17:00, on Monday to Friday, Europe/Berlin time"},
		{"0 * * * *", "every hour, on the hour, every day"},
		{"15 * * * *", "minute 15, every day"},
		{"*/15 9-17 * * 1-5", "every 15 minutes of every hour from 09 to 17, on Monday to Friday"},
		{"0 0 1 * *", "at 00:00, on day 1 of the month"},
		{"0 0 L * *", "at 00:00, on the last day of the month"},
		{"0 0 15W,LW 1,7 *", "at 00:00, on the day from Monday to Friday nearest to day 15 and the last day from Monday to Friday of the month, in January and July"},
		{"0 0 13 * 5", "at 00:00, on day 13 of the month, and also on Friday"},
		{"0 0 */2 * 5", "at 00:00, on days 1 to 31 in steps of 2 of the month if that is on Friday"},
		{"0 0 * * 5#3,6L", "at 00:00, on the third Friday of the month and the last Saturday of the month"},
		{"0 0 12 ? * MON 2027-2030", "at 12:00, on Monday, in 2027 to 2030"},
		{"0 */2 * * *", "every 2 hours, on the hour, every day"},
		{"30 0 12 * * ?", "at 12:00:30, every day"},
		{"manual", "when somebody asks for it"},
		{"at 2026-01-01T00:00:00Z", "once, at 2026-01-01T00:00:00Z"},
		{"after 5m", "once, 5m after it is saved"},
		{"every 10s", "every 10 seconds"},
		{"every 1s", "every second"},
		{"every 90m", "every 1h30m, from start to start"},
		{"TZ=Europe/Berlin every 2d", "every 2 days, at the same time of day, Europe/Berlin time"},
		{"delay 5m", "5m after the end of the run before"},
		{"daily 22:00-02:00 every 15m on mon-fri", "every 15m from 22:00 to 02:00 of the next day, on Monday to Friday"},
		{"every 2 months on last business day at 18:00", "every 2 months on last business day at 18:00"},
	} {
		if got := Describe(mustParse(t, c.text)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestPreviewNotesWhatIsSpecial(t *testing.T) {
	for _, c := range []struct {
		s     Schedule
		after string
		local string
		note  string
	}{
		{Schedule{When: "30 2 * * *", Zone: "America/New_York"}, "2026-03-08T05:00:00Z", "2026-03-08T03:30:00-04:00", "gap: 02:30 does not exist on 2026-03-08, as clocks go from 02:00 to 03:00"},
		{Schedule{When: "30 1 * * *", Zone: "America/New_York"}, "2026-11-01T04:00:00Z", "2026-11-01T01:30:00-04:00", "overlap: 01:30 comes twice on 2026-11-01; this is the first, at -04:00 EDT"},
		{Schedule{When: "30 1 * * *", Zone: "America/New_York", Twice: TwiceLast}, "2026-11-01T04:00:00Z", "2026-11-01T01:30:00-05:00", "this is the second, at -05:00 EST"},
		{Schedule{When: "0 * * * *", Blackout: []Blackout{{From: "01:00", To: "03:00"}}}, "2026-01-01T00:30:00Z", "2026-01-01T03:00:00Z", "blackout: 2 before this are dropped"},
		{Schedule{When: "0 * * * *", Blackout: []Blackout{{From: "01:00", To: "03:30", Defer: true}}}, "2026-01-01T00:30:00Z", "2026-01-01T03:30:00Z", "blackout: put off until its end, in place of 3 before"},
		{Schedule{When: "0 0 1 * *", Except: []string{"holidays"}, Excluded: ExcludedNext}, "2025-12-31T12:00:00Z", "2026-01-02T00:00:00Z", "calendar: moved"},
		{Schedule{When: "*/5 * * * *", Jitter: time.Hour}, "2026-01-01", "2026-01-01T00:05:00Z", "jitter: starts up to 5m later, here "},
		{Schedule{When: "delay 5m"}, "2026-01-01", "2026-01-01T00:05:00Z", "the next follows the end"},
		{Schedule{When: "0 0 1 * *"}, "2026-01-01", "2026-02-01T00:00:00Z", ""},
	} {
		p := bind(t, c.s, c.after, holidays).Preview(at(t, c.after), 1)
		if len(p) != 1 || p[0].Local != c.local || c.note == "" != (len(p[0].Notes) == 0) || !slices.ContainsFunc(append(p[0].Notes, ""), func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("%+v: got %+v, want it at %s with %q", c.s, p, c.local, c.note)
		}
	}
	table := bind(t, Schedule{When: "0 * * * *", MaxRuns: 3}, "2026-01-01")
	if p := table.Preview(at(t, "2026-01-01"), 10); len(p) != 3 {
		t.Errorf("got %d fires of a schedule of 3 runs", len(p))
	}
	text, _ := json.Marshal(table.Preview(at(t, "2026-01-01"), 1))
	if want := `[{"at":"2026-01-01T01:00:00Z","local":"2026-01-01T01:00:00Z","notes":[]}]`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}
