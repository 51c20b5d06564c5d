package master

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/musterhq/muster/pkg/job"
)

// maxLost bounds how often map output is made anew, as a multiple of the map
// tasks: a run that loses all of it that often will not end by itself.
const maxLost = 20

// reported takes in how attempts ended, and records what counts of it.
func (m *Master) reported(e Reported) {
	k := m.members[e.Member]
	if k == nil {
		return // it left; what it had is placed anew
	}
	at := len(m.effects)
	var counted []job.Outcome
	for i := range e.Outcomes {
		if o := &e.Outcomes[i]; !m.done && m.outcome(k, o) {
			counted = append(counted, *o)
		}
	}
	if len(counted) > 0 {
		m.effects = slices.Insert(m.effects, at, Effect(Record{Member: e.Member, Outcomes: counted}))
	}
}

// outcome takes in one outcome and reports whether it counts. The outcome of
// an attempt that was given up does not, nor does one of a task that has its
// final outcome: the first one wins.
func (m *Master) outcome(k *member, o *job.Outcome) bool {
	t := m.table(o.Task.Kind)
	if t == nil {
		return false
	}
	task, c := t.find(o.Task.N)
	if task == nil {
		return false
	}
	i := task.holder(k, o.Attempt)
	if i < 0 {
		return false
	}
	since := task.held[i].since
	switch f := o.Failure; {
	case f == nil:
		task.held[i] = hold{}
		k.out--
		m.by[k.ID]++
		m.ended++
		m.pace.saw(m.now - since)
		m.recall(task, o.Task)
		m.succeeded(k.ID, m.run.Epoch, t, task, c, o)
		return true
	case f.Refused:
		k.Unfit = f.Reason
		m.survey()
		m.giveUp(t, o.Task.N, task, i)
		return false
	case len(f.Lost) > 0:
		m.giveUp(t, o.Task.N, task, i)
		m.outputLost(f.Lost)
		return false
	}
	task.held[i] = hold{}
	k.out--
	m.ended++
	task.avoid = k
	task.failures++
	delete(m.staged, attempt{o.Task, m.run.Epoch, o.Attempt})
	if o.Failure.Permanent || task.failures >= m.attempts() {
		o.Failure.Permanent = true // for whoever reads the journal
		m.recall(task, o.Task)
		t.running--
		m.settleFailed(t, o.Task.N, o)
		return true
	}
	if task.held[1-i].member == nil { // else the other attempt goes on
		t.running--
		m.backOff(t, o.Task.N, task, o.Failure)
	}
	return true
}

func (m *Master) backOff(t *table, n int, k *task, f *job.Failure) {
	wait := f.After
	if wait <= 0 {
		wait = m.run.Spec.Retry.Backoff.After(k.failures, m.chance)
	}
	k.state = waiting
	t.delay(n, m.now+wait)
}

// succeeded gives a task its result. Subtasks that its attempt emitted become
// part of the run.
func (m *Master) succeeded(holder string, epoch uint64, t *table, k *task, c *chunk, o *job.Outcome) {
	if k.state == placed {
		t.running--
	}
	if t == m.maps && m.run.Plan.Keyed {
		c.keep = true
		k.winner = outputRef{member: holder, epoch: epoch, attempt: o.Attempt}
		m.sources = nil
	}
	if t == m.before {
		m.result = slices.Clone(o.Result)
	}
	t.settle(k, c, done)
	key := attempt{o.Task, epoch, o.Attempt}
	for _, c := range m.staged[key] {
		if !c.pairs {
			m.maps.add(c)
		}
	}
	delete(m.staged, key)
}

// settleFailed fails a task for good, and the run with it if that is more
// than the job tolerates.
func (m *Master) settleFailed(t *table, n int, o *job.Outcome) {
	k, c := t.find(n)
	t.settle(k, c, failed)
	reason := fmt.Sprintf("%v: %s", o.Task, firstLine(o.Failure.Reason))
	if t != m.maps {
		m.finish(job.Failed, reason)
	} else if too := m.intolerable(false); too != "" {
		if m.maps.failed > 1 {
			reason += "; " + too
		}
		m.finish(job.Failed, reason)
	}
}

// intolerable says why more map tasks have failed than the job tolerates. A
// share can only be judged when all tasks are known.
func (m *Master) intolerable(all bool) string {
	tol, n := m.run.Spec.Tolerate, m.maps.failed
	allowed := tol.Count
	if tol.Share > 0 {
		if !all {
			return ""
		}
		allowed = max(allowed, int(math.Floor(tol.Share*float64(m.maps.total))))
	}
	if n <= allowed {
		return ""
	}
	return fmt.Sprintf("%d of %d tasks failed, and the job tolerates %d", n, m.maps.total, allowed)
}

// stage takes in a chunk that an attempt hands over before it ends.
func (m *Master) stage(e Staged) {
	key := attempt{e.Task, e.Epoch, e.Attempt}
	if m.begun {
		task, _ := m.table(e.Task.Kind).find(e.Task.N)
		if task == nil || task.state != placed || e.Epoch != m.run.Epoch ||
			task.held[0].attempt != e.Attempt && task.held[1].attempt != e.Attempt {
			m.refuse("attempt %d of %v was given up", e.Attempt, e.Task)
			return
		}
		if !e.Pairs && (m.run.Plan.Keyed || len(m.run.Plan.Nodes) > 0 || e.Task.Kind != job.KindMap) {
			m.refuse("%v can't emit subtasks: only tasks of standalone, map and sharded runs can", e.Task)
			return
		}
	}
	switch have := len(m.staged[key]); {
	case e.Index < have:
		return // it came twice
	case e.Index > have:
		m.refuse("chunk %d of %v came before chunk %d", e.Index, e.Task, have)
		return
	}
	m.staged[key] = append(m.staged[key], chunk{seq: e.Seq, n: e.N, parent: e.Task, pairs: e.Pairs})
	if m.begun {
		m.effects = append(m.effects, Keep{})
	}
}

func (m *Master) refuse(format string, args ...any) {
	m.effects = append(m.effects, Refuse{Reason: fmt.Sprintf(format, args...)})
}

// restore takes in an outcome that an earlier master recorded.
func (m *Master) restore(e Recorded) {
	o := &e.Outcome
	t := m.table(o.Task.Kind)
	if t == nil {
		return
	}
	task, c := t.touch(o.Task.N)
	if task == nil || task.state.final() {
		return
	}
	m.ended++
	switch {
	case o.Failure == nil:
		m.by[e.Member]++
		m.succeeded(e.Member, e.Epoch, t, task, c, o)
	case o.Failure.Permanent:
		m.settleFailed(t, o.Task.N, o)
	default:
		task.failures++
		return
	}
	if o.Task.N-c.first >= c.fresh {
		t.unplaced--
	}
}

// outputLost makes map output anew that a reduce attempt could not read. What
// was made anew since then is left alone.
func (m *Master) outputLost(lost []job.MapOutputID) {
	for _, id := range lost {
		k, c := m.maps.find(id.Task)
		if k != nil && k.state == done && k.winner.epoch == id.Epoch && k.winner.attempt == id.Attempt {
			m.redo(id.Task, k, c)
		}
	}
}

// remake makes map output anew that was on members that are gone, unless
// nothing needs it any more.
func (m *Master) remake(gone func(holder string) bool) {
	if m.reduces.over() {
		return
	}
	m.maps.each(func(n int, k *task, c *chunk) {
		if k.state == done && gone(k.winner.member) {
			m.redo(n, k, c)
		}
	})
}

func (m *Master) redo(n int, k *task, c *chunk) {
	k.state, k.winner = ready, outputRef{}
	m.maps.done--
	c.open++
	m.sources = nil
	if n-c.first < c.fresh {
		m.maps.retry = append(m.maps.retry, n)
	} else {
		m.maps.unplaced++
	}
	if m.lost++; m.lost > maxLost*max(m.maps.total, 1) {
		m.finish(job.Failed, fmt.Sprintf("map output was lost %d times", m.lost))
	}
}

// recall takes a task back from where other attempts at it still are.
func (m *Master) recall(k *task, id job.TaskID) {
	for i := range k.held {
		if h := &k.held[i]; h.member != nil {
			h.member.out--
			m.effects = append(m.effects, Recall{Member: h.member.ID, Tasks: []job.TaskID{id}})
			*h = hold{}
		}
	}
}

// holder returns which of the task's attempts is attempt n on k, or -1.
func (t *task) holder(k *member, n int) int {
	for i, h := range t.held {
		if h.member == k && h.attempt == n {
			return i
		}
	}
	return -1
}

func (m *Master) attempts() int {
	if n := m.run.Spec.Retry.Attempts; n > 0 {
		return n
	}
	return 4
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
