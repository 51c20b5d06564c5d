package scheduler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// fates says what a settlement makes of which fires, for people.
func fates(all ...Settlement) string {
	var b strings.Builder
	for _, s := range all {
		for i := range s.Runs {
			r := &s.Runs[i]
			fmt.Fprintf(&b, "%s %v %d %v\n", r.ID, r.Origin, r.Missed, r.NotBefore)
		}
		for _, k := range s.Skipped {
			fmt.Fprintf(&b, "%d from %v to %v %s\n", k.Count, k.From, k.To, k.Cause)
		}
	}
	return b.String()
}

// TestWhatIsSettledAheadIsWhatIsSettledInTime looks at jobs at random moments at
// which a settlement from before still holds. That and what is left then are what
// a leader would make of it who had worked nothing out.
func TestWhatIsSettledAheadIsWhatIsSettledInTime(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	held := 0
	for _, s := range []trigger.Schedule{
		{When: "every 1s"},
		{When: "every 7s", Jitter: 3 * time.Second},
		{When: "every 10s", Threshold: time.Second, CatchUp: time.Second},
		{When: "*/5 * * * *"},
		{When: "30 2 * * *", Zone: "Europe/Berlin"},
		{When: "every 3s", MaxRuns: 4},
		{When: "every 1m", Threshold: time.Hour, Misfire: trigger.MisfireAll},
	} {
		d, table := listener(t, s)
		d.Fires.Cursor = saved.Add(time.Duration(chance.Int64N(int64(365 * 24 * time.Hour))))
		d.Fires.Wake = Settle(d, table, d.Fires.Cursor).Wake
		for range 20 {
			early, until, ok := Ahead(d, table)
			if !ok {
				break
			}
			held++
			now := d.Fires.Wake.Add(time.Duration(chance.Int64N(int64(until.Sub(d.Fires.Wake)) + 1)))
			want := Settle(d, table, now)
			next := *d
			next.Fires.Cursor, next.Fires.Runs = early.Cursor, d.Fires.Runs+len(early.Runs)
			rest := Settle(&next, table, now)
			if got := fates(early, rest); got != fates(want) || !rest.Cursor.Equal(want.Cursor) && !want.Ended {
				t.Fatalf("%v at %v, which is %v late:\n%sup to %v, want\n%sup to %v", s.When, now, now.Sub(d.Fires.Wake), got, rest.Cursor, fates(want), want.Cursor)
			}
			d = &next
			d.Fires.Cursor, d.Fires.Runs, d.Fires.Wake = rest.Cursor, d.Fires.Runs+len(rest.Runs), rest.Wake
		}
	}
	if held < 100 {
		t.Errorf("%d settlements were made ahead, want most of them", held)
	}
}

// TestWhatMoreHasASayInIsNotSettledAhead has jobs whose fires depend on when runs
// end, on what happens, and on how late somebody is.
func TestWhatMoreHasASayInIsNotSettledAhead(t *testing.T) {
	for name, c := range map[string]struct {
		s    trigger.Schedule
		wake time.Time
	}{
		"a delay after a run":  {trigger.Schedule{When: "delay 10s"}, after(10)},
		"an event":             {trigger.Schedule{When: "event e"}, after(10)},
		"no time to look":      {trigger.Schedule{When: "every 10s"}, time.Time{}},
		"fires that it missed": {trigger.Schedule{When: "every 10s"}, after(1000)},
		"nothing that is due":  {trigger.Schedule{When: "every 10s"}, after(1)},
	} {
		d, table := listener(t, c.s)
		d.Fires = job.Fires{Cursor: saved, Wake: c.wake}
		if s, _, ok := Ahead(d, table); ok {
			t.Errorf("%s: got %+v, want to be told that it has to wait", name, s)
		}
	}
}
