package trigger_test

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/trigger"
)

func ExampleParse() {
	t, err := trigger.Parse("TZ=America/New_York 30 2 * * *")
	if err != nil {
		fmt.Println(err)
		return
	}
	after := time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)
	for range 2 {
		fire, _ := t.Next(after)
		fmt.Println(fire.At.Format(time.RFC3339), fire.Note&trigger.Shifted != 0)
		after = fire.At
	}
	fmt.Println(trigger.Describe(t))

	_, err = trigger.Parse("0 0 31 2 *")
	fmt.Println(err)
	// Output:
	// 2026-03-08T07:30:00Z true
	// 2026-03-09T06:30:00Z false
	// at 02:30, every day, America/New_York time
	// trigger: cron "0 0 31 2 *": never due: want a day that some month has
}

func ExampleSchedule() {
	s := trigger.Schedule{
		When:     "0 9 * * *",
		Zone:     "Europe/Berlin",
		Only:     []string{"business"},
		Blackout: []trigger.Blackout{{From: "08:00", To: "10:00", Days: "mon", Defer: true}},
	}
	saved := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	easter := trigger.Calendar{Name: "holidays", Dates: []string{"2026-04-03", "2026-04-06"}}
	calendars := trigger.CalendarsOf(trigger.BusinessDays("business", easter))
	if err := s.Validate(saved, calendars); err != nil {
		fmt.Println(err)
		return
	}
	t, _ := s.Bind(trigger.Binding{Cluster: "prod", Trigger: "reports/daily", Saved: saved, Calendars: calendars})
	for _, u := range t.Preview(saved, 6) {
		fmt.Println(u.Local, u.Notes)
	}
	// Output:
	// 2026-04-02T09:00:00+02:00 []
	// 2026-04-07T09:00:00+02:00 []
	// 2026-04-08T09:00:00+02:00 []
	// 2026-04-09T09:00:00+02:00 []
	// 2026-04-10T09:00:00+02:00 []
	// 2026-04-13T10:00:00+02:00 [blackout: put off until its end, in place of 1 before]
}

func ExampleTimetable_Decide() {
	saved := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	t, _ := trigger.Schedule{When: "0 * * * *"}.Bind(trigger.Binding{Saved: saved})

	// Nobody looked for three and a half hours.
	d := t.Decide(trigger.State{Cursor: saved}, saved.Add(210*time.Minute))
	for _, run := range d.Runs {
		fmt.Println(run.Nominal.Format("15:04"), run.Reason, "for", run.Missed)
	}
	for _, s := range d.Skipped {
		fmt.Println("skipped", s.Count, s.Cause)
	}
	fmt.Println("wake at", d.Wake.Format("15:04"))
	// Output:
	// 03:00 catchup for 3
	// skipped 2 misfire
	// wake at 04:00
}

func ExampleEvent_Step() {
	t, _ := trigger.Parse(`event order.paid where "data.amount > 100" debounce(data.customer, 5s, 1m)`)
	e := t.(trigger.Event)
	var state trigger.EventState
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, amount := range []int{50, 120, 300} {
		a := trigger.Arrival{ID: fmt.Sprint(i), Seq: uint64(i), Name: "order.paid", Data: map[string]any{"amount": amount, "customer": "c1"}}
		out, _ := e.Step(&state, &a, now)
		fmt.Printf("%q, look again at %s\n", out.Refused, out.Wake.Format("15:04:05"))
		now = now.Add(time.Second)
	}
	out, _ := e.Step(&state, nil, now.Add(10*time.Second))
	fmt.Println(out.Fires)
	// Output:
	// "filter", look again at 00:00:00
	// "", look again at 00:00:06
	// "", look again at 00:00:07
	// [2 events, [2]]
}
