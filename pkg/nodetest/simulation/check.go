package simulation

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Check returns the promises that a story breaks, each as a sentence.
func Check(s *Story) []string {
	c := &check{s: s, work: map[string]Work{}, byKey: map[string][]job.RunID{}, rested: map[job.RunID]*job.Run{}}
	for i := range s.Rested {
		run := &s.Rested[i]
		c.rested[run.ID] = run
		if run.Key != "" && run.Of == "" {
			c.byKey[run.Key] = append(c.byKey[run.Key], run.ID) // an attempt has the key of the run that it tries again
		}
	}
	for _, u := range s.Submits {
		c.work[u.Key] = u.Work
	}
	c.accepted()
	c.askedFor()
	for i := range s.Rested {
		c.ended(&s.Rested[i])
	}
	c.asks()
	c.sights()
	c.pauses()
	c.fenced()
	c.fires()
	c.risen()
	c.copies()
	if s.Leaders != 1 {
		c.broken("%d nodes lead when everything has come to rest, want 1", s.Leaders)
	}
	return c.found
}

type check struct {
	s      *Story
	work   map[string]Work        // by key
	byKey  map[string][]job.RunID // of what rested
	rested map[job.RunID]*job.Run
	found  []string
}

func (c *check) broken(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// firstOf returns the run of whose attempts id is one.
func firstOf(id job.RunID) job.RunID {
	first, _, _ := strings.Cut(string(id), "#")
	return job.RunID(first)
}

// accepted: what was acknowledged is there, and one key is one run.
func (c *check) accepted() {
	refused := map[string]bool{} // keys for which every answer was that nothing was recorded
	for _, u := range c.s.Submits {
		before, asked := refused[u.Key]
		refused[u.Key] = u.Nothing && (before || !asked)
		if u.ID == "" {
			continue
		}
		if c.rested[u.ID] == nil {
			c.broken("run %s was accepted and is not there", u.ID)
		}
		if ids := c.byKey[u.Key]; len(ids) == 1 && ids[0] != firstOf(u.ID) {
			c.broken("run %s was accepted under key %q, which is run %s", u.ID, u.Key, ids[0])
		}
	}
	for key, ids := range sorted(c.byKey) {
		if len(ids) > 1 {
			c.broken("key %q has %d runs: %v", key, len(ids), ids)
		}
		if refused[key] {
			c.broken("run %v is there although whoever asked for it was told that nothing was recorded", ids)
		}
	}
}

// askedFor: there are no runs but those that somebody or a trigger asked for.
func (c *check) askedFor() {
	for _, run := range c.s.Rested {
		switch {
		case run.Of != "":
			if c.rested[run.Of] == nil {
				c.broken("run %s tries %s again, which is not there", run.ID, run.Of)
			}
		case run.Origin != "":
		case c.work[run.Key].Key == "":
			c.broken("nobody asked for run %s with key %q", run.ID, run.Key)
		}
	}
}

// ended: every run comes to an end, the right one, and counts each task once.
func (c *check) ended(run *job.Run) {
	if !run.State.Done() {
		c.broken("run %s is %v when everything has come to rest: %s %s", run.ID, run.State, run.Reason, run.Progress.Waiting)
		return
	}
	w := c.work[run.Key]
	if first := c.rested[run.Of]; first != nil {
		w = c.work[first.Key]
	}
	want := job.Succeeded
	if w.Doomed && run.Of == "" {
		want = job.Failed
	}
	switch {
	case run.State == job.Canceled && c.mayBeCanceled(run.ID):
	case run.State != want:
		c.broken("run %s is %v, want %v: %s", run.ID, run.State, want, run.Reason)
	case run.State == job.Succeeded && w.Key != "":
		c.succeeded(run, w)
	}
}

func (c *check) mayBeCanceled(id job.RunID) bool {
	return slices.ContainsFunc(c.s.Asks, func(a Ask) bool { return a.Run == id && a.Kind != Retry })
}

func (c *check) succeeded(run *job.Run, w Work) {
	if run.CancelReason != "" {
		c.broken("run %s succeeded although it had been asked to end early before", run.ID)
	}
	if plan := &run.Plan; w.Tasks == 0 {
		w.Tasks, w.Executed = plan.Roots+plan.Reduces, plan.Roots
	}
	p, by := run.Progress, 0
	for _, n := range p.Members {
		by += n
	}
	if p.Tasks != w.Tasks || p.Done != p.Tasks || p.Failed != 0 || p.Running != 0 {
		c.broken("run %s counts %d tasks, of which %d are done, %d failed and %d running, want %d and all done", run.ID, p.Tasks, p.Done, p.Failed, p.Running, w.Tasks)
	}
	if by != p.Done {
		c.broken("run %s has %d tasks done, and its members did %d", run.ID, p.Done, by)
	}
	if n := len(c.s.Executed[w.Key]); n != w.Executed {
		c.broken("run %s has %d tasks that were executed, want %d", run.ID, n, w.Executed)
	}
	switch e, ok := c.s.Ends[run.ID]; {
	case !ok:
		c.broken("nobody who waited for run %s heard of its end", run.ID)
	case e.Err != "":
		c.broken("what run %s returned can't be read: %s", run.ID, e.Err)
	case e.State != run.State:
		c.broken("run %s was told to be %v and is %v", run.ID, e.State, run.State)
	case e.Value != w.Want:
		c.broken("run %s returned %q, want %q", run.ID, e.Value, w.Want)
	}
}

// asks: a run that was stopped is over at once, and one that was cancelled
// ends as that unless it had ended before.
func (c *check) asks() {
	for _, a := range c.s.Asks {
		run := c.rested[a.Run]
		if run == nil || !a.Done {
			continue
		}
		if a.Kind == Retry {
			if made := c.rested[a.Made]; made == nil || made.Of != a.Run {
				c.broken("run %s was made to try %s again and is not there, or tries another", a.Made, a.Run)
			}
			continue
		}
		for _, s := range c.s.Sights {
			if s.Run.ID != a.Run || s.Asked < a.Told || s.Run.State.Done() {
				continue
			}
			if a.Kind == Stop {
				c.broken("run %s is %v after it was stopped", a.Run, s.Run.State)
			} else if run.State != job.Canceled {
				c.broken("run %s was %v after it was cancelled, and ended as %v", a.Run, s.Run.State, run.State)
			}
		}
	}
}

// sights: epochs grow, a run only moves on, and one that is over stays as it
// is.
func (c *check) sights() {
	byRun, last := map[job.RunID][]Sight{}, 0
	for _, s := range c.s.Sights {
		byRun[s.Run.ID] = append(byRun[s.Run.ID], s)
		last = max(last, s.Told)
	}
	for id, all := range sorted(byRun) {
		if run := c.rested[id]; run != nil {
			all = append(all, Sight{last + 1, last + 1, *run})
		} else {
			c.broken("run %s was seen and is not there", id)
		}
		for i := range all {
			for k := range all {
				if all[i].Told < all[k].Asked {
					c.follows(&all[i].Run, &all[k].Run)
				}
			}
		}
	}
}

// follows checks what was seen of a run against what was seen of it earlier.
func (c *check) follows(before, after *job.Run) {
	switch {
	case after.Epoch < before.Epoch:
		c.broken("run %s was in epoch %d after %d", after.ID, after.Epoch, before.Epoch)
	case after.State < before.State, before.State.Done() && after.State != before.State:
		c.broken("run %s was %v after %v", after.ID, after.State, before.State)
	case before.State.Done() && differs(before, after) != "":
		c.broken("run %s was over and changed: %s", after.ID, differs(before, after))
	case before.CancelReason != "" && after.CancelReason != before.CancelReason:
		c.broken("run %s was to end because of %q, then because of %q", after.ID, before.CancelReason, after.CancelReason)
	case !continues(before.History, after.History):
		c.broken("the history of run %s was rewritten: %v after %v", after.ID, after.History, before.History)
	}
}

// continues reports whether a history goes on from an earlier one. Of a long
// one the beginning may be missing, which it says.
func continues(before, after []job.Happening) bool {
	if len(after) > 0 && strings.Contains(after[0].What, "left out") {
		return true
	}
	return len(after) >= len(before) && slices.EqualFunc(before, after[:len(before)], func(a, b job.Happening) bool {
		return a.What == b.What && a.At.Equal(b.At)
	})
}

// differs says what has changed of a run that is over, other than that its
// history has another line.
func differs(a, b *job.Run) string {
	x, y := *a, *b
	x.History, y.History = nil, nil
	vx, vy := reflect.ValueOf(x), reflect.ValueOf(y)
	var names []string
	for i := range vx.NumField() {
		fx, fy := vx.Field(i).Interface(), vy.Field(i).Interface()
		if t, ok := fx.(time.Time); ok && t.Equal(fy.(time.Time)) {
			continue
		}
		if !reflect.DeepEqual(fx, fy) {
			names = append(names, fmt.Sprintf("%s was %v and is %v", vx.Type().Field(i).Name, fx, fy))
		}
	}
	return strings.Join(names, ", ")
}

// pauses: no run of a job begins that was submitted while the job was paused.
func (c *check) pauses() {
	first := map[string]int{} // when a key was first asked for
	for _, u := range c.s.Submits {
		if at, ok := first[u.Key]; !ok || u.Asked < at {
			first[u.Key] = u.Asked
		}
	}
	for _, p := range c.s.Pauses {
		for _, s := range c.s.Sights {
			w := c.work[s.Run.Key]
			if w.Job == p.Job && first[w.Key] > p.From && s.Told < p.To && s.Run.Epoch > 0 {
				c.broken("run %s began in epoch %d although its job was paused", s.Run.ID, s.Run.Epoch)
			}
		}
	}
}

// FenceAfter is the Config.FenceAfter of all nodes. A node looks once a second
// whether it is over, and may wait for an answer for another.
const (
	FenceAfter = 3 * time.Second
	fenceSlack = 3 * time.Second
)

// fenced: a node that is cut off for long ends what it executes.
func (c *check) fenced() {
	const bound = FenceAfter + fenceSlack
	for _, cut := range c.s.Cuts {
		late := cut.From.Add(bound)
		for _, a := range c.s.Attempts {
			if a.Node == cut.Node && a.Began.Before(cut.From) && a.Ended.After(late) && cut.To.After(late) {
				c.broken("attempt %s was executed on node %s %v after that was cut off, want at most %v", a.Name, a.Node, min(a.Ended.Sub(cut.From), cut.To.Sub(cut.From)), bound)
			}
		}
	}
}

// fires: every fire that was due is one run, or was skipped; and so is every
// event, and the end of every run that a job waits for.
func (c *check) fires() {
	for _, d := range c.s.Jobs {
		if up, ok := strings.CutPrefix(d.Spec.Schedule.When, "upstream "); ok {
			up, _, _ = strings.Cut(up, " ")
			c.heard(&d, "upstream."+up, c.ends(up))
			continue
		}
		if strings.HasPrefix(d.Spec.Schedule.When, "event ") {
			c.heard(&d, "event.id", c.events())
			continue
		}
		every, err := time.ParseDuration(strings.TrimPrefix(d.Spec.Schedule.When, "every "))
		if err != nil {
			c.broken("job %s has a trigger that can't be checked: %v", d.Spec.Name, err)
			continue
		}
		due, runs, made, skipped := 0, 0, 0, 0
		for at := d.Saved.Truncate(every).Add(every); !at.After(d.Fires.Cursor); at = at.Add(every) {
			due++
			if run := c.rested[job.FireID(d.Spec.Namespace, d.Spec.Name, at)]; run != nil {
				runs++
				if !run.Fire.Equal(at) {
					c.broken("run %s is of the fire at %v", run.ID, run.Fire)
				}
			}
		}
		for _, n := range d.Fires.Skipped {
			skipped += n
		}
		for _, run := range c.s.Rested {
			if run.Spec.Name == d.Spec.Name && run.Origin != "" {
				made++
			}
		}
		if due != runs+skipped || runs != d.Fires.Runs || made != runs {
			c.broken("job %s had %d fires, which are %d runs and %d skipped; it tells of %d runs, and %d are of its trigger", d.Spec.Name, due, runs, skipped, d.Fires.Runs, made)
		}
	}
}

// events returns the events that were told, and whether they had to be heard.
func (c *check) events() map[string]bool {
	all := map[string]bool{}
	for _, e := range c.s.Events {
		all[e.ID] = all[e.ID] || e.Done
	}
	return all
}

// ends returns the runs of a job that have ended, which all had to be heard of.
func (c *check) ends(name string) map[string]bool {
	all := map[string]bool{}
	for id, run := range c.rested {
		if run.Spec.Name == name && run.State.Done() {
			all[string(id)] = true
		}
	}
	return all
}

// heard: what a job had to hear made one run of it, and what nobody told none.
func (c *check) heard(d *job.Declared, by string, told map[string]bool) {
	runs, made := map[string]int{}, 0
	for _, run := range c.s.Rested {
		if run.Spec.Name == d.Spec.Name {
			runs[run.Extra[by]]++
			made++
		}
	}
	for what, must := range sorted(told) {
		if n := runs[what]; n > 1 || must && n == 0 {
			c.broken("job %s made %d runs of %s %q, want one", d.Spec.Name, n, by, what)
		}
		delete(runs, what)
	}
	for what := range sorted(runs) {
		c.broken("job %s made a run of %s %q, which nobody told", d.Spec.Name, by, what)
	}
	if len(d.Fires.Skipped) > 0 || d.Fires.Runs != made || d.Fires.Waiting > 0 {
		c.broken("job %s has made %d runs and tells of %d, of %v skipped and of %d letters that wait", d.Spec.Name, made, d.Fires.Runs, d.Fires.Skipped, d.Fires.Waiting)
	}
}

// risen: what was there before all nodes were killed is there after.
func (c *check) risen() {
	after := map[job.RunID]*job.Run{}
	for i := range c.s.Risen {
		after[c.s.Risen[i].ID] = &c.s.Risen[i]
	}
	for id, run := range sorted(c.rested) {
		if now := after[id]; now == nil {
			c.broken("run %s is gone after all nodes were killed", id)
		} else {
			c.follows(run, now)
		}
	}
}

// copies: all servers have the same.
func (c *check) copies() {
	names := slices.Sorted(maps.Keys(c.s.Copies))
	if len(names) == 0 {
		c.broken("no server has a copy of the state")
		return
	}
	first := c.s.Copies[names[0]]
	for _, name := range names[1:] {
		other, keys := c.s.Copies[name], map[string]bool{}
		for key := range first {
			keys[key] = true
		}
		for key := range other {
			keys[key] = true
		}
		var different []string
		for key := range sorted(keys) {
			if a, b := first[key], other[key]; a != b {
				different = append(different, fmt.Sprintf("%q", key))
			}
		}
		if n := len(different); n > 0 {
			c.broken("servers %s and %s differ in %d of %d and %d records: %s", names[0], name, n, len(first), len(other), strings.Join(different[:min(n, 5)], ", "))
		}
	}
}

// sorted yields a map in the order of its keys.
func sorted[K ~string, V any](m map[K]V) func(yield func(K, V) bool) {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
