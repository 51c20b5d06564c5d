package trigger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// story writes a decision in short.
func story(d Decision) string {
	var out []string
	for _, r := range d.Runs {
		text := string(r.Reason) + " " + r.Nominal.Format("02 15:04:05")
		if r.Missed > 0 {
			text += fmt.Sprintf(" for %d", r.Missed)
		}
		out = append(out, text)
	}
	for _, s := range d.Skipped {
		text := fmt.Sprintf("skip %d %s", s.Count, s.Cause)
		if s.AtLeast {
			text += " or more"
		}
		out = append(out, text)
	}
	if d.Ended {
		out = append(out, "ended")
	}
	if d.More {
		out = append(out, "more")
	}
	if !d.Wake.IsZero() {
		out = append(out, "wake "+d.Wake.Format("02 15:04:05"))
	}
	return strings.Join(out, "; ")
}

func TestDecideSettlesEveryFire(t *testing.T) {
	hourly := func(s Schedule) Schedule { s.When = "0 * * * *"; return s }
	for _, c := range []struct {
		name        string
		s           Schedule
		state       State
		cursor, now string
		want        string
	}{
		{"nothing yet", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z", "wake 01 01:00:00"},
		{"on time", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "fire 01 01:00:00; wake 01 02:00:00"},
		{"a little late", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T01:01:00Z", "fire 01 01:00:00; wake 01 02:00:00"},
		{"missed one", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T01:01:01Z", "catchup 01 01:00:00 for 1; wake 01 02:00:00"},
		{"missed some", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z", "catchup 01 03:00:00 for 3; skip 2 misfire; wake 01 04:00:00"},
		{"missed some, skip", hourly(Schedule{Misfire: MisfireSkip}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z", "skip 3 misfire; wake 01 04:00:00"},
		{"missed some, all", hourly(Schedule{Misfire: MisfireAll}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z", "catchup 01 01:00:00; catchup 01 02:00:00; catchup 01 03:00:00; wake 01 04:00:00"},
		{"missed too many", hourly(Schedule{Misfire: MisfireAll, MisfireLimit: 2}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T05:30:00Z", "catchup 01 01:00:00; catchup 01 02:00:00; skip 3 buffer; wake 01 06:00:00"},
		{"missed and on time", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T03:00:10Z", "catchup 01 02:00:00 for 2; fire 01 03:00:00; skip 1 misfire; wake 01 04:00:00"},
		{"expired", hourly(Schedule{}), State{}, "2026-01-01T00:00:00Z", "2026-01-03T00:30:00Z", "catchup 03 00:00:00 for 24; skip 24 expired; skip 23 misfire; wake 03 01:00:00"},
		{"clock put back", hourly(Schedule{}), State{}, "2026-01-01T05:00:00Z", "2026-01-01T03:30:00Z", "wake 01 06:00:00"},
		{"paused", hourly(Schedule{}), State{PausedAt: at(t, "2026-01-01T01:30:00Z")}, "2026-01-01T01:30:00Z", "2026-01-01T05:30:00Z", ""},
		{"resumed", hourly(Schedule{}), State{PausedAt: at(t, "2026-01-01T01:30:00Z"), ResumedAt: at(t, "2026-01-01T05:30:00Z")}, "2026-01-01T01:30:00Z", "2026-01-01T05:30:00Z", "skip 4 paused; wake 01 06:00:00"},
		{"resumed, one", hourly(Schedule{OnResume: MisfireOne}), State{PausedAt: at(t, "2026-01-01T01:30:00Z"), ResumedAt: at(t, "2026-01-01T05:30:00Z")}, "2026-01-01T01:30:00Z", "2026-01-01T05:30:00Z", "catchup 01 05:00:00 for 4; skip 3 paused; wake 01 06:00:00"},
		{"resumed, all", hourly(Schedule{OnResume: MisfireAll}), State{PausedAt: at(t, "2026-01-01T01:30:00Z"), ResumedAt: at(t, "2026-01-01T03:30:00Z")}, "2026-01-01T01:30:00Z", "2026-01-01T03:30:00Z", "catchup 01 02:00:00; catchup 01 03:00:00; wake 01 04:00:00"},
		{"missed before a pause", hourly(Schedule{}), State{PausedAt: at(t, "2026-01-01T02:30:00Z"), ResumedAt: at(t, "2026-01-01T03:30:00Z")}, "2026-01-01T00:00:00Z", "2026-01-01T04:30:00Z", "catchup 01 02:00:00 for 2; catchup 01 04:00:00 for 1; skip 1 misfire; skip 1 paused; wake 01 05:00:00"},
		{"last run", hourly(Schedule{MaxRuns: 3}), State{Runs: 2}, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "fire 01 01:00:00; ended"},
		{"no run left", hourly(Schedule{MaxRuns: 3}), State{Runs: 3}, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "ended"},
		{"end", hourly(Schedule{End: at(t, "2026-01-01T01:30:00Z")}), State{}, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "fire 01 01:00:00; ended"},
		{"blackout", hourly(Schedule{Blackout: []Blackout{{From: "01:00", To: "03:00"}}}), State{}, "2026-01-01T00:30:00Z", "2026-01-01T03:00:00Z", "fire 01 03:00:00; skip 2 blackout; wake 01 04:00:00"},
		{"deferred", hourly(Schedule{Blackout: []Blackout{{From: "01:00", To: "03:30", Defer: true}}}), State{}, "2026-01-01T00:30:00Z", "2026-01-01T03:30:00Z", "fire 01 03:30:00; skip 3 blackout; wake 01 04:00:00"},
		{"once, late", Schedule{When: "at 2026-01-01T01:00:00Z"}, State{}, "2026-01-01T00:30:00Z", "2026-01-01T05:00:00Z", "catchup 01 01:00:00 for 1; ended"},
		{"once, too late", Schedule{When: "at 2026-01-01T01:00:00Z"}, State{}, "2026-01-01T00:30:00Z", "2026-01-05T05:00:00Z", "skip 1 expired; ended"},
		{"by the second, a year", Schedule{When: "every 1s"}, State{}, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "fire 31 23:59:58; fire 31 23:59:59; fire 01 00:00:00; skip 31535997 expired; wake 01 00:00:01"},
		{"cron of seconds, a year", Schedule{When: "* * * * * *", Misfire: MisfireOne, Threshold: time.Second}, State{}, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "catchup 31 23:59:58 for 86399; fire 31 23:59:59; fire 01 00:00:00; skip 31449599 expired; skip 86398 misfire; wake 01 00:00:01"},
		{"the same with a blackout", Schedule{When: "* * * * * *", Threshold: time.Second, Misfire: MisfireSkip, Blackout: []Blackout{{From: "12:00", To: "13:00"}}}, State{}, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "fire 31 23:59:59; fire 01 00:00:00; skip 30139199 expired; skip 82799 misfire; skip 1314000 blackout; wake 01 00:00:01"},
		{"manual", Schedule{When: "manual"}, State{}, "2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z", ""},
		{"delay, waiting", Schedule{When: "delay 10m"}, State{EndedAt: at(t, "2026-01-01T03:00:00Z")}, "2026-01-01T02:00:00Z", "2026-01-01T03:05:00Z", "wake 01 03:10:00"},
		{"delay, running", Schedule{When: "delay 10m"}, State{Running: true, EndedAt: at(t, "2026-01-01T03:00:00Z")}, "2026-01-01T02:00:00Z", "2026-01-01T05:00:00Z", ""},
		{"delay, due", Schedule{When: "delay 10m"}, State{EndedAt: at(t, "2026-01-01T03:00:00Z")}, "2026-01-01T02:00:00Z", "2026-01-01T03:10:00Z", "fire 01 03:10:00"},
		{"delay, late", Schedule{When: "delay 10m"}, State{EndedAt: at(t, "2026-01-01T03:00:00Z")}, "2026-01-01T02:00:00Z", "2026-01-02T03:10:00Z", "catchup 01 03:10:00"},
		{"delay, first", Schedule{When: "delay 10m"}, State{}, "2026-01-01T02:00:00Z", "2026-01-01T02:10:00Z", "fire 01 02:10:00"},
		{"delay, resumed", Schedule{When: "delay 10m"}, State{EndedAt: at(t, "2026-01-01T03:00:00Z"), PausedAt: at(t, "2026-01-01T03:05:00Z"), ResumedAt: at(t, "2026-01-01T04:00:00Z")}, "2026-01-01T02:00:00Z", "2026-01-01T04:00:00Z", "skip 1 paused; wake 01 04:10:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.state.Cursor = at(t, c.cursor)
			d := bind(t, c.s, "2026-01-01").Decide(c.state, at(t, c.now))
			if got := story(d); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if d.Cursor.Before(c.state.Cursor) {
				t.Errorf("the cursor went from %v back to %v", c.state.Cursor, d.Cursor)
			}
		})
	}
}

func TestDecideIsDoneInPartsIfThereIsTooMuch(t *testing.T) {
	table := bind(t, Schedule{When: "every 1s", Threshold: time.Hour}, "2026-01-01")
	state, now := State{Cursor: at(t, "2026-01-01")}, at(t, "2026-01-01T00:45:00Z")
	seen, parts := map[time.Time]bool{}, 0
	for more := true; more; parts++ {
		d := table.Decide(state, now)
		for _, r := range d.Runs {
			if seen[r.Nominal] {
				t.Fatalf("%v fires twice", r.Nominal)
			}
			seen[r.Nominal] = true
		}
		state.Cursor, more = d.Cursor, d.More
	}
	if len(seen) != 45*60 || parts != 3 {
		t.Errorf("got %d fires in %d parts, want %d in 3", len(seen), parts, 45*60)
	}
}

func TestEveryFireIsARunOrASkipHoweverOftenSomebodyLooks(t *testing.T) {
	r := seeded(t)
	rounds := 300
	if long {
		rounds = 10_000
	}
	for range rounds {
		s := Schedule{When: "*/7 * * * *", Zone: "Europe/Berlin", Misfire: []Misfire{"", MisfireSkip, MisfireAll}[r.IntN(3)], OnResume: []Misfire{"", MisfireOne, MisfireAll}[r.IntN(3)], MisfireLimit: 5, CatchUp: 3 * time.Hour}
		if r.IntN(2) == 0 {
			s.Blackout = []Blackout{{From: "04:00", To: "06:30", Defer: r.IntN(2) == 0}, {From: "06:00", To: []string{"06:30", "07:00"}[r.IntN(2)], Defer: r.IntN(2) == 0}}
		}
		if r.IntN(3) == 0 {
			s.Jitter = 5 * time.Minute
		}
		saved := "2026-10-24T12:00:00Z"
		table := bind(t, s, saved)
		state := State{Cursor: at(t, saved)}
		now := state.Cursor
		runs, skips, seen := 0, 0, map[time.Time]bool{}
		for range 40 {
			now = now.Add(time.Duration(r.Int64N(int64(6*time.Hour)) / int64(1+r.IntN(100))))
			switch r.IntN(6) {
			case 0:
				if state.ResumedAt.Before(state.PausedAt) {
					state.ResumedAt = now
				} else {
					state.PausedAt = now
				}
			case 1: // the clock is put back
				now = now.Add(-time.Duration(r.Int64N(int64(time.Hour))))
				continue
			}
			d := table.Decide(state, now)
			for _, run := range d.Runs {
				if seen[run.Nominal] || !run.Nominal.After(state.Cursor) || run.Nominal.After(d.Cursor) || run.Start.Before(run.Nominal) {
					t.Fatalf("%+v after %v: run %+v", s, state.Cursor, run)
				}
				seen[run.Nominal] = true
			}
			runs += len(d.Runs)
			for _, skip := range d.Skipped {
				if skip.Cause != CauseBlackout {
					skips += skip.Count
				}
			}
			state.Cursor = d.Cursor
		}
		want := 0
		for after := at(t, saved); ; want++ {
			fire, _ := table.Next(after)
			if fire.At.After(state.Cursor) {
				break
			}
			after = fire.At
		}
		if runs+skips != want {
			t.Fatalf("%+v: %d runs and %d skips, want %d in all", s, runs, skips, want)
		}
	}
}

func TestTallyAndLastAgreeWithNext(t *testing.T) {
	r := seeded(t)
	rounds := 60
	if long {
		rounds = 5000
	}
	for range rounds {
		when := []string{"*/7 * * * *", "every 45s", "every 13m", "every 1d", "daily 01:00-03:00 every 10m", "30 1-4 * * *"}[r.IntN(6)]
		s := Schedule{When: when, Zone: representative[r.IntN(len(representative))]}
		if when == "every 45s" {
			s.Zone = ""
		}
		for range r.IntN(3) {
			from, to := r.IntN(24), r.IntN(24)
			if from == to {
				continue
			}
			s.Blackout = append(s.Blackout, Blackout{From: clock(time.Duration(from) * time.Hour), To: clock(time.Duration(to) * time.Hour), Defer: r.IntN(2) == 0, Days: []string{"", "mon-fri"}[r.IntN(2)]})
		}
		table := bind(t, s, "2026-01-01")
		from := at(t, "2026-01-01").Add(time.Duration(r.Int64N(int64(360 * 24 * time.Hour)))).Truncate(time.Second)
		until := from.Add(time.Duration(r.Int64N(int64(3 * 24 * time.Hour)))).Truncate(time.Second)
		var all []time.Time
		for after := from; ; {
			fire, ok := table.Next(after)
			if !ok || fire.At.After(until) {
				break
			}
			all = append(all, fire.At)
			after = fire.At
		}
		if sum := table.tally(from, until); sum.due != len(all) || sum.atLeast {
			t.Fatalf("%+v from %v to %v: tally %+v, want %d", s, from, until, sum, len(all))
		}
		last, ok := table.last(from, until)
		if ok != (len(all) > 0) || ok && !last.At.Equal(all[len(all)-1]) {
			t.Fatalf("%+v from %v to %v: last %v, want that of %v", s, from, until, last.At, all)
		}
	}
}

func TestBackfillMakesTheRunsOfARange(t *testing.T) {
	table := bind(t, Schedule{When: "0 * * * *", Blackout: []Blackout{{From: "02:00", To: "03:00"}}}, "2026-01-01")
	var got []string
	runs, rest := table.Backfill(at(t, "2025-06-01"), at(t, "2025-06-01T05:00:00Z"), 3)
	for !rest.IsZero() {
		var more []Due
		more, rest = table.Backfill(rest, at(t, "2025-06-01T05:00:00Z"), 3)
		runs = append(runs, more...)
	}
	for _, r := range runs {
		got = append(got, r.Nominal.Format("15:04 ")+string(r.Reason))
	}
	if want := []string{"00:00 backfill", "01:00 backfill", "03:00 backfill", "04:00 backfill"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func BenchmarkDecideAfterAYear(b *testing.B) {
	for _, when := range []string{"every 1s", "* * * * * *", "*/5 * * * *", "30 2 * * *"} {
		b.Run(when, func(b *testing.B) {
			table := bind(b, Schedule{When: when, Zone: "Europe/Berlin"}, "2026-01-01")
			if when == "every 1s" {
				table = bind(b, Schedule{When: when}, "2026-01-01")
			}
			state, now := State{Cursor: at(b, "2026-01-01")}, at(b, "2027-01-01")
			for b.Loop() {
				if d := table.Decide(state, now); !d.Cursor.Equal(now) {
					b.Fatalf("got cursor %v", d.Cursor)
				}
			}
		})
	}
}

func BenchmarkDecideOnTime(b *testing.B) {
	for _, s := range []Schedule{{When: "every 10s"}, {When: "*/5 * * * *", Zone: "Europe/Berlin"}, {When: "*/5 * * * *", Zone: "Europe/Berlin", Blackout: []Blackout{{From: "22:00", To: "06:00"}}}} {
		b.Run(fmt.Sprintf("%s %s %d", s.When, s.Zone, len(s.Blackout)), func(b *testing.B) {
			table := bind(b, s, "2026-01-01")
			state := State{Cursor: at(b, "2026-01-01")}
			for b.Loop() {
				fire, _ := table.Next(state.Cursor)
				d := table.Decide(state, fire.At.Add(time.Second))
				if len(d.Runs) != 1 {
					b.Fatalf("got %d runs", len(d.Runs))
				}
				state.Cursor = d.Cursor
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	for _, text := range []string{"every 10s", "*/5 * * * *", "30 2 * * mon-fri", "0 0 29 2 *", "daily 09:00-17:00 every 15m"} {
		b.Run(text, func(b *testing.B) {
			if !strings.HasPrefix(text, "every") {
				text = "TZ=Europe/Berlin " + text
			}
			tr, after := mustParse(b, text), at(b, "2026-01-01")
			for b.Loop() {
				fire, ok := tr.Next(after)
				if !ok || !fire.At.After(after) {
					b.Fatal(fire)
				}
				if after = fire.At; after.Year() > 2090 {
					after = at(b, "2026-01-01")
				}
			}
		})
	}
}
