package node

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// The leader makes runs of fires. When each job is to be looked at is in the
// state, in the order of time, so the leader sleeps until the first of them,
// takes those that are due and settles each: it works out what becomes of the
// job's fires up to now, and has the state record the runs, what was skipped
// and how far that goes in one step. A leader that comes after, or one that was
// replaced and does not know, finds that step done.

const (
	// wakePage is how many jobs are taken together.
	wakePage = 4096
	// settlers is how many jobs are settled at a time: one may have to wait for
	// what is known of a processor, which must not keep the others.
	settlers = 512
)

// clock is the part of the leader that makes runs of fires.
type clock struct {
	l      *leader
	poke   bell // rung if a wake may have come nearer
	tables *tables
	ahead  *ahead
	storms *storms
}

func newClock(l *leader) *clock {
	c := &clock{l: l, poke: newBell(), tables: newTables()}
	c.ahead, c.storms = newAhead(c), newStorms(c)
	return c
}

// wake has the clock look at the state again.
func (c *clock) wake() {
	c.poke.ring()
}

// run settles what is due, as it becomes so, while the node leads.
func (c *clock) run() {
	c.l.whenDue(c.settleDue, "to settle triggers", c.poke, c.l.state.Mailed())
}

// settleDue settles the jobs whose time has come, and returns how long there
// are no others.
func (c *clock) settleDue() (next time.Duration, err error) {
	for {
		wakes, err := c.l.state.Wakes(c.l.n.wall(), wakePage)
		if err != nil {
			return 0, err
		}
		mail, err := c.l.state.Mail(wakePage)
		if err != nil {
			return 0, err
		}
		due := make(map[jobRef]bool, len(wakes))
		for _, w := range wakes {
			due[jobRef{w.Namespace, w.Name}] = true
		}
		for _, m := range mail { // a job that is resumed is due for both, and settled once
			if !due[jobRef{m.Namespace, m.Name}] {
				wakes = append(wakes, m)
			}
		}
		if len(wakes) == 0 {
			break
		}
		if err := c.settleAll(wakes); err != nil {
			return 0, err
		}
	}
	at, ok, err := c.l.state.NextWake()
	if err != nil || !ok {
		return time.Hour, err
	}
	return max(at.Sub(c.l.n.wall()), 0), nil
}

// settleAll settles jobs, many at a time.
func (c *clock) settleAll(wakes []state.Wake) error {
	var work, records sync.WaitGroup
	var failed failure
	ready, wakes := c.ahead.take(wakes)
	jobs, settled := make(chan state.Wake), make(chan state.Firing, firesInEntry)
	for range min(settlers, len(wakes)) {
		work.Go(func() {
			for w := range jobs {
				f, due, err := c.settle(w.Namespace, w.Name)
				if err == nil && due {
					settled <- f
				}
				failed.note(err)
			}
		})
	}
	for range recorders {
		records.Go(func() {
			for fs := range together(settled) {
				failed.note(c.fireAll(fs))
			}
		})
	}
	for _, p := range ready {
		f, err := c.ahead.unpack(p)
		if err != nil {
			failed.note(err) // it is still due, and settled anew
			continue
		}
		settled <- f
	}
	for _, w := range wakes {
		jobs <- w
	}
	close(jobs)
	work.Wait()
	close(settled)
	records.Wait()
	return failed.err
}

// settle works out what becomes of the fires of one job up to now, and reports
// whether there is anything to record. Where they are too many for one step it
// records all but the last.
func (c *clock) settle(namespace, name string) (f state.Firing, due bool, err error) {
	d, err := c.l.state.Job(namespace, name)
	if is(err, state.ErrNoJob) {
		return f, false, nil
	}
	if err != nil {
		return f, false, err
	}
	f = state.Firing{Namespace: namespace, Name: name, Revision: d.Revision, Seq: d.Fires.Seq, Cursor: d.Fires.Cursor}
	if d.Spec.Schedule.When == "" { // it is looked at when it is resumed, and never due
		return f, true, nil
	}
	table, err := c.tables.of(&d, c.l.state.Origin(), c.l.n.cfg.Calendars)
	if err != nil { // it was accepted once, by a node that knew more
		return f, false, fmt.Errorf("node: trigger of job %s/%s: %w", namespace, name, err)
	}
	if len(d.Spec.Listens()) > 0 {
		f, err = c.hear(&d, table)
		return f, err == nil, err
	}
	now := c.l.n.wall().UTC()
	if d.Fires.Wake.After(now) { // it was settled since it was found to be due
		return f, false, nil
	}
	s := scheduler.Settle(&d, table, now)
	for most := firesTogether(&d.Spec, 0); len(s.Runs) > most; {
		// The fires stay open until the last part. A leader that begins anew
		// finds the runs of the parts before made.
		part := f
		part.Wake, part.Runs = d.Fires.Wake, c.prepareAll(s.Runs[:most], d.Inline)
		if err := c.fireAll([]state.Firing{part}); err != nil {
			return f, false, err
		}
		s.Runs = s.Runs[most:]
		f.Seq++
	}
	f.Cursor, f.Wake, f.Ended, f.Skipped = s.Cursor, s.Wake, s.Ended, s.Skipped
	f.Runs = c.prepareAll(s.Runs, d.Inline)
	return f, true, nil
}

const (
	// firesAtOnce is how many runs are made in one step of the state at most,
	// and fireBytes how large their records may be together, about.
	firesAtOnce = 64
	fireBytes   = 2 << 20
)

// firesTogether is how many runs of a job are made in one step of the state,
// each of which has so many bytes more than the job.
func firesTogether(spec *job.Spec, more int) int {
	b, err := wire.EncodeRecord(spec)
	if err != nil {
		return 1
	}
	return min(max(fireBytes/(len(b)+more+aboutRun), 1), firesAtOnce)
}

func (c *clock) prepareAll(runs []job.Run, inline bool) []state.FiringRun {
	out := make([]state.FiringRun, 0, len(runs))
	for _, run := range runs {
		out = append(out, c.prepare(run, inline))
	}
	return out
}

// prepare plans a run, of a job whose input came with it if it is inline. One that
// can't be planned now, because its files are not there or no member has its
// processor, is made all the same, and says so when it ends: a fire is never lost.
func (c *clock) prepare(run job.Run, inline bool) state.FiringRun {
	ctx, cancel := context.WithTimeout(c.l.ctx, describeTimeout)
	defer cancel()
	plan := c.l.n.planAnew
	if inline {
		plan = c.l.n.planFire
	}
	chunks, err := plan(ctx, &run)
	if failed := c.l.n.overlapKey(&run); failed != nil {
		run.OverlapKey = string(run.ID) // it makes way for nobody, and nobody for it
		err = cmp.Or(failed, err)
	}
	if failed := c.l.n.limitKey(&run); failed != nil {
		run.LimitKey, err = "", cmp.Or(err, failed)
	}
	if err != nil {
		run.Unplanned = plain(err).Error()
	}
	return state.FiringRun{Run: run, Chunks: chunks}
}

// overlapKey works out among which runs of its trigger a run overlaps.
func (n *Node) overlapKey(run *job.Run) (err error) {
	if run.Spec.Schedule.OverlapKey == "" {
		return nil
	}
	if run.OverlapKey, err = n.keys.Of(run.Spec.Schedule.OverlapKey, run); err != nil {
		return fmt.Errorf("node: Schedule.OverlapKey: %w", bare(err))
	}
	return nil
}

// planFire plans a run of a declared job.
func (n *Node) planFire(ctx context.Context, run *job.Run) ([][]byte, error) {
	stored, err := n.state.JobChunks(run.Spec.Namespace, run.Spec.Name)
	if err != nil {
		return nil, err
	}
	if len(stored) > 0 { // its input came with the job, and so did the plan
		var model job.Run
		if err := wire.DecodeRecord(stored[0], &model); err != nil {
			return nil, err
		}
		run.Spec, run.Plan = model.Spec, model.Plan
		return stored[1:], nil
	}
	return n.planAnew(ctx, run)
}

// planAnew plans a run by what its spec says alone.
func (n *Node) planAnew(ctx context.Context, run *job.Run) ([][]byte, error) {
	p, err := n.plan(ctx, run)
	if err != nil {
		return nil, err
	}
	return p.entries, nil
}

// tables keeps the timetables of jobs that were asked for lately.
type tables struct {
	mu    sync.Mutex
	byJob map[string]tableOf // guarded by mu
}

type tableOf struct {
	revision uint64
	table    *trigger.Timetable
}

// maxTables bounds how many timetables are kept.
const maxTables = 1 << 17

func newTables() *tables { return &tables{byJob: map[string]tableOf{}} }

// of returns the timetable of a job as it is declared now.
func (t *tables) of(d *job.Declared, cluster string, calendars trigger.Calendars) (*trigger.Timetable, error) {
	key := d.Spec.Namespace + "/" + d.Spec.Name
	t.mu.Lock()
	has, ok := t.byJob[key]
	t.mu.Unlock()
	if ok && has.revision == d.Revision {
		return has.table, nil
	}
	table, err := d.Spec.Schedule.Bind(trigger.Binding{Cluster: cluster, Trigger: key, Saved: d.Saved, Calendars: calendars})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byJob) >= maxTables {
		clear(t.byJob)
	}
	t.byJob[key] = tableOf{d.Revision, table}
	return table, nil
}
