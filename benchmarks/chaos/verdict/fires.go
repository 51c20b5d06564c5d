package verdict

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// FireCount is what became of the fires of some jobs.
type FireCount struct {
	// Due is how many there were, Runs how many of them are a run, and Skipped
	// how many were recorded as skipped.
	Due, Runs, Skipped int
	// Latest is the longest that a run was made after it was due.
	Latest time.Duration
}

// Fires says what became of the fires of jobs, up to where each is settled, and
// which are not exactly one run and not accounted for. It is given what anybody
// can ask a cluster for: the jobs and all their runs.
func Fires(jobs []job.Declared, runs []job.Run) (count FireCount, complaints []Complaint) {
	complain := func(id job.RunID, format string, args ...any) {
		complaints = append(complaints, Complaint{id, fmt.Sprintf(format, args...)})
	}
	byID, made := map[job.RunID]*job.Run{}, map[string]int{}
	for i := range runs {
		r := &runs[i]
		if r.Origin != trigger.ReasonFire && r.Origin != trigger.ReasonCatchUp {
			continue
		}
		if byID[r.ID] != nil {
			complain(r.ID, "it is listed twice")
		}
		byID[r.ID] = r
		made[r.Spec.Namespace+"/"+r.Spec.Name]++
	}
	for i := range jobs {
		d := &jobs[i]
		name := d.Spec.Namespace + "/" + d.Spec.Name
		table, err := d.Spec.Schedule.Bind(trigger.Binding{Cluster: d.Cluster, Trigger: name, Saved: d.Saved})
		if err != nil {
			complain("", "the trigger of job %s can't be read: %v", name, err)
			continue
		}
		due, found, skipped := 0, 0, 0
		for at := d.Saved; ; {
			fire, ok := table.Next(at)
			if !ok || !d.Fires.Ended && fire.At.After(d.Fires.Cursor) {
				break
			}
			at = fire.At
			due++
			r := byID[job.FireID(d.Spec.Namespace, d.Spec.Name, at)]
			if r == nil {
				continue
			}
			found++
			if !r.Fire.Equal(at) || r.State != job.Succeeded {
				complain(r.ID, "it is of the fire at %v, and %v: want %v and succeeded", r.Fire, r.State, at)
			}
			count.Latest = max(count.Latest, r.Created.Sub(at))
		}
		for _, n := range d.Fires.Skipped {
			skipped += n
		}
		if due != found+skipped || made[name] != found || d.Fires.Runs != found {
			complain("", "job %s had %d fires, which are %d runs and %d skipped; it has %d runs of its trigger and tells of %d",
				name, due, found, skipped, made[name], d.Fires.Runs)
		}
		count.Due += due
		count.Runs += found
		count.Skipped += skipped
	}
	return count, complaints
}
