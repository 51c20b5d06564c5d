package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// saved is when the job of these tests was saved.
var saved = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return saved.Add(time.Duration(seconds) * time.Second) }

// listener is a job with a schedule, and its timetable.
func listener(t *testing.T, s trigger.Schedule) (*job.Declared, *trigger.Timetable) {
	t.Helper()
	d := &job.Declared{Spec: job.Spec{Namespace: "d", Name: "j", Schedule: s}, Revision: 1, Saved: saved}
	table, err := s.Bind(trigger.Binding{Cluster: "c", Trigger: "d/j", Saved: saved})
	if err != nil {
		t.Fatal(err)
	}
	return d, table
}

// events are letters of events, one for each second given.
func events(seconds ...int) (all []Letter) {
	for i, s := range seconds {
		e := &job.Event{Name: "e", ID: fmt.Sprint("e", i), Data: json.RawMessage(fmt.Sprintf(`{"n":%d,"k":"a"}`, i)), At: after(s)}
		all = append(all, Letter{Seq: uint64(i), At: e.At, Event: e})
	}
	return all
}

// told says what follows from a hearing, for people.
func told(h *Hearing) string {
	var parts []string
	for _, r := range h.Runs {
		parts = append(parts, fmt.Sprint("run", r.Events))
	}
	for _, s := range h.Skipped {
		parts = append(parts, fmt.Sprintf("%d %s", s.Count, s.Cause))
	}
	for _, why := range slices.Sorted(maps.Keys(h.Refused)) {
		parts = append(parts, fmt.Sprintf("%d %s", h.Refused[why], why))
	}
	parts = append(parts, fmt.Sprintf("upto %d, consumed %v", h.Upto, h.Consumed))
	if !h.Wake.IsZero() {
		parts = append(parts, fmt.Sprintf("wake %d", int(h.Wake.Sub(saved)/time.Second)))
	}
	if h.Ended {
		parts = append(parts, "ended")
	}
	return strings.Join(parts, ", ")
}

func TestLettersAreSettledByTheScheduleAroundTheTrigger(t *testing.T) {
	type pause struct{ from, to int }
	for name, c := range map[string]struct {
		schedule trigger.Schedule
		letters  []Letter
		now      int
		room     int // 0 is plenty
		runs     int // made before
		pause    pause
		want     string
	}{
		"each event":      {trigger.Schedule{When: "event e"}, events(1, 2), 3, 0, 0, pause{}, "run[0], run[1], upto 2, consumed [0 1]"},
		"a filter":        {trigger.Schedule{When: `event e where "data.n == 1"`}, events(1, 2), 3, 0, 0, pause{}, "run[1], 1 filter, upto 2, consumed [0 1]"},
		"a batch waits":   {trigger.Schedule{When: "event e batch(3, 10s)"}, events(1, 2), 3, 0, 0, pause{}, "upto 2, consumed [], wake 13"},
		"a batch is full": {trigger.Schedule{When: "event e batch(2, 10s)"}, events(1, 2, 3), 3, 0, 0, pause{}, "run[0 1], upto 3, consumed [0 1], wake 13"},
		"the last counts": {trigger.Schedule{When: "event e debounce(data.k, 5s, 1m)"}, events(1, 2), 3, 0, 0, pause{}, "upto 2, consumed [0], wake 8"},
		"room for one":    {trigger.Schedule{When: "event e"}, events(1, 2), 3, 1, 0, pause{}, "run[0], upto 1, consumed [0], wake 3"},
		"no room":         {trigger.Schedule{When: "event e"}, events(1), 3, -1, 0, pause{}, "upto 0, consumed [], wake 3603"},
		"the last run":    {trigger.Schedule{When: "event e", MaxRuns: 3}, events(1, 2), 3, 0, 2, pause{}, "run[0], 1 inactive, upto 2, consumed [0 1], ended"},
		"before it began": {trigger.Schedule{When: "event e", Start: after(2)}, events(1, 2), 3, 0, 0, pause{}, "run[1], 1 inactive, upto 2, consumed [0 1]"},
		"after its end":   {trigger.Schedule{When: "event e", End: after(2)}, events(1, 2), 3, 0, 0, pause{}, "run[0], 1 inactive, upto 2, consumed [0 1], ended"},
		"too old":         {trigger.Schedule{When: "event e ttl 10s"}, events(1, 20), 21, 0, 0, pause{}, "run[1], 1 expired, upto 2, consumed [0 1]"},
		"in a blackout": {
			trigger.Schedule{When: "event e", Blackout: []trigger.Blackout{{Start: after(2), End: after(4)}}},
			events(1, 3), 5, 0, 0,
			pause{},
			"run[0], 1 blackout, upto 2, consumed [0 1]",
		},
		"in a pause":               {trigger.Schedule{When: "event e"}, events(1, 3, 4, 6), 7, 0, 0, pause{2, 5}, "run[0], run[3], 2 paused, upto 4, consumed [0 1 2 3]"},
		"in a pause, one for all":  {trigger.Schedule{When: "event e", OnResume: trigger.MisfireOne}, events(1, 3, 4, 6), 7, 0, 0, pause{2, 5}, "run[0], run[2], run[3], 1 paused, upto 4, consumed [0 1 2 3]"},
		"in a pause, all of them":  {trigger.Schedule{When: "event e", OnResume: trigger.MisfireAll}, events(3, 4), 7, 0, 0, pause{2, 5}, "run[0], run[1], upto 2, consumed [0 1]"},
		"another kind of letter":   {trigger.Schedule{When: "upstream a"}, events(1), 3, 0, 0, pause{}, "upto 1, consumed [0]"},
		"a workflow that it waits": {trigger.Schedule{When: "workflow w on event e"}, events(1), 3, 0, 0, pause{}, "run[0], upto 1, consumed [0]"},
	} {
		t.Run(name, func(t *testing.T) {
			d, table := listener(t, c.schedule)
			d.Fires.Runs = c.runs
			if c.pause != (pause{}) {
				d.Fires.PausedAt, d.Fires.ResumedAt = after(c.pause.from), after(c.pause.to)
			}
			room := c.room
			if room == 0 {
				room = 100
			}
			var m Memory
			h := Hear(d, table, &m, c.letters, after(c.now), room)
			if got := told(&h); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestWhatWaitsIsHeardOfLater lets the time pass over a batch.
func TestWhatWaitsIsHeardOfLater(t *testing.T) {
	d, table := listener(t, trigger.Schedule{When: "event e batch(3, 10s)"})
	var m Memory
	Hear(d, table, &m, events(1, 2), after(3), 100)
	d.Fires.Heard = 2
	h := Hear(d, table, &m, nil, after(13), 100)
	if got, want := told(&h), "run[0 1], upto 2, consumed [0 1]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A job that was due for events becomes one that is due after another.
func TestAnotherTriggerRemembersNothing(t *testing.T) {
	d, table := listener(t, trigger.Schedule{When: "event e batch(3, 10s)"})
	var m Memory
	Hear(d, table, &m, events(1, 2), after(3), 100)
	d, table = listener(t, trigger.Schedule{When: "upstream a"})
	d.Fires.Heard = 2
	h := Hear(d, table, &m, nil, after(4), 100)
	if got, want := told(&h), "2 inactive, upto 2, consumed [0 1]"; got != want || len(m.Event.Waiting) > 0 {
		t.Errorf("got %s, want %s, and %v to be forgotten", got, want, m.Event.Waiting)
	}
}

func TestRunsKnowWhatTheyAreDueFor(t *testing.T) {
	d, table := listener(t, trigger.Schedule{When: "upstream all of a, b on done"})
	var m Memory
	ended := func(seq uint64, name string) Letter {
		return Letter{Seq: seq, At: after(5), Ended: &trigger.Ended{Job: name, Run: "d/" + name + "@1", Nominal: after(1), Outcome: trigger.OutcomeFailure, At: after(5)}}
	}
	h := Hear(d, table, &m, []Letter{ended(0, "a"), ended(1, "b")}, after(6), 100)
	if len(h.Runs) != 1 {
		t.Fatalf("got %s", told(&h))
	}
	r := h.Runs[0].Run
	if want := map[string]string{"upstream.a": "d/a@1", "upstream.b": "d/b@1"}; !maps.Equal(r.Extra, want) || !r.Fire.Equal(after(1)) ||
		r.Origin != trigger.ReasonDependency || !strings.HasPrefix(string(r.ID), "d/j@20260101T120001Z-") {
		t.Errorf("got %s of %v because of %s, with %v", r.ID, r.Fire, r.Origin, r.Extra)
	}

	d, table = listener(t, trigger.Schedule{When: "lifecycle join"})
	h = Hear(d, table, &m, []Letter{{At: after(1), Happened: &trigger.Happened{What: trigger.NodeJoins, Node: "id", Called: "n", Incarnation: 7}}}, after(2), 100)
	r = h.Runs[0].Run
	if want := map[string]string{"node.what": "join", "node.id": "id", "node.name": "n", "node.life": "7"}; !maps.Equal(r.Extra, want) ||
		!slices.Equal(r.Spec.Placement.Nodes, []string{"id"}) || r.Spec.RunTimeout != nodeWait || d.Spec.RunTimeout != 0 {
		t.Errorf("got %+v at %v for %v", r.Extra, r.Spec.Placement.Nodes, r.Spec.RunTimeout)
	}
}

// A node that flaps in one life, and two that wait for their debounce.
func TestEachNodeHasARunOfItsOwnForEachTimeItComes(t *testing.T) {
	happened := func(seq uint64, what trigger.Happening, node string) Letter {
		return Letter{Seq: seq, At: after(1), Happened: &trigger.Happened{What: what, Node: node, Called: "called " + node, Incarnation: 7}}
	}
	check := func(h *Hearing, nodes ...string) {
		t.Helper()
		ids := map[job.RunID]bool{}
		var got []string
		for _, r := range h.Runs {
			ids[r.Run.ID] = true
			got = append(got, r.Run.Extra["node.id"])
			if want := "called " + r.Run.Extra["node.id"]; r.Run.Extra["node.name"] != want {
				t.Errorf("the node is called %q, want %q", r.Run.Extra["node.name"], want)
			}
		}
		if len(ids) != len(nodes) || !slices.Equal(got, nodes) {
			t.Errorf("got %d IDs for runs of %q, want %q", len(ids), got, nodes)
		}
	}
	d, table := listener(t, trigger.Schedule{When: "lifecycle join"})
	var m Memory
	h := Hear(d, table, &m, []Letter{happened(0, trigger.NodeJoins, "a"), happened(1, trigger.NodeLeaves, "a"), happened(2, trigger.NodeJoins, "a")}, after(2), 100)
	check(&h, "a", "a")

	d, table = listener(t, trigger.Schedule{When: "lifecycle join each debounce 10s"})
	m = Memory{}
	h = Hear(d, table, &m, []Letter{happened(0, trigger.NodeJoins, "a"), happened(1, trigger.NodeJoins, "b")}, after(2), 100)
	check(&h)
	d.Fires.Heard = 2
	h = Hear(d, table, &m, []Letter{happened(2, trigger.NodeJoins, "c")}, after(12), 100) // which has the others looked at
	check(&h, "a", "b")
}

func TestEventsAreTheInputOfAJobWithoutOne(t *testing.T) {
	d, table := listener(t, trigger.Schedule{When: "event e"})
	var m Memory
	letters := events(1)
	h := Hear(d, table, &m, letters, after(2), 100)
	run := h.Runs[0].Run
	GiveEvents(&run, []job.Event{*letters[0].Event})
	if len(run.Spec.Input.Values) != 1 || run.Extra["event.id"] != "e0" || run.Extra["event.data"] != `{"n":0,"k":"a"}` || !run.Fire.Equal(after(1)) {
		t.Errorf("got %+v with %v", run.Spec.Input, run.Extra)
	}
	own := h.Runs[0].Run
	own.Extra, own.Spec.Mode = map[string]string{}, job.Standalone
	GiveEvents(&own, []job.Event{*letters[0].Event})
	if own.Spec.Input.Values != nil || own.ID != run.ID {
		t.Errorf("got %+v for %s, want it without input and of the same ID as %s", own.Spec.Input, own.ID, run.ID)
	}
}
