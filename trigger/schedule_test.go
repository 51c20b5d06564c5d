package trigger

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func bind(t testing.TB, s Schedule, saved string, calendars ...Calendar) *Timetable {
	t.Helper()
	table, err := s.Bind(Binding{Cluster: "test", Trigger: "default/job", Saved: at(t, saved), Calendars: CalendarsOf(calendars...)})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// upcoming lists the first fires of a timetable after an instant.
func upcoming(t testing.TB, table *Timetable, after string, n int) string {
	t.Helper()
	var out []string
	for at := at(t, after); n > 0; n-- {
		fire, ok := table.Next(at)
		if !ok {
			break
		}
		out = append(out, fire.At.In(table.local.zone()).Format("01-02 15:04"))
		at = fire.At
	}
	return strings.Join(out, ", ")
}

var holidays = Calendar{Name: "holidays", Dates: []string{"12-25", "01-01", "2026-04-03..2026-04-06"}}

func TestAScheduleIsDueInItsTimeAndOnItsDays(t *testing.T) {
	business := BusinessDays("business", holidays)
	night := Blackout{From: "22:00", To: "06:00"}
	for _, c := range []struct {
		name  string
		s     Schedule
		after string
		want  string
	}{
		{"zone", Schedule{When: "0 9 * * *", Zone: "Asia/Tokyo"}, "2026-01-01", "01-02 09:00"},
		{"start", Schedule{When: "0 9 * * *", Start: at(t, "2026-02-01T09:00:00Z")}, "2026-01-01", "02-01 09:00, 02-02 09:00"},
		{"end", Schedule{When: "0 9 * * *", End: at(t, "2026-01-03T09:00:00Z")}, "2026-01-01", "01-01 09:00, 01-02 09:00"},
		{"rate from saving", Schedule{When: "every 90m"}, "2026-01-01", "01-01 01:30, 01-01 03:00"},
		{"rate from start", Schedule{When: "every 90m", Start: at(t, "2026-02-01T09:10:00Z")}, "2026-01-01", "02-01 09:10, 02-01 10:40"},
		{"rate by days", Schedule{When: "every 1d", Zone: "America/New_York", Start: at(t, "2026-03-07T14:00:00Z")}, "2026-01-01", "03-07 09:00, 03-08 09:00"},
		{"workflow", Schedule{When: "workflow nightly on 0 9 * * *", Zone: "America/New_York"}, "2026-01-01", "01-01 09:00"},
		{"after", Schedule{When: "after 10m"}, "2026-01-01", "01-01 00:10"},
		{"local", Schedule{When: "at 2026-03-08 02:30", Zone: "America/New_York"}, "2026-01-01", "03-08 03:30"},
		{"delay from start", Schedule{When: "delay 10m", Start: at(t, "2026-02-01T09:00:00Z")}, "2026-01-01", "02-01 09:00, 02-01 09:10"},
		{"only", Schedule{When: "0 9 * * *", Only: []string{"business"}}, "2026-04-01T12:00:00Z", "04-02 09:00, 04-07 09:00, 04-08 09:00"},
		{"except", Schedule{When: "0 9 * * *", Except: []string{"holidays"}}, "2025-12-24T12:00:00Z", "12-26 09:00"},
		{"next", Schedule{When: "0 9 1 * *", Only: []string{"business"}, Excluded: ExcludedNext}, "2026-01-01", "01-02 09:00, 02-02 09:00, 03-02 09:00, 04-01 09:00"},
		{"previous", Schedule{When: "0 9 1 * *", Only: []string{"business"}, Excluded: ExcludedPrevious}, "2026-01-01", "01-30 09:00, 02-27 09:00, 04-01 09:00"},
		{"previous merges", Schedule{When: "0 9 * * *", Only: []string{"business"}, Excluded: ExcludedPrevious}, "2026-04-01T12:00:00Z", "04-02 09:00, 04-07 09:00"},
		{"moved in order", Schedule{When: "0 9,18 * * sat,mon", Only: []string{"business"}, Excluded: ExcludedNext}, "2026-01-09", "01-12 09:00, 01-12 18:00, 01-19 09:00"},
		{"dropped", Schedule{When: "0 */8 * * *", Blackout: []Blackout{night}}, "2026-01-01", "01-01 08:00, 01-01 16:00, 01-02 08:00"},
		{"deferred", Schedule{When: "0 */8 * * *", Blackout: []Blackout{{From: "22:00", To: "06:00", Defer: true}}}, "2026-01-01T12:00:00Z", "01-01 16:00, 01-02 06:00, 01-02 08:00"},
		{"deferred from within", Schedule{When: "0 */8 * * *", Blackout: []Blackout{{From: "22:00", To: "06:00", Defer: true}}}, "2026-01-02T03:00:00Z", "01-02 06:00, 01-02 08:00"},
		{"deferred onto one that is due", Schedule{When: "0 */2 * * *", Blackout: []Blackout{{From: "22:00", To: "06:00", Defer: true}}}, "2026-01-02T03:00:00Z", "01-02 06:00, 01-02 08:00"},
		{"several blackouts", Schedule{When: "0 * * * *", Blackout: []Blackout{night, {From: "06:00", To: "09:00"}, {Start: at(t, "2026-01-01T08:00:00Z"), End: at(t, "2026-01-01T23:00:00Z")}}}, "2026-01-01", "01-02 09:00, 01-02 10:00"},
		{"blackout on days", Schedule{When: "0 23 * * *", Blackout: []Blackout{{From: "22:00", To: "06:00", Days: "mon-fri"}}}, "2026-01-01", "01-03 23:00, 01-04 23:00, 01-10 23:00"},
		{"one of two that end together defers", Schedule{When: "30 1-6 * * *", Blackout: []Blackout{{From: "04:00", To: "05:00"}, {From: "17:00", To: "05:00", Defer: true}}}, "2026-01-01T04:00:00Z", "01-01 05:00, 01-01 05:30, 01-01 06:30, 01-02 05:00"},
		{"blackout for good", Schedule{When: "0 23 * * *", Blackout: []Blackout{night}}, "2026-01-01", ""},
	} {
		got := upcoming(t, bind(t, c.s, "2026-01-01", holidays, business), c.after, max(1, strings.Count(c.want, ",")+1))
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBadSchedulesAreRefusedByFieldValueAndRemedy(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		want string
	}{
		{Schedule{}, "When: empty"},
		{Schedule{When: "0 0 31 2 *"}, "never due"},
		{Schedule{When: "0 0 1 1 ? 2020"}, `month "?"`},
		{Schedule{When: "0 0 0 1 1 ? 2020"}, `never due within eight years of 2026-01-01`},
		{Schedule{When: "0 0 0 1 1 ? 2040"}, "never due within eight years"},
		{Schedule{When: "0 0 0 1 1 ? 1950"}, `year "1950"`},
		{Schedule{When: "every 0s"}, "want whole seconds"},
		{Schedule{When: "0 0 * * *", Zone: "Europe/Atlantis"}, `Zone "Europe/Atlantis": want a name of the IANA`},
		{Schedule{When: "TZ=Europe/Rome 0 0 * * *", Zone: "Europe/Berlin"}, `Zone "Europe/Berlin": When says "Europe/Rome"`},
		{Schedule{When: "0 0 * * *", Start: at(t, "2027-01-01"), End: at(t, "2026-12-31")}, "End 2026-12-31T00:00:00Z: want it after Start 2027-01-01T00:00:00Z"},
		{Schedule{When: "0 0 * * *", Start: at(t, "2026-06-01T01:00:00Z"), End: at(t, "2026-06-01T02:00:00Z")}, "before End 2026-06-01"},
		{Schedule{When: "0 0 * * *", End: at(t, "2120-01-01")}, "End: year 2120: want one from 1970 to 2099"},
		{Schedule{When: "0 0 * * *", Jitter: -1}, "Jitter -1ns: want a duration"},
		{Schedule{When: "0 0 * * *", MaxRuns: -1}, "MaxRuns -1"},
		{Schedule{When: "0 0 * * *", Overlap: "maybe"}, `Overlap "maybe": want one of skip, queue-one`},
		{Schedule{When: "0 0 * * *", Misfire: "maybe"}, `Misfire "maybe"`},
		{Schedule{When: "0 0 * * *", OnResume: "maybe"}, `OnResume "maybe"`},
		{Schedule{When: "0 0 * * *", Excluded: "maybe"}, `Excluded "maybe"`},
		{Schedule{When: "0 0 * * *", Gap: "maybe"}, `Gap "maybe"`},
		{Schedule{When: "0 0 * * *", Twice: "maybe"}, `Twice "maybe"`},
		{Schedule{When: "0 0 * * *", OverlapKey: "data."}, "OverlapKey: expression"},
		{Schedule{When: "0 0 * * *", MisfireLimit: 5000}, "MisfireLimit 5000"},
		{Schedule{When: "0 0 * * *", Only: []string{"moon"}}, `calendar "moon": want the name of one that exists`},
		{Schedule{When: "0 0 * * *", Excluded: ExcludedNext}, "calendars in Only or Except"},
		{Schedule{When: "0 0 * * sun", Only: []string{"business"}}, "never due"},
		{Schedule{When: "0 23 * * *", Blackout: []Blackout{{From: "22:00", To: "06:00"}}}, "never due"},
		{Schedule{When: "0 0 * * *", Blackout: []Blackout{{}}}, "Blackout[0]: want either Start and End"},
		{Schedule{When: "0 0 * * *", Blackout: []Blackout{{From: "22:00", To: "soon"}}}, `time of day "soon"`},
		{Schedule{When: "0 0 * * *", Blackout: []Blackout{{From: "00:00", To: "24:00"}}}, "less than every day's whole"},
		{Schedule{When: "0 0 * * *", Blackout: []Blackout{{Start: at(t, "2026-01-02"), End: at(t, "2026-01-01")}}}, "want it after Start"},
		{Schedule{When: "0 0 * * *", Blackout: []Blackout{{From: "22:00", To: "23:00", Days: "funday"}}}, "want names"},
	} {
		err := c.s.Validate(at(t, "2026-01-01"), CalendarsOf(BusinessDays("business", holidays)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%+v: got error %v, want it to say %q", c.s, err, c.want)
		}
	}
	for _, ok := range []Schedule{
		{When: "0 0 29 2 *"},
		{When: "at 2020-01-01T00:00:00Z"}, // late, which misfires are for
		{When: "manual"},
		{When: "delay 5m"},
		{When: "0 0 0 1 1 ? 2033"},
	} {
		if err := ok.Validate(at(t, "2026-01-01"), nil); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
}

func TestJitterIsTheSameEverywhereAndLessThanTheGap(t *testing.T) {
	s := Schedule{When: "*/5 * * * *", Jitter: time.Hour}
	a, b := bind(t, s, "2026-01-01"), bind(t, s, "2026-06-01")
	s.When = "*/5 * * * *"
	other, _ := s.Bind(Binding{Cluster: "test", Trigger: "default/other"})
	differ, spread := 0, map[int]bool{}
	for at := at(t, "2026-01-01"); len(spread) < 5 && differ < 1000; differ++ {
		fire, _ := a.Next(at)
		at = fire.At
		start := a.Start(at)
		if !start.Equal(b.Start(at)) {
			t.Fatalf("%v starts at %v, and at %v", at, start, b.Start(at))
		}
		if wait := start.Sub(at); wait < 0 || wait >= 5*time.Minute {
			t.Fatalf("%v starts %v later, want less than the 5m to the next", at, wait)
		}
		if !start.Equal(other.Start(at)) {
			spread[int(start.Sub(at)/time.Minute)] = true
		}
	}
	if len(spread) < 5 {
		t.Errorf("got waits of %v minutes, want all from 0 to 4", spread)
	}
}

func TestABoundTriggerNeedsNoMomentOfSaving(t *testing.T) {
	for _, when := range []string{"after 10m", "every 5m", "at 2026-03-08 02:30", "H * * * *"} {
		table := bind(t, Schedule{When: when, Zone: "America/New_York"}, "2026-01-01T00:00:07Z")
		again, err := Parse(table.Trigger().String())
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := again.(interface{ named(string) (Trigger, error) }); ok {
			again, _ = n.named("default/job")
		}
		after := at(t, "2026-01-01T00:00:07Z")
		if got, want := fires(again, after, 3), fires(table.Trigger(), after, 3); len(want) == 0 || !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("%s became %s: got %v, want %v", when, again, got, want)
		}
	}
}

func TestASchedulesTextIsReadBack(t *testing.T) {
	s := Schedule{
		When: "0 9 * * *", Zone: "Europe/Berlin", Start: at(t, "2026-02-01"), MaxRuns: 5, Overlap: OverlapQueueOne,
		Blackout: []Blackout{{From: "22:00", To: "06:00", Defer: true}}, Only: []string{"business"}, CatchUp: time.Hour,
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Schedule
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("%s is read back as %+v, %v", text, again, err)
	}
	if short, _ := json.Marshal(Schedule{When: "manual"}); string(short) != `{"when":"manual"}` {
		t.Errorf("got %s, want no more than what was said", short)
	}
}

func TestMovedFiresAreThoseThatAMoveOfEachGives(t *testing.T) {
	r := seeded(t)
	for range 60 {
		off := Calendar{Name: "off", Days: []string{"sat-sun", "mon,wed,fri", "sun"}[r.IntN(3)]}
		for range r.IntN(20) {
			off.Dates = append(off.Dates, at(t, "2026-01-01").AddDate(0, 0, r.IntN(90)).Format(time.DateOnly))
		}
		s := Schedule{
			When: []string{"30 9,18 * * *", "0 12 * * sun,wed", "30 2 1-7 * *", "daily 08:00-10:00 every 50m"}[r.IntN(4)],
			Zone: representative[r.IntN(len(representative))], Except: []string{"off"}, Excluded: []Excluded{ExcludedNext, ExcludedPrevious}[r.IntN(2)],
		}
		table := bind(t, s, "2026-01-01", off)
		from, until := at(t, "2026-02-01"), at(t, "2026-03-20")
		by := 1
		if s.Excluded == ExcludedPrevious {
			by = -1
		}
		z := table.local.zone()
		var want []time.Time
		for _, f := range fires(table.trigger, at(t, "2026-01-10"), 2000) {
			reading := wallIn(f, z)
			day := midnight(reading)
			for off.Has(day) {
				day = day.AddDate(0, 0, by)
			}
			if !day.Equal(midnight(reading)) {
				f = table.local.instant(day.Add(reading.Sub(midnight(reading)))).At
			}
			if f.After(from) && !f.After(until) {
				want = append(want, f)
			}
		}
		want = settle(want)
		var got []time.Time
		for after := from; ; {
			fire, ok := table.Next(after)
			if !ok || fire.At.After(until) {
				break
			}
			got = append(got, fire.At)
			after = fire.At
		}
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%+v, off on %+v: got %v, want %v", s, off, got, want)
		}
	}
}
