package trigger

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// next lists the first fires after an instant, as clocks in the zone show them.
func next(t *testing.T, tr Trigger, after string, n int) string {
	t.Helper()
	z := time.UTC
	if zo, ok := tr.(zoned); ok {
		z = zo.where().zone()
	}
	var out []string
	for _, f := range fires(tr, at(t, after), n) {
		out = append(out, f.In(z).Format("01-02 15:04:05"))
	}
	return strings.Join(out, ", ")
}

func TestEveryModeIsDueWhenItSays(t *testing.T) {
	for _, c := range []struct{ text, after, want string }{
		{"manual", "2026-01-01", ""},
		{"at 2026-03-08T02:30:00Z, 2026-01-02T00:00:00Z", "2026-01-01", "01-02 00:00:00, 03-08 02:30:00"},
		{"TZ=America/New_York at 2026-03-08 02:30", "2026-01-01", "03-08 03:30:00"},
		{"TZ=America/New_York TWICE=both at 2026-11-01 01:30", "2026-01-01", "11-01 01:30:00, 11-01 01:30:00"},
		{"every 7s", "2026-01-01", "01-01 00:00:07, 01-01 00:00:14"},
		{"every 10s phase 3s", "2026-01-01", "01-01 00:00:03, 01-01 00:00:13"},
		{"every 1s", "2026-01-01", "01-01 00:00:01, 01-01 00:00:02"},
		{"every 7s", "1969-12-31T23:59:50Z", "12-31 23:59:53, 01-01 00:00:00"},
		{"every 90m from 2026-01-01T00:10:00Z", "2026-01-01", "01-01 00:10:00, 01-01 01:40:00"},
		{"every 90m from 2026-01-01T00:10:00Z", "2026-06-01", "06-01 00:10:00, 06-01 01:40:00"},
		{"every 24h from 2026-03-07T14:00:00Z", "2026-03-07", "03-07 14:00:00, 03-08 14:00:00"},
		{"TZ=America/New_York every 1d from 2026-03-07T14:00:00Z", "2026-03-07", "03-07 09:00:00, 03-08 09:00:00, 03-09 09:00:00"},
		{"TZ=America/New_York every 25h from 2026-03-07T14:00:00Z", "2026-03-07", "03-07 09:00:00, 03-08 11:00:00"},
		{"TZ=America/New_York every 2d from 2026-03-06T07:30:00Z", "2026-03-07", "03-08 03:30:00, 03-10 02:30:00"},
		{"delay 5m", "2026-01-01", "01-01 00:05:00"},
		{"delay 5m", "2026-01-01T00:00:00.5Z", "01-01 00:05:01"},
		{"daily 09:00-10:00 every 30m on mon-fri", "2026-01-02T09:10:00Z", "01-02 09:30:00, 01-02 10:00:00, 01-05 09:00:00"},
		{"daily 22:00-02:00 every 90m on sat", "2026-01-03", "01-03 22:00:00, 01-03 23:30:00, 01-04 01:00:00, 01-10 22:00:00"},
		{"daily 22:00-02:00 every 90m", "2026-01-03T00:30:00Z", "01-03 01:00:00, 01-03 22:00:00"},
		{"daily 00:00-24:00 every 12h", "2026-01-03", "01-03 12:00:00, 01-04 00:00:00, 01-04 12:00:00"},
		{"daily 09:00-17:00 every 7h", "2026-01-03", "01-03 09:00:00, 01-03 16:00:00, 01-04 09:00:00"},
		{"daily 09:00-17:00", "2026-01-03", "01-03 09:00:00, 01-04 09:00:00"},
		{"TZ=America/New_York daily 01:00-03:00 every 30m", "2026-03-08T05:00:00Z", "03-08 01:00:00, 03-08 01:30:00, 03-08 03:00:00, 03-09 01:00:00"},
		{"TZ=America/New_York daily 01:00-03:00 every 1h", "2026-11-01T04:00:00Z", "11-01 01:00:00, 11-01 01:00:00, 11-01 02:00:00, 11-01 03:00:00, 11-02 01:00:00"},
	} {
		n := max(1, strings.Count(c.want, ",")+1)
		if got := next(t, mustParse(t, c.text), c.after, n); got != c.want {
			t.Errorf("%s after %s: got %q, want %q", c.text, c.after, got, c.want)
		}
	}
}

// texts has a trigger of every mode and form, as String writes it.
var texts = []string{
	"manual",
	"at 2026-01-02T00:00:00Z, 2026-03-08T02:30:00Z",
	"TZ=America/New_York GAP=skip at 2026-03-08T02:30:00",
	"after 1h30m",
	"every 10s",
	"every 10s phase 3s",
	"every 30s from start",
	"every 5m",
	"every 2m30s from 2026-01-01T00:00:00Z",
	"TZ=Europe/Berlin every 48h from 2026-01-01T00:00:00Z",
	"delay 5m",
	"30 2 * * mon-fri",
	"@daily",
	"TZ=Europe/Berlin GAP=skip TWICE=both 0 30 2 ? * FRI#3 2027-2030",
	"H H(1-5) * * *",
	"daily 09:00-17:30 every 15m on mon-fri",
	"rrule FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;DTSTART=20260101T000000;EXDATE=20260130",
	"TZ=Europe/Berlin rrule FREQ=DAILY",
	"every 2 months on last business day at 18:00",
	"event order.paid",
	`event order.paid where "data.amount > 100 && data.note == \"(x, y)\"" dedupe(id, 1h) throttle(data.customer, 10/1m) ttl 1h`,
	`event order.paid debounce(data["customer, id"] + ")", 5s, 1m)`,
	"event tick batch(100, 500ms)",
	"upstream all of load on success by nominal",
	"upstream 2 of reports/load, clean, sum on done by partition retrigger",
	"upstream any of load, clean on failure by latest within 2h",
	"workflow nightly on TZ=Europe/Berlin 30 2 * * *",
	"workflow nightly on event order.paid",
	"lifecycle join each debounce 30s",
	"lifecycle form cluster",
	"TZ=Asia/Tokyo every month on 15th day at 09:00:30",
	"TZ=Europe/Berlin daily 22:00-02:00:30 every 24h on mon,wed,sat-sun",
}

func TestWhatStringWritesParseReadsBack(t *testing.T) {
	for _, text := range texts {
		tr := mustParse(t, text)
		if got := tr.String(); got != text {
			t.Errorf("%q is written as %q", text, got)
		}
		again := mustParse(t, tr.String())
		if !Equal(tr, again) || !slices.EqualFunc(fires(tr, at(t, "2026-01-01"), 5), fires(again, at(t, "2026-01-01"), 5), time.Time.Equal) {
			t.Errorf("%q is read back as %q, with other fires", text, again)
		}
	}
}

func TestNextOnlyMovesForward(t *testing.T) {
	r := seeded(t)
	for _, text := range texts {
		for _, zone := range representative {
			if !strings.Contains(text, "TZ=") {
				if _, ok := mustParse(t, text).(zoned); ok {
					text = "TZ=" + zone + " " + text
				}
			}
			tr := mustParse(t, text)
			after := at(t, "2026-01-01").Add(time.Duration(r.Int64N(int64(400 * 24 * time.Hour))))
			for range 50 {
				fire, ok := tr.Next(after)
				if !ok {
					break
				}
				if !fire.At.After(after) || fire.At.Location() != time.UTC || fire.At.Nanosecond() != 0 {
					t.Fatalf("%s went from %v to %v", text, after, fire.At)
				}
				// Nothing lies between, whatever instant between is asked.
				between := after.Add(time.Duration(r.Int64N(int64(fire.At.Sub(after)))))
				if same, ok := tr.Next(between); tr.Mode() != ModeDelay && (!ok || !same.At.Equal(fire.At)) {
					t.Fatalf("%s: after %v comes %v, but after %v in between %v", text, after, fire.At, between, same.At)
				}
				after = fire.At
			}
		}
	}
}

func TestParseRefusesWithRemedy(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"manual please", "want nothing more"},
		{"at", "want an instant"},
		{"at tomorrow", "want an instant"},
		{"at 1969-01-01T00:00:00Z", "year 1969: want one from 1970 to 2099"},
		{"at 2026-02-31 00:00", "want an instant"},
		{"after 0s", "after 0s: want whole seconds, at least 1s"},
		{"after soon", "want a duration"},
		{"after -5m", "want a duration"},
		{"every 0s", "every 0s: want whole seconds, from 1s"},
		{"every 1500ms", "want whole seconds"},
		{"every x", `"x": want a duration, as in 30s`},
		{"every 10s phase 10s", "phase 10s: want whole seconds, from 0 to less than 10s"},
		{"every 5m phase 1m", "every 5m: want whole seconds, from 1s to 59s"},
		{"every 5m from yesterday", "want an instant"},
		{"every 5m tomorrow", "want nothing more"},
		{"every 40000d", "want a duration"},
		{"delay 0s", "at least 1s"},
		{"daily 09:00", "want times of day"},
		{"daily 9-17 every 1h", "want times of day"},
		{"daily 09:00-25:00 every 1h", "want times of day"},
		{"daily 09:00-09:00 every 1h", "want two different times"},
		{"daily 09:00-17:00 every 0s", "at least 1s"},
		{"daily 09:00-17:00 every 25h", "at most 24h"},
		{"daily 09:00-17:00 every 1h on never", "want names"},
		{"TZ=Europe/Berlin manual", "has no local times"},
		{"TZ=Europe/Berlin every 10s", "has no local times"},
		{"\xff", "in UTF-8"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%q: got error %v, want it to say %q", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(tr.String())
		if err != nil || !Equal(tr, again) {
			t.Fatalf("%q is written as %q, which is read as %v, %v", text, tr, again, err)
		}
		after := time.Date(2026, 3, 7, 1, 2, 3, 0, time.UTC)
		for range 5 {
			fire, ok := tr.Next(after)
			if !ok {
				return
			}
			if !fire.At.After(after) {
				t.Fatalf("%q went from %v to %v", text, after, fire.At)
			}
			after = fire.At
		}
	})
}
