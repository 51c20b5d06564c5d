package trigger

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestACalendarHasItsDays(t *testing.T) {
	business := BusinessDays("business", holidays)
	for _, c := range []struct {
		calendar Calendar
		day      string
		want     bool
	}{
		{holidays, "2026-12-25", true},
		{holidays, "2031-12-25", true},
		{holidays, "2026-12-24", false},
		{holidays, "2026-04-03", true},
		{holidays, "2026-04-06", true},
		{holidays, "2026-04-07", false},
		{holidays, "2027-04-06", false},
		{business, "2026-12-24", true},
		{business, "2026-12-25", false},
		{business, "2026-12-26", false},
		{Calendar{}, "2026-12-26", true},
		{Calendar{Without: []string{"02-29"}}, "2028-02-29", false},
		{Calendar{Days: "sat", Dates: []string{"2026-12-25"}}, "2026-12-25", true},
		{Calendar{Days: "sat", Dates: []string{"2026-12-25"}}, "2026-12-26", true},
		{Calendar{Days: "sat", Dates: []string{"2026-12-25"}}, "2026-12-27", false},
		{Calendar{Days: "funday"}, "2026-12-27", false},
	} {
		if got := c.calendar.Has(at(t, c.day)); got != c.want {
			t.Errorf("%+v has %s: got %v, want %v", c.calendar, c.day, got, c.want)
		}
	}
	for _, c := range []struct {
		calendar Calendar
		want     string
	}{
		{Calendar{Name: "x", Dates: []string{"2026-02-30"}}, `trigger: calendar "x": date "2026-02-30": want one as in`},
		{Calendar{Name: "x", Without: []string{"2026-02-03..2026-02-01"}}, "want one as in"},
		{Calendar{Name: "x", Days: "funday"}, `in calendar "x"`},
		{Calendar{Name: "x", Dates: []string{"1000-01-01..2026-02-01"}}, "want at most"},
	} {
		if err := c.calendar.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got error %v, want it to say %q", c.calendar, err, c.want)
		}
	}
}

// ics is a file with the given events.
func ics(events ...string) string {
	text := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n"
	for _, e := range events {
		text += "BEGIN:VEVENT\r\n" + strings.ReplaceAll(e, "|", "\r\n") + "\r\nEND:VEVENT\r\n"
	}
	return text + "END:VCALENDAR\r\n"
}

func TestHolidaysAreImported(t *testing.T) {
	for _, c := range []struct {
		name, event string
		want        []string
	}{
		{"a day", "DTSTART;VALUE=DATE:20260403|SUMMARY:Good\\, Friday", []string{"2026-04-03"}},
		{"with its end", "DTSTART;VALUE=DATE:20260403|DTEND;VALUE=DATE:20260404", []string{"2026-04-03"}},
		{"several days", "DTSTART;VALUE=DATE:20260403|DTEND;VALUE=DATE:20260407", []string{"2026-04-03..2026-04-06"}},
		{"by duration", "DTSTART;VALUE=DATE:20260403|DURATION:P1W", []string{"2026-04-03..2026-04-09"}},
		{"over midnight", "DTSTART;TZID=\"Europe/Berlin:x\":20260403T220000|DTEND;TZID=Europe/Berlin:20260404T020000", []string{"2026-04-03..2026-04-04"}},
		{"up to midnight", "DTSTART:20260403T220000Z|DURATION:PT2H", []string{"2026-04-03"}},
		{"each year", "DTSTART;VALUE=DATE:20201225|RRULE:FREQ=YEARLY", []string{"2026-12-25", "2027-12-25"}},
		{"each year until", "DTSTART;VALUE=DATE:20201225|RRULE:FREQ=YEARLY;UNTIL=20270101", []string{"2026-12-25"}},
		{"by a rule, without one", "DTSTART;VALUE=DATE:20200525|RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO|EXDATE;VALUE=DATE:20270531", []string{"2026-05-25"}},
		{"dates", "DTSTART;VALUE=DATE:20260101|RDATE;VALUE=DATE:20260401,20260501", []string{"2026-01-01", "2026-04-01", "2026-05-01"}},
		{"folded", "DTSTART;VALUE=DATE:2026|  0403", nil},
		{"cancelled", "DTSTART;VALUE=DATE:20260403|STATUS:CANCELLED", nil},
		{"long ago", "DTSTART;VALUE=DATE:20100403", nil},
		{"begun before", "DTSTART;VALUE=DATE:20251230|DTEND;VALUE=DATE:20260103", []string{"2026-01-01..2026-01-02"}},
	} {
		text := ics(strings.ReplaceAll(c.event, "|  ", "| "))
		if c.name == "folded" {
			c.want = []string{"2026-04-03"}
		}
		got, err := ImportICS("holidays", text, at(t, "2026-01-01"), at(t, "2027-12-31"))
		if err != nil || !slices.Equal(got.Dates, c.want) || got.Name != "holidays" || got.Validate() != nil {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestBadHolidaysAreRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "at least one event"},
		{"hello", "at least one event"},
		{"BEGIN:VEVENT\nDTSTART:20260101", "at least one event"},
		{ics("SUMMARY:x"), "without DTSTART"},
		{ics("DTSTART:20260231"), "want a local time"},
		{ics("DTSTART:21500101"), "year 2150"},
		{ics("DTSTART:20260102|DTEND:20260101"), "ends after it starts"},
		{ics("DTSTART:19700102|DTEND:20260101"), "within 3660 days"},
		{ics("DTSTART:20260102|DURATION:1D"), "want one as in P1D"},
		{ics("DTSTART:20260102|RRULE:FREQ=SECONDLY"), "want one of YEARLY"},
		{ics("DTSTART:20260102|RRULE:FREQ=HOURLY"), "want one by the day"},
		{ics("BEGIN:VEVENT|DTSTART:20260102"), "inside of another"},
		{strings.Repeat("x", maxICS+1), "want at most"},
	} {
		_, err := ImportICS("x", c.text, at(t, "2026-01-01"), at(t, "2027-12-31"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%.40q: got error %v, want it to say %q", c.text, err, c.want)
		}
	}
}

func FuzzICS(f *testing.F) {
	f.Add(ics("DTSTART;VALUE=DATE:20201225|RRULE:FREQ=YEARLY|EXDATE:20261225"))
	f.Add(ics("DTSTART:20260403T220000Z|DURATION:P1DT2H|RDATE:20260501T000000Z/PT1H"))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ImportICS("x", text, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC))
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("%q gives a calendar that is refused: %v", text, err)
		}
		for _, d := range c.Dates {
			if !strings.HasPrefix(d, "2026-") {
				t.Fatalf("%q has %s, which nobody asked for", text, d)
			}
		}
	})
}
