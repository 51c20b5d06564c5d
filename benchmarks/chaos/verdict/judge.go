package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// A Verdict is what the evidence shows.
type Verdict struct {
	Runs, Tasks int // that were acknowledged
	// Lost counts tasks that were accepted and have no outcome, Duplicated
	// those that count more than once.
	Lost, Duplicated int
	// Complaints are all promises that were broken, those behind Lost and
	// Duplicated among them.
	Complaints []Complaint

	// Executions counts attempts, Extra those at tasks that had been done
	// already. These are allowed while the news of that was under way.
	Executions, Extra int
	// Watched counts the tasks that were certainly recorded as done before
	// their run got another master, and Rerun those of them that were executed
	// again afterwards.
	Watched, Rerun int
	// Unknown counts the submissions that were neither acknowledged nor
	// refused for good, and Accepted those of them that are there.
	Unknown, Accepted int
	// Refused counts the writes of those who were cut off that failed, as all
	// of them must.
	Refused int
}

// A Complaint is a promise that was broken.
type Complaint struct {
	Run  job.RunID // empty if it is not about one
	Text string
}

// String returns the complaint in a line.
func (c Complaint) String() string {
	if c.Run == "" {
		return c.Text
	}
	return fmt.Sprintf("%s: %s", c.Run, c.Text)
}

// OK reports whether all promises were kept.
func (v *Verdict) OK() bool { return len(v.Complaints) == 0 }

const (
	// Settled is after how long without a fault an attempt that has ended is
	// certainly recorded, and a run that has ended is known to all.
	Settled = 2 * time.Second
	// Aftermath is how long a fault may have consequences after its end:
	// rumours of who is dead have to be put right, and tasks may have been
	// placed anew that others still hold.
	Aftermath = 3 * time.Second
)

// Judge says what the evidence shows.
func Judge(e Evidence) Verdict {
	j := judge{e: e, byRun: map[string][]ledger.Execution{}}
	for _, x := range e.Executions {
		j.byRun[x.Run] = append(j.byRun[x.Run], x)
	}
	for i := range e.Runs {
		j.run(&e.Runs[i])
	}
	j.strangers()
	j.writes()
	j.peace()
	j.Executions = len(e.Executions)
	return j.Verdict
}

type judge struct {
	Verdict
	e     Evidence
	byRun map[string][]ledger.Execution
}

func (j *judge) complain(id job.RunID, format string, args ...any) {
	j.Complaints = append(j.Complaints, Complaint{id, fmt.Sprintf(format, args...)})
}

// run judges one run that was submitted.
func (j *judge) run(r *Run) {
	if r.Accepted.IsZero() {
		j.Unknown++
		if r.Final == nil {
			return // it was never accepted, and nobody said so
		}
		j.Accepted++
	}
	j.Runs++
	j.Tasks += r.Tasks
	if r.Final == nil {
		j.Lost += r.Tasks
		j.complain(r.ID, "the run was acknowledged and is not there, with its %d tasks", r.Tasks)
		return
	}
	if !r.Final.State.Done() {
		j.Lost += max(r.Tasks-r.Final.Progress.Done, 0)
		j.complain(r.ID, "the run is still %v, with %d of %d tasks done", r.Final.State, r.Final.Progress.Done, r.Tasks)
		return
	}
	if r.Final.State != job.Succeeded {
		j.complain(r.ID, "the run ended as %v: %s", r.Final.State, r.Final.Reason)
		return
	}
	j.absorbing(r)
	j.items(r)
	j.progress(r)
	j.executions(r)
}

// absorbing demands that a run that is over stays as it was.
func (j *judge) absorbing(r *Run) {
	if r.Seen == nil {
		return
	}
	was, is := r.Seen, r.Final
	if was.State != is.State || was.Reason != is.Reason || !was.Finished.Equal(is.Finished) || was.Epoch != is.Epoch || was.Progress.Done != is.Progress.Done {
		j.complain(r.ID, "the run changed after it was over: it was %v (%q, epoch %d, %d done) at %v and is %v (%q, epoch %d, %d done) at %v",
			was.State, was.Reason, was.Epoch, was.Progress.Done, was.Finished, is.State, is.Reason, is.Epoch, is.Progress.Done, is.Finished)
	}
}

// items compares what the run returned with what it was to return, by value.
func (j *judge) items(r *Run) {
	if r.Unread != "" {
		j.complain(r.ID, "what the run returned can't be read: %s", r.Unread)
		return
	}
	got := map[string][]string{}
	for _, item := range r.Got {
		got[item.Key] = append(got[item.Key], item.Value)
	}
	var lost, twice, strange, wrong []string
	for key, want := range r.Want {
		values := got[key]
		if len(values) == 0 {
			if _, excused := r.Excused[key]; !excused || !j.brokenMeanwhile(r, key) {
				lost = append(lost, key)
			}
			continue
		}
		if len(values) > 1 {
			twice = append(twice, key)
		}
		for _, v := range values {
			if v != want {
				wrong = append(wrong, fmt.Sprintf("%s is %s and not %s", key, v, want))
			}
		}
	}
	for key := range got {
		if _, ok := r.Want[key]; !ok {
			strange = append(strange, key)
		}
	}
	j.Lost += len(lost)
	j.Duplicated += len(twice)
	for _, c := range []struct {
		keys []string
		text string
	}{
		{lost, "has no result for"}, {twice, "counts more than once"}, {strange, "returned what it was not asked for"}, {wrong, "is wrong"},
	} {
		if len(c.keys) > 0 {
			j.complain(r.ID, "%s run %s, in %d of %d: %s", r.Kind, c.text, len(c.keys), len(r.Want), some(c.keys))
		}
	}
}

// brokenMeanwhile reports whether a node was broken while the run was on.
func (j *judge) brokenMeanwhile(r *Run, node string) bool {
	return slices.ContainsFunc(j.e.Faults, func(f Fault) bool {
		return f.on(node) && f.during(r.Submitted, r.Final.Finished.Add(Settled))
	})
}

// some lists the first few in order.
func some(all []string) string {
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	const most = 5
	if len(all) <= most {
		return fmt.Sprintf("%q", all)
	}
	return fmt.Sprintf("%q and %d more", all[:most], len(all)-most)
}

// progress demands that each task counts once.
func (j *judge) progress(r *Run) {
	p := r.Final.Progress
	if p.Tasks != r.Tasks {
		j.complain(r.ID, "the run counts %d tasks: want %d", p.Tasks, r.Tasks)
	}
	if p.Done+p.Failed != p.Tasks || p.Failed != len(r.Excused) {
		j.Lost += max(p.Tasks-p.Done-p.Failed, 0)
		j.Duplicated += max(p.Done+p.Failed-p.Tasks, 0)
		j.complain(r.ID, "%d of %d tasks are done and %d failed: want all, and %d failed", p.Done, p.Tasks, p.Failed, len(r.Excused))
	}
	if p.Running != 0 {
		j.complain(r.ID, "%d tasks are still placed somewhere", p.Running)
	}
	sum := 0
	for _, n := range p.Members {
		sum += n
	}
	if sum != p.Done {
		j.complain(r.ID, "the members completed %d tasks together: want %d", sum, p.Done)
	}
	if p.Attempts < p.Done {
		j.complain(r.ID, "%d attempts for %d tasks that are done", p.Attempts, p.Done)
	}
}

// executions compares the ledger with the account of the run.
func (j *judge) executions(r *Run) {
	if !r.Noted {
		return
	}
	byTask := map[string][]ledger.Execution{}
	for _, x := range j.byRun[string(r.ID)] {
		if x.Began.Before(r.Submitted) {
			j.complain(r.ID, "task %s was executed before the run was submitted", x.Task)
		}
		byTask[x.Task] = append(byTask[x.Task], x)
	}
	done := 0
	for _, task := range slices.Sorted(maps.Keys(byTask)) {
		if j.task(r, task, byTask[task]) {
			done++
		}
	}
	if want := r.Tasks - len(r.Excused); done < want {
		j.Lost += want - done
		j.complain(r.ID, "attempts at %d tasks came to a good end, as they noted themselves: want %d", done, want)
	}
}

// task judges the attempts at one task, in the order in which they began, and
// reports whether any of them came to a good end.
func (j *judge) task(r *Run, task string, attempts []ledger.Execution) bool {
	var done *ledger.Execution
	for i := range attempts {
		if x := &attempts[i]; x.Done() && (done == nil || x.Ended.Before(done.Ended)) {
			done = x
		}
	}
	if done == nil {
		return false
	}
	first := done.Ended
	var late *ledger.Execution
	for i := range attempts {
		if x := &attempts[i]; x.Began.After(first) {
			j.Extra++
			late = x
		}
	}
	recorded := first.Add(Settled)
	if r.Keyed || !j.quiet(done.Began.Add(-Aftermath), recorded) {
		return true
	}
	if j.succeeded(r.ID, recorded) {
		j.Watched++
		if late != nil && late.Began.After(recorded) {
			j.Rerun++
			j.complain(r.ID, "task %s was done on %s and recorded, and was executed again %v later on %s as attempt %d",
				task, done.Node, late.Began.Sub(first).Round(time.Millisecond), late.Node, late.Attempt)
		}
	} else if late != nil && late.Began.After(recorded) {
		j.complain(r.ID, "task %s was done and recorded, and was executed again %v later on %s as attempt %d under the same master",
			task, late.Began.Sub(first).Round(time.Millisecond), late.Node, late.Attempt)
	}
	return true
}

// quiet reports whether nothing was broken between the two instants.
func (j *judge) quiet(from, to time.Time) bool {
	return !slices.ContainsFunc(j.e.Faults, func(f Fault) bool { return f.during(from, to) })
}

// succeeded reports whether a master of the run was taken from it after t.
func (j *judge) succeeded(id job.RunID, t time.Time) bool {
	return slices.ContainsFunc(j.e.Faults, func(f Fault) bool {
		_, ok := f.Masters[id]
		return ok && f.Began.After(t)
	})
}

// strangers complains of runs that the cluster has and nobody submitted, and
// of submissions that made two.
func (j *judge) strangers() {
	keys := map[string]*Run{}
	for i := range j.e.Runs {
		keys[j.e.Runs[i].Key] = &j.e.Runs[i]
	}
	seen := map[string]job.RunID{}
	for _, l := range j.e.Listed {
		if l.Origin == trigger.ReasonFire || l.Origin == trigger.ReasonCatchUp {
			continue // which Fires judges
		}
		r, ok := keys[l.Key]
		if !ok {
			j.complain(l.ID, "nobody submitted the run with the key %q", l.Key)
			continue
		}
		if other, ok := seen[l.Key]; ok {
			j.Duplicated += r.Tasks
			j.complain(l.ID, "the submission with the key %q made the run %s too", l.Key, other)
		}
		seen[l.Key] = l.ID
	}
}

// peace demands that what was executing on a node that was asked to stop came to
// an end there.
func (j *judge) peace() {
	for i := range j.e.Faults {
		f := &j.e.Faults[i]
		if !f.Peace {
			continue
		}
		for _, x := range j.e.Executions {
			cut := x.Ended.IsZero() || x.Ended.After(f.Began) && strings.Contains(x.Err, mapreduce.ErrStopping.Error())
			if cut && f.on(x.Node) && x.Began.Before(f.Began) && x.Began.After(f.Began.Add(-longest)) && j.alone(f, x.Began) {
				j.complain(job.RunID(x.Run), "task %s was executing on %s when that was asked to stop, and did not come to its end: %q", x.Task, x.Node, x.Err)
			}
		}
	}
}

// longest is more than any attempt takes, so that one which began before that
// and has no end is another fault's.
const longest = 30 * time.Second

// alone reports whether nothing but peace was done to the nodes of f since an
// instant.
func (j *judge) alone(f *Fault, since time.Time) bool {
	return !slices.ContainsFunc(j.e.Faults, func(o Fault) bool {
		return !o.Peace && o.during(since.Add(-Aftermath), f.Ended) && (len(o.Nodes) == 0 || slices.ContainsFunc(o.Nodes, f.on))
	})
}

// writes demands that nothing was accepted by a minority.
func (j *judge) writes() {
	for _, w := range j.e.Writes {
		if !w.Cut {
			continue
		}
		if w.Err != "" {
			j.Refused++
			continue
		}
		j.complain("", "a write at %v was accepted by servers that were cut off from the others", w.Began.Format(time.StampMilli))
	}
}
