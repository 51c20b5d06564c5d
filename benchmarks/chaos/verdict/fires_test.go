package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// storm is a job that had five fires, of which four are runs and one was
// skipped.
func storm() ([]job.Declared, []job.Run) {
	saved := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := job.Declared{
		Spec:  job.Spec{Namespace: "default", Name: "j", Schedule: trigger.Schedule{When: "every 2s"}},
		Saved: saved, Fires: job.Fires{Cursor: saved.Add(11 * time.Second), Runs: 4, Skipped: map[string]int{"misfire": 1}},
	}
	var runs []job.Run
	for _, s := range []int{2, 4, 8, 10} {
		at := saved.Add(time.Duration(s) * time.Second)
		runs = append(runs, job.Run{
			ID: job.FireID("default", "j", at), Spec: d.Spec, Fire: at, Created: at.Add(time.Duration(s) * time.Millisecond), Origin: trigger.ReasonFire, State: job.Succeeded,
		})
	}
	return []job.Declared{d}, runs
}

func TestFiresAreRunsOrAccountedFor(t *testing.T) {
	jobs, runs := storm()
	count, complaints := Fires(jobs, runs)
	if want := (FireCount{Due: 5, Runs: 4, Skipped: 1, Latest: 10 * time.Millisecond}); count != want || len(complaints) > 0 {
		t.Errorf("got %+v and %v, want %+v", count, complaints, want)
	}
	for name, c := range map[string]struct {
		spoil func(jobs []job.Declared, runs []job.Run) []job.Run
		want  string
	}{
		"a run is lost":           {func(_ []job.Declared, runs []job.Run) []job.Run { return runs[1:] }, "which are 3 runs and 1 skipped"},
		"a skip is forgotten":     {func(jobs []job.Declared, runs []job.Run) []job.Run { jobs[0].Fires.Skipped = nil; return runs }, "4 runs and 0 skipped"},
		"a run has two fires":     {func(_ []job.Declared, runs []job.Run) []job.Run { return append(runs, runs[0]) }, "listed twice"},
		"a fire has two runs":     {func(_ []job.Declared, runs []job.Run) []job.Run { r := runs[0]; r.ID += "x"; return append(runs, r) }, "it has 5 runs of its trigger"},
		"a run is of other times": {func(_ []job.Declared, runs []job.Run) []job.Run { runs[0].Fire = runs[1].Fire; return runs }, "it is of the fire at"},
		"a run fails":             {func(_ []job.Declared, runs []job.Run) []job.Run { runs[0].State = job.Failed; return runs }, "failed: want"},
		"the trigger is odd":      {func(jobs []job.Declared, runs []job.Run) []job.Run { jobs[0].Spec.Schedule.When = "x"; return runs }, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, runs := storm()
			runs = c.spoil(jobs, runs)
			var all []string
			_, complaints := Fires(jobs, runs)
			for _, k := range complaints {
				all = append(all, k.String())
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
