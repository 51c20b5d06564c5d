package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// maxQueued bounds the tasks of a run that wait here. A master that keeps to
// the window never gets near.
const maxQueued = 1 << 17

// Take queues the tasks of b and never waits. Those that the worker can't
// execute come back at once, as outcomes that say why; they were not started
// and do not count as attempts. An attempt that the worker has already taken,
// and whose outcome was not accepted yet, is not taken twice. Take keeps b,
// and rearranges its tasks.
//
// A batch of an epoch that is newer than what the worker has of the run cancels
// all of that with mapreduce.ErrFenced; a batch of an older one is refused.
func (w *Worker) Take(b job.Batch) (refused []job.Outcome) {
	p, refused, ok := w.fits(&b)
	if !ok {
		return refused
	}
	w.mu.Lock()
	stopped, more, hire := w.takeLocked(p, b, nil)
	w.mu.Unlock()
	stopped.now(errReplaced)
	w.hire(hire)
	return append(refused, more...)
}

// takenTogether is how many batches are taken without letting others in between:
// fewer keep attempts that end waiting for less long.
const takenTogether = 32

// TakeAll is Take for many batches at once, each of one task of a run of its own. It
// returns the numbers of those whose task was refused. The reports of these runs have
// via, for the host to know what to do with them.
func (w *Worker) TakeAll(all []job.Batch, via any) (refused []int) {
	n := 0
	for some := range slices.Chunk(all, takenTogether) {
		for _, i := range w.takeSome(some, via) {
			refused = append(refused, n+i)
		}
		n += len(some)
	}
	return refused
}

func (w *Worker) takeSome(some []job.Batch, via any) (refused []int) {
	var stop stopped
	hire := 0
	w.mu.Lock()
	for i := range some {
		p, why, ok := w.fits(&some[i])
		if ok {
			stopped, more, n := w.takeLocked(p, some[i], via)
			stop, why, hire = append(stop, stopped...), append(why, more...), hire+n
		}
		if len(why) > 0 {
			refused = append(refused, i)
		}
	}
	w.mu.Unlock()
	stop.now(errReplaced)
	w.hire(hire)
	return refused
}

// fits returns the processor of a batch, or false if the worker can't be of use to its
// run. It takes out the tasks that the worker can't execute.
func (w *Worker) fits(b *job.Batch) (p *processor, refused []job.Outcome, ok bool) {
	if b.Run == nil {
		return nil, refuse(b.Tasks, "worker: the batch does not say which run it is of"), false
	}
	p, why := w.find(b.Run)
	if why == "" && b.Run.Plan.Keyed && w.pairs == nil {
		why = fmt.Sprintf("worker: node %s has no shuffle, and the run has keys", w.cfg.Node)
	}
	if why != "" {
		return nil, refuse(b.Tasks, why), false
	}
	tasks := b.Tasks[:0]
	for i := range b.Tasks {
		t := &b.Tasks[i]
		if lack := p.lacks(b.Run, t.ID.Kind); lack != "" {
			refused = append(refused, refusal(t, fmt.Sprintf("worker: processor %q on node %s can't execute %v: want %s", p.name, w.cfg.Node, t.ID, lack)))
			continue
		}
		tasks = append(tasks, *t)
	}
	b.Tasks = tasks
	return p, refused, true
}

// takeLocked queues what fits. It returns the attempts of an older epoch that are to
// be stopped, what is refused all the same, and how many runners are to be hired.
func (w *Worker) takeLocked(p *processor, b job.Batch, via any) (stop stopped, refused []job.Outcome, hire int) {
	r, old, why := w.admitLocked(b.Run)
	if why != "" {
		return nil, refuse(b.Tasks, why), 0
	}
	stop = w.endLocked(old, errReplaced)
	if via != nil {
		r.via = via
	}
	refused = w.enqueueLocked(r, p, b)
	return stop, refused, w.hireLocked(r.startable())
}

// Via returns what came with the tasks of a run in an epoch, see TakeAll.
func (w *Worker) Via(id job.RunID, epoch uint64) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.runs.At(id); r != nil && r.epoch == epoch {
		return r.via
	}
	return nil
}

// find returns the run's processor, or why this node can't be of use.
func (w *Worker) find(r *job.Run) (*processor, string) {
	name := r.Spec.Processor
	p := w.processors[name]
	switch {
	case p == nil && len(w.processors) == 0:
		return nil, fmt.Sprintf("worker: node %s has no processor %q: none is registered there", w.cfg.Node, name)
	case p == nil:
		return nil, fmt.Sprintf("worker: node %s has no processor %q: registered are %s", w.cfg.Node, name, w.registered())
	case p.Version != r.Plan.Version:
		return nil, fmt.Sprintf("worker: processor %q on node %s is of version %q: the run was accepted with version %q", name, w.cfg.Node, p.Version, r.Plan.Version)
	}
	return p, ""
}

// registered names the processors, or the first of them if they are many.
func (w *Worker) registered() string {
	const most = 20
	names := slices.Sorted(maps.Keys(w.processors))
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// admitLocked returns what the worker has of r, made anew if need be, and what
// it had of an older epoch; or why it takes no tasks of it.
func (w *Worker) admitLocked(r *job.Run) (now, old *run, why string) {
	switch old = w.runs.At(r.ID); {
	case w.stopping:
		return nil, nil, mapreduce.ErrStopping.Error()
	case w.resting != nil:
		return nil, nil, ErrResting.Error()
	case w.over.has(r.ID, r.Created):
		return nil, nil, fmt.Sprintf("worker: run %s is over", r.ID)
	case old == nil:
	case r.Epoch < old.epoch:
		return nil, nil, fmt.Sprintf("worker: run %s has a master of epoch %d: one of epoch %d may not place its tasks", r.ID, old.epoch, r.Epoch)
	case r.Epoch == old.epoch:
		return old, nil, ""
	}
	now = newRun(r.ID, r.Epoch, r.Created)
	if old != nil {
		now.pace, now.total = old.pace, old.total
	}
	w.runs.Put(r.ID, now)
	return now, old, ""
}

// enqueueLocked queues the tasks of b, which it may rearrange.
func (w *Worker) enqueueLocked(r *run, p *processor, b job.Batch) (refused []job.Outcome) {
	r.limit = w.limit(b.Run)
	by := [ranks][]job.Task{fresh: b.Tasks[:0]}
	queued := r.queued
	for i := range b.Tasks {
		t := &b.Tasks[i]
		if r.taken.has(t.ID, t.Attempt) {
			continue
		}
		if queued >= maxQueued {
			o := refusal(t, fmt.Sprintf("worker: node %s has %d tasks of the run already: keep to its window", w.cfg.Node, maxQueued))
			o.Failure.After = time.Second
			refused = append(refused, o)
			continue
		}
		r.taken.add(t.ID, t.Attempt)
		queued++
		as := rankOf(t, b.Lost)
		by[as] = append(by[as], *t)
	}
	for as, tasks := range by {
		if len(tasks) == 0 {
			continue
		}
		b.Tasks = tasks
		r.add(&batch{Batch: b, rank: rank(as), processor: p})
		w.queued += len(tasks)
	}
	w.ready.push(r)
	w.busyLocked(r)
	return refused
}

// limit is how many attempts of r may execute here at a time.
func (w *Worker) limit(r *job.Run) int {
	if c := r.Spec.Concurrency; c > 0 {
		return min(c, w.cfg.Slots)
	}
	return w.cfg.Slots
}

func refuse(tasks []job.Task, why string) []job.Outcome {
	refused := make([]job.Outcome, len(tasks))
	for i := range tasks {
		refused[i] = refusal(&tasks[i], why)
	}
	return refused
}

// refusal is the outcome of an attempt that was not started.
func refusal(t *job.Task, why string) job.Outcome {
	return job.Outcome{Task: t.ID, Attempt: t.Attempt, Failure: &job.Failure{Reason: why, Refused: true}}
}

// memory is the runs that were forgotten lately, so that a batch which was on
// its way when its run ended does not start it again. A later run of the same
// ID differs in when it was created.
type memory struct {
	created roll.Of[time.Time]
	order   []job.RunID
}

// maxMemory is how many runs are remembered.
const maxMemory = 4096

func (m *memory) add(id job.RunID, created time.Time) {
	if _, ok := m.created.Get(id); !ok {
		m.order = append(m.order, id)
	}
	m.created.Put(id, created)
	if len(m.order) > maxMemory {
		m.created.Delete(m.order[0])
		m.order = m.order[1:]
	}
}

func (m *memory) has(id job.RunID, created time.Time) bool {
	at, ok := m.created.Get(id)
	return ok && at.Equal(created)
}
