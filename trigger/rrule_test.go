package trigger

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestRecurrencesAreThoseOfTheRFC(t *testing.T) {
	const start = ";DTSTART=19970902T090000"
	for _, c := range []struct{ rule, after, want string }{
		{"FREQ=DAILY;COUNT=3" + start, "1997-09-01", "1997-09-02 09:00, 1997-09-03 09:00, 1997-09-04 09:00"},
		{"FREQ=DAILY;INTERVAL=10" + start, "2026-01-01", "2026-01-03 09:00, 2026-01-13 09:00"},
		{"FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,TH" + start, "1997-09-02T12:00:00Z", "1997-09-04 09:00, 1997-09-16 09:00, 1997-09-18 09:00"},
		{"FREQ=MONTHLY;BYDAY=1FR" + start, "1997-09-03", "1997-09-05 09:00, 1997-10-03 09:00, 1997-11-07 09:00"},
		{"FREQ=MONTHLY;BYMONTHDAY=-3" + start, "1997-09-03", "1997-09-28 09:00, 1997-10-29 09:00"},
		{"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13" + start, "1997-09-03", "1998-02-13 09:00, 1998-03-13 09:00, 1998-11-13 09:00"},
		{"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2" + start, "1997-09-03", "1997-09-29 09:00, 1997-10-30 09:00"},
		{"FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO" + start, "1997-09-03", "1998-05-11 09:00, 1999-05-17 09:00"},
		{"FREQ=YEARLY;BYMONTH=6;BYDAY=2TH" + start, "2026-01-01", "2026-06-11 09:00, 2027-06-10 09:00"},
		{"FREQ=YEARLY;BYYEARDAY=1,100,200" + start, "2026-01-01", "2026-01-01 09:00, 2026-04-10 09:00, 2026-07-19 09:00"},
		{"FREQ=MONTHLY;DTSTART=20260131T120000", "2026-02-01", "2026-03-31 12:00, 2026-05-31 12:00"},
		{"FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000" + start, "1997-09-02", "1997-09-02 09:00, 1997-09-02 12:00, 1997-09-02 15:00"},
		{"FREQ=HOURLY;INTERVAL=5;BYHOUR=9" + start, "2026-01-01", "2026-01-03 09:00, 2026-01-08 09:00"},
		{"FREQ=DAILY;UNTIL=19970904" + start, "1997-09-03T12:00:00Z", "1997-09-04 09:00"},
		{"FREQ=DAILY;EXDATE=19970903T090000,19970904;RDATE=19970904T100000,19970905T030000" + start, "1997-09-02T12:00:00Z", "1997-09-05 03:00, 1997-09-05 09:00"},
		{"FREQ=YEARLY;DTSTART=20240229T090000", "2025-01-01", "2028-02-29 09:00, 2032-02-29 09:00"},
	} {
		tr := mustParse(t, "rrule "+c.rule)
		var got []string
		for _, f := range fires(tr, at(t, c.after), strings.Count(c.want, ",")+1) {
			got = append(got, f.Format("2006-01-02 15:04"))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s after %s: got %q, want %q", c.rule, c.after, text, c.want)
		}
	}
}

func TestRecurrencesFollowTheRuleWhenClocksChange(t *testing.T) {
	const zone = "TZ=America/New_York "
	for _, c := range []struct{ text, after, want string }{
		{zone + "rrule FREQ=DAILY;DTSTART=20260101T023000", "2026-03-08", "03-08 03:30:00, 03-09 02:30:00"},
		{zone + "rrule FREQ=DAILY;DTSTART=20260101T013000", "2026-11-01", "11-01 01:30:00, 11-02 01:30:00"},
		{zone + "rrule FREQ=HOURLY;DTSTART=20260101T003000", "2026-11-01T04:00:00Z", "11-01 00:30:00, 11-01 01:30:00, 11-01 01:30:00, 11-01 02:30:00"},
		{zone + "rrule FREQ=DAILY;DTSTART=20260101T000000;UNTIL=20260103T050000Z", "2026-01-02", "01-02 00:00:00, 01-03 00:00:00"},
		{zone + "every month on second sunday at 02:30", "2026-03-01", "03-08 03:30:00, 04-12 02:30:00"},
	} {
		if got := next(t, mustParse(t, c.text), c.after, strings.Count(c.want, ",")+1); got != c.want {
			t.Errorf("%s after %s: got %q, want %q", c.text, c.after, got, c.want)
		}
	}
	if _, ok := mustParse(t, "rrule FREQ=DAILY;COUNT=2;DTSTART=20260101T000000").Next(at(t, "2026-01-02")); ok {
		t.Error("a third of two")
	}
}

func TestBadRecurrencesAreRefused(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"", "want each part once"},
		{"INTERVAL=2", "want FREQ"},
		{"FREQ=SECONDLY", "or every 90s"},
		{"FREQ=MINUTELY", "want one of YEARLY"},
		{"FREQ=DAILY;FREQ=DAILY", "want each part once"},
		{"FREQ=DAILY;INTERVAL=0", "rrule INTERVAL=0: want a number from 1 to 1000"},
		{"FREQ=DAILY;COUNT=0", "want a number from 1"},
		{"FREQ=DAILY;COUNT=5;UNTIL=20260101", "COUNT or UNTIL"},
		{"FREQ=DAILY;UNTIL=soon", "want a local time"},
		{"FREQ=DAILY;DTSTART=21500101T000000", "year 2150"},
		{"FREQ=YEARLY;BYMONTH=13", `"13": want numbers from 1 to 12`},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", "never due"},
		{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never due"},
		{"FREQ=DAILY;INTERVAL=7;BYDAY=TU;DTSTART=20260101T000000", "never due"},
		{"FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "never due"},
		{"FREQ=HOURLY;INTERVAL=6;BYHOUR=1", "want hours that every INTERVAL hours meet"},
		{"FREQ=DAILY;BYDAY=2MO", "with MONTHLY or YEARLY only"},
		{"FREQ=DAILY;BYDAY=XX", "want days as in MO"},
		{"FREQ=WEEKLY;BYMONTHDAY=1", "without WEEKLY"},
		{"FREQ=MONTHLY;BYWEEKNO=1", "with YEARLY only"},
		{"FREQ=MONTHLY;BYSETPOS=1", "with another BY part"},
		{"FREQ=DAILY;BYEASTER=1", "a part of RFC 5545"},
		{"FREQ=DAILY;EXDATE=soon", "local times"},
	} {
		_, err := Parse("rrule " + c.rule)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%q: got error %v, want it to say %q", c.rule, err, c.want)
		}
	}
}

// randomRule makes a rule that is mostly due.
func randomRule(r *rand.Rand) string {
	freq := []string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"}[r.IntN(5)]
	parts := []string{"FREQ=" + freq, fmt.Sprintf("INTERVAL=%d", 1+r.IntN(5))}
	if r.IntN(3) == 0 {
		parts = append(parts, fmt.Sprintf("BYMONTH=%d,%d", 1+r.IntN(6), 7+r.IntN(6)))
	}
	switch r.IntN(4) {
	case 0:
		parts = append(parts, "BYDAY=MO,WE,FR")
	case 1:
		if freq != "WEEKLY" {
			parts = append(parts, fmt.Sprintf("BYMONTHDAY=%d,-1", 1+r.IntN(31)))
		}
	case 2:
		if freq == "MONTHLY" || freq == "YEARLY" {
			parts = append(parts, fmt.Sprintf("BYDAY=%dTU,-1FR", 1+r.IntN(4)))
		}
	}
	if r.IntN(2) == 0 && freq != "HOURLY" {
		parts = append(parts, "BYHOUR=9,17", "BYMINUTE=15")
	}
	return strings.Join(append(parts, fmt.Sprintf("DTSTART=20%02d%02d%02dT%02d0510", r.IntN(20), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24))), ";")
}

func TestANearStartChangesNoRecurrence(t *testing.T) {
	r := seeded(t)
	for range 150 {
		text := randomRule(r)
		rec, err := ParseRecurrence(text, Local{})
		if err != nil {
			t.Fatal(err)
		}
		// With COUNT the library begins at the start.
		whole := rec
		whole.rule.count = maxRuleCount
		after := time.Date(rec.rule.start.Year()+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), 0, 0, 0, time.UTC)
		if strings.HasPrefix(text, "FREQ=HOURLY") {
			after = rec.rule.start.AddDate(0, r.IntN(8), r.IntN(28))
		}
		for range 5 {
			got, ok := rec.Next(after)
			want, ok2 := whole.Next(after)
			if ok != ok2 || got != want {
				t.Fatalf("%s after %v: got %v, want %v", text, after, got, want)
			}
			if !ok {
				break
			}
			after = got.At
		}
	}
}

func TestMonthsAreDueOnTheirDay(t *testing.T) {
	for _, c := range []struct{ when, want string }{
		{"every 2 months on last business day at 18:00", "2026-01-30 18:00, 2026-03-31 18:00, 2026-05-29 18:00"},
		{"every 2 months on last business day at 18:00 from 2026-02", "2026-02-27 18:00, 2026-04-30 18:00, 2026-06-30 18:00"},
		{"every month on first business day of business at 09:30", "2026-01-02 09:30, 2026-02-02 09:30, 2026-03-02 09:30, 2026-04-01 09:30"},
		{"every 3 months on fifth friday", "2026-01-30 00:00, 2026-07-31 00:00, 2026-10-30 00:00"},
		{"every month on 31st day at 12:00", "2026-01-31 12:00, 2026-03-31 12:00"},
		{"every 12 months on last day at 23:59:59 from 2026-02", "2026-02-28 23:59, 2027-02-28 23:59, 2028-02-29 23:59"},
	} {
		table := bind(t, Schedule{When: c.when}, "2026-01-01", BusinessDays("business", holidays))
		var got []string
		for _, f := range fires(table.Trigger(), at(t, "2026-01-01"), strings.Count(c.want, ",")+1) {
			got = append(got, f.Format("2006-01-02 15:04"))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: got %q, want %q", c.when, text, c.want)
		}
		if again := mustParse(t, table.Trigger().String()); !Equal(again, table.Trigger()) {
			t.Errorf("%s is read back as %s", table.Trigger(), again)
		}
	}
	for _, c := range []struct{ when, want string }{
		{"every 0 months on last day", "want a number from 1 to 96"},
		{"every month", "want a day"},
		{"every month on zeroth day", "want first, 2nd"},
		{"every 12 months on 30th day from 2026-02", "never due"},
		{"every month on 32nd day", "want first, 2nd"},
		{"every month on last moonday", "want day, business day"},
		{"every month on last friday of business", "for business days only"},
		{"every month on last day at 24:00", "want a time of day"},
		{"every month on last day from May", "want a month"},
		{"every month on last day at 18:00 sharp", "want nothing more"},
	} {
		if _, err := Parse(c.when); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got error %v, want it to say %q", c.when, err, c.want)
		}
	}
	if _, err := (Schedule{When: "every month on last business day of moon"}).Bind(Binding{}); err == nil {
		t.Error("a calendar that nobody knows is accepted")
	}
}

func FuzzRecurrence(f *testing.F) {
	for _, s := range []string{"FREQ=DAILY", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;DTSTART=20260101T000000", "FREQ=HOURLY;INTERVAL=5;BYHOUR=9;DTSTART=20260101T090000", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU;BYSETPOS=-1;DTSTART=20260101", "FREQ=DAILY;COUNT=3;EXDATE=20260101;RDATE=20260105T010203"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecurrence(text, Local{Zone: "Europe/Berlin"})
		if err != nil || r.Validate() != nil {
			return
		}
		tr := r.anchored(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		after := time.Date(2026, 3, 28, 1, 2, 3, 0, time.UTC)
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
