package trigger

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/codec"
)

func TestASchedulesBytesAreReadBack(t *testing.T) {
	short, err := codec.Marshal(Schedule{When: "manual"})
	if err != nil || len(short) > 12 {
		t.Errorf("got %d bytes, %v, want what was said and no more", len(short), err)
	}
	s := Schedule{
		When: "0 9 * * *", Zone: "Europe/Berlin", Start: at(t, "2026-02-01"), End: at(t, "2027-02-01"), MaxRuns: 5, Jitter: time.Minute,
		Overlap: OverlapAllow, Misfire: MisfireAll, Blackout: []Blackout{{From: "22:00", To: "06:00", Defer: true}}, Except: []string{"holidays"},
	}
	bytes, err := codec.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Schedule
	if err := codec.Unmarshal(bytes, &again); err != nil {
		t.Fatal(err)
	}
	again.Start, again.End = again.Start.UTC(), again.End.UTC()
	if !reflect.DeepEqual(s, again) {
		t.Errorf("got %+v, want %+v", again, s)
	}
}

func TestWhatMachinesRememberIsReadBack(t *testing.T) {
	now := at(t, "2026-01-01")
	e := mustParse(t, "event e dedupe(id, 1h) throttle(id, 1/1h) batch(3, 1h)").(Event)
	var es, es2 EventState
	_, _ = e.Step(&es, &Arrival{ID: "a", Name: "e"}, now)
	d := mustParse(t, "upstream all of a, b").(Dependency)
	var ds, ds2 DependencyState
	d.Step(&ds, Ended{Job: "a", Run: "r", Nominal: now, At: now, Outcome: OutcomeSuccess})
	l := mustParse(t, "lifecycle join incarnation debounce 5s").(Lifecycle)
	var ls, ls2 LifecycleState
	l.Step(&ls, &Happened{What: NodeJoins, Node: "n1", Incarnation: 1}, now)
	for _, c := range []struct{ from, to any }{{es, &es2}, {ds, &ds2}, {ls, &ls2}} {
		bytes, err := codec.Marshal(c.from)
		if err == nil {
			err = codec.Unmarshal(bytes, c.to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, _ := e.Step(&es2, &Arrival{ID: "a", Name: "e"}, now); out.Refused != RefusedDuplicate || !out.Wake.Equal(now.Add(time.Hour)) {
		t.Errorf("got %+v, want a duplicate, and a batch that waits", out)
	}
	if fire := d.Step(&ds2, Ended{Job: "b", Run: "r", Nominal: now, At: now, Outcome: OutcomeSuccess}); fire == nil || len(fire.Runs) != 2 {
		t.Errorf("got %+v, want both runs", fire)
	}
	if fires, _ := l.Step(&ls2, nil, now.Add(5*time.Second)); len(fires) != 1 {
		t.Errorf("got %v, want one node", fires)
	}
}

// What a machine remembers is written down with every step, and the state has a
// bound to it.
func TestWhatADependencyOfManyJobsRemembersIsSmall(t *testing.T) {
	var names []string
	for i := range maxUpstreams {
		names = append(names, fmt.Sprintf("upstream-job-number-%03d", i))
	}
	for _, c := range []struct {
		text string
		jobs int // that end, of each instant
		most int // bytes
	}{
		{"upstream load", 1, 100 << 10},
		{"upstream all of " + strings.Join(names, ", "), maxUpstreams, 100 << 10},
		{"upstream all of " + strings.Join(names, ", "), maxUpstreams - 1, 1 << 20},
		{"upstream all of " + strings.Join(names, ", ") + " retrigger", maxUpstreams, 1 << 20},
	} {
		d, fires := mustParse(t, c.text).(Dependency), 0
		var s DependencyState
		for n := range 2 * maxGroups {
			at := time.Unix(int64(n)*60, 0).UTC()
			for _, name := range d.Jobs()[:c.jobs] {
				e := Ended{Job: name, Run: "default/" + name + "@" + at.Format("20060102T150405Z"), Nominal: at, At: at, Outcome: OutcomeSuccess}
				if d.Step(&s, e) != nil {
					fires++
				}
				if c.jobs == 1 && d.Step(&s, e) != nil {
					t.Errorf("%s made two runs", e.Run)
				}
			}
		}
		want := 2 * maxGroups
		if c.jobs < len(d.Jobs()) {
			want = 0
		}
		if b, err := codec.Marshal(s); err != nil || fires != want || len(b) > c.most {
			t.Errorf("%.40s with %d jobs: %d runs, %d bytes, %v, want %d and at most %d", c.text, c.jobs, fires, len(b), err, want, c.most)
		}
	}
}
