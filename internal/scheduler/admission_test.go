package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// some returns a run of a job, with a key and limits.
func some(id job.RunID, key string, limits ...job.Limit) *job.Run {
	return &job.Run{ID: id, LimitKey: key, Spec: job.Spec{Namespace: id.Namespace(), Name: id.Job(), Limits: limits}}
}

// begin begins a run if it may, and returns what it waits for if not.
func begin(a *Admission, run *job.Run, now time.Time, namespace ...job.Limit) string {
	c := ClaimOf(run, namespace)
	w := a.Wait(c, now)
	if w.Blocks == BlocksNothing {
		a.Begin(run.ID, c, now)
	}
	return w.String()
}

func TestARunThatIsOverALimitSaysWhichItWaitsFor(t *testing.T) {
	a := NewAdmission(5)
	for _, s := range []struct {
		run       *job.Run
		namespace []job.Limit
		want      string
	}{
		{run: &job.Run{ID: "x/a@1", Spec: job.Spec{Namespace: "x", Name: "a", MaxRuns: 1}}},
		{run: &job.Run{ID: "x/a@2", Spec: job.Spec{Namespace: "x", Name: "a", MaxRuns: 1}}, want: "waits: 1 runs of the job go on, and its MaxRuns is 1"},
		{run: some("x/b@1", "customer-7", job.Limit{By: job.ByKey, Running: 1})},
		{run: some("x/b@2", "customer-7", job.Limit{By: job.ByKey, Running: 1}), want: "waits: 1 runs of key customer-7 go on, and the limit is 1"},
		{run: some("x/c@1", "customer-7"), namespace: []job.Limit{{By: job.ByKey, Running: 1}}, want: "waits: 1 runs of key customer-7 in namespace x go on, and the limit is 1"},
		{run: some("x/c@2", "", job.Limit{By: job.ByKey, Running: 1})}, // it has no key
		{run: some("x/c@3", "", job.Limit{Running: 1}), want: "waits: 1 runs of the job go on, and the limit is 1"},
		{run: some("x/d@1", ""), namespace: []job.Limit{{Running: 3}}, want: "waits: 3 runs of namespace x go on, and the limit is 3"},
		{run: some("x/a@3", ""), namespace: []job.Limit{{By: job.ByJob, Running: 1}}, want: "waits: 1 runs of the job go on, and the limit is 1"},
		{run: some("y/r@1", "", job.Limit{Rate: "1/1m"})},
		{run: some("y/r@2", "", job.Limit{Rate: "1/1m"}), want: "waits until 2026-03-29T12:01:00Z: 1 run a minute of the job"},
		{run: some("y/e@1", "", job.Limit{Rate: "1/1m"})},
		{run: some("y/z@1", ""), want: "waits: 5 runs go on, and Config.MaxRuns is 5"},
	} {
		if got := begin(a, s.run, noon, s.namespace...); got != s.want {
			t.Errorf("run %s: got %q, want %q", s.run.ID, got, s.want)
		}
	}
	a.End("y/e@1")
	a.End("y/r@1")
	for range 10 {
		a.End("y/r@1") // once is enough
	}
	if got := begin(a, some("y/s@1", ""), noon, job.Limit{Rate: "10/1m"}); got != "" {
		t.Errorf("got %q where there is room", got)
	}
	if got := begin(a, some("y/r@2", "", job.Limit{Rate: "1/1m"}), noon.Add(time.Minute)); got != "" {
		t.Errorf("got %q a minute later", got)
	}
	if _, all := a.Running("x", "a"); all != 5 {
		t.Errorf("%d are counted, want 5", all)
	}
}

func TestRunsThatTakeTurnsDoSoByTheirKey(t *testing.T) {
	a := NewAdmission(0)
	fire := func(id job.RunID, key string) *job.Run {
		run := some(id, "")
		run.Origin, run.OverlapKey, run.Spec.Schedule.Overlap = trigger.ReasonFire, key, trigger.OverlapQueueAll
		return run
	}
	for _, s := range []struct {
		run  *job.Run
		want string
	}{
		{fire("x/a@1", "p"), ""},
		{fire("x/a@2", "p"), "waits for the run before it of key p, as Schedule.Overlap is queue-all"},
		{fire("x/a@3", "q"), ""},
		{fire("x/b@1", ""), ""},
		{fire("x/b@2", ""), "waits for the run before it, as Schedule.Overlap is queue-all"},
	} {
		if got := begin(a, s.run, noon); got != s.want {
			t.Errorf("run %s: got %q, want %q", s.run.ID, got, s.want)
		}
	}
	a.End("x/a@1")
	if got := begin(a, fire("x/a@2", "p"), noon); got != "" {
		t.Errorf("got %q when the run before is over", got)
	}
}

func TestAdmissionMayGoOverWhatWasLoweredSince(t *testing.T) {
	a := NewAdmission(1)
	one := ClaimOf(some("x/a@1", ""), nil)
	a.Resume("x/a@1", one)
	a.Resume("x/a@2", one) // taken over from a leader with a higher limit
	a.End("x/a@1")
	if a.Room() {
		t.Error("there is room at the limit")
	}
	a.End("x/a@2")
	if !a.Room() {
		t.Error("there is no room below the limit")
	}
	if len(a.counts) > 0 {
		t.Errorf("nothing goes on, and it is counted: %v", a.counts)
	}
}

// A leader that comes after knows how often runs began.
func TestRatesOutliveTheLeader(t *testing.T) {
	limits := []job.Limit{{By: job.ByKey, Rate: "3/1m"}, {Rate: "100/1h"}}
	run := func(i int) *job.Run { return some(job.RunID(fmt.Sprintf("x/a@%d", i)), "key \"7\"\n/ é", limits...) }
	before := NewAdmission(0)
	kept := map[string][]byte{}
	for i := range 3 {
		if got := begin(before, run(i), noon.Add(time.Duration(i)*time.Second)); got != "" {
			t.Fatal(got)
		}
		for _, s := range before.Spent() {
			kept[s.Of] = s.Window
		}
	}
	if got := before.Spent(); len(got) > 0 {
		t.Errorf("nothing began, and %d windows have changed", len(got))
	}
	after := NewAdmission(0)
	for of, window := range kept {
		if err := after.Recall(Spent{of, window}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := begin(after, run(3), noon.Add(59*time.Second)), "waits until 2026-03-29T12:01:00Z: 3 runs a minute of key key \"7\"\n/ é"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := begin(after, run(3), noon.Add(time.Minute)); got != "" {
		t.Errorf("got %q when a minute is over", got)
	}
	after.Spent()
	if over := after.Over(noon.Add(3 * time.Minute)); len(over) != 1 || len(after.windows) != 1 {
		t.Errorf("%d windows are over, %d are left, want 1 and 1", len(over), len(after.windows))
	}
	for _, bad := range []Spent{{Of: "x"}, {Of: "1/1m a/b"}, {Of: "1/1m a/b/key"}, {Of: `1/1m a/b/"k"`, Window: []byte{0x80}}, {Of: `1/1m a/b/"k"`, Window: []byte{2}}} {
		if err := after.Recall(bad); err == nil {
			t.Errorf("%q is taken for a window", bad.Of)
		}
	}
}

// What blocks most is what a run says that several limits keep from beginning.
func TestTheWidestLimitIsWhatARunWaitsFor(t *testing.T) {
	a := NewAdmission(0)
	limits := []job.Limit{{By: job.ByKey, Running: 1}, {Running: 1}}
	begin(a, some("x/a@1", "k", limits...), noon)
	for _, s := range []struct {
		namespace []job.Limit
		want      Breadth
	}{{nil, BlocksJob}, {[]job.Limit{{Running: 1}}, BlocksNamespace}} {
		if w := a.Wait(ClaimOf(some("x/a@2", "k", limits...), s.namespace), noon); w.Blocks != s.want {
			t.Errorf("got %v %q, want %v", w.Blocks, w, s.want)
		}
	}
	if w := a.Wait(ClaimOf(some("x/a@2", "k", limits[0]), nil), noon); w.Blocks != BlocksKey {
		t.Errorf("got %v %q, want it to block its key", w.Blocks, w)
	}
}

func TestRatesAreSaidAsPeopleDo(t *testing.T) {
	var got []string
	for _, r := range []job.Rate{{N: 1, Per: time.Second}, {N: 2, Per: time.Hour}, {N: 3, Per: 24 * time.Hour}, {N: 4, Per: 90 * time.Second}} {
		got = append(got, often(r))
	}
	if want := []string{"1 run a second", "2 runs an hour", "3 runs a day", "4 runs in 1m30s"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
