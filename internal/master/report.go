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
	m.hear(k)
	if m.ending != nil {
		m.settleCalledOff(k, e.Outcomes)
		return
	}
	at, counted := len(m.effects), e.Outcomes[:0:0]
	for i := range e.Outcomes {
		o := &e.Outcomes[i]
		switch counts := !m.done && m.outcome(k, o); {
		case counts && len(counted) == i: // as mostly all do
			counted = e.Outcomes[: i+1 : i+1]
		case counts:
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
		task.held[i].release()
		m.by[k.ID]++
		m.ended++
		t.pace.saw(m.now - since)
		m.recall(task, o.Task, "another attempt at the task was first")
		m.succeeded(k.ID, m.run.Epoch, t, task, c, o)
		return true
	case f.Refused:
		if f.After > 0 {
			k.silence = max(k.silence, m.now+f.After)
		} else {
			k.Unfit = f.Reason
			m.survey()
		}
		m.giveUp(t, o.Task.N, task, i)
		return false
	case len(f.Lost) > 0:
		m.giveUp(t, o.Task.N, task, i)
		m.outputLost(f.Lost)
		return false
	}
	task.held[i].release()
	m.ended++
	task.avoid = k
	task.failures++
	delete(m.staged, attempt{o.Task, m.run.Epoch, o.Attempt})
	if o.Failure.Permanent || task.failures >= m.attempts() {
		o.Failure.Exhausted = !o.Failure.Permanent
		o.Failure.Permanent = true // for whoever reads the journal
		m.recall(task, o.Task, "the task has failed for good")
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
	t.settle(o.Task.N, k, c, done)
	key := attempt{o.Task, epoch, o.Attempt}
	for _, c := range m.staged[key] {
		if !c.pairs {
			m.maps.add(c)
		}
	}
	delete(m.staged, key)
}

// fail fails a task for good that has no final outcome, wherever it is. The
// member is where its last attempt was.
func (m *Master) fail(t *table, n int, on string, f *job.Failure) {
	k, c := t.touch(n)
	id := job.TaskID{Kind: t.kind, N: n}
	m.recall(k, id, f.Reason)
	switch {
	case k.state == placed:
		t.running--
	case k.queued:
		t.drop(n)
	case k.state == ready && n-c.first >= c.fresh:
		t.unplaced--
	}
	k.queued = false
	o := job.Outcome{Task: id, Attempt: max(k.last, 1), Failure: f}
	delete(m.staged, attempt{id, m.run.Epoch, o.Attempt})
	m.effects = append(m.effects, Record{Member: on, Outcomes: []job.Outcome{o}})
	m.settleFailed(t, n, &o)
}

// settleFailed gives a task its failure, and fails the run with it if that is
// more than the job tolerates. A task that is quarantined does not keep the
// others from their end.
func (m *Master) settleFailed(t *table, n int, o *job.Outcome) {
	k, c := t.find(n)
	t.settle(n, k, c, failed)
	reason := fmt.Sprintf("%v: %s", o.Task, firstLine(o.Failure.Reason))
	if o.Failure.Quarantined {
		t.quarantined = append(t.quarantined, reason)
		return
	}
	if too := m.intolerable(t, false); too != "" {
		if t == m.maps && t.failed > 1 {
			reason += "; " + too
		}
		m.hopeless = !o.Failure.Exhausted
		m.finish(job.Failed, reason)
	}
}

// intolerable says why more tasks of a table have failed than the job
// tolerates, which are map tasks. What was quarantined, and what is a share,
// is judged when all tasks have ended.
func (m *Master) intolerable(t *table, all bool) string {
	tol, n, allowed := m.run.Spec.Tolerate, t.failed, 0
	if !all {
		n -= len(t.quarantined)
	}
	if n == 0 {
		return ""
	}
	if t == m.maps {
		allowed = tol.Count
		if tol.Share > 0 {
			if !all {
				return ""
			}
			allowed = max(allowed, int(math.Floor(tol.Share*float64(t.total))))
		}
	}
	if n <= allowed {
		return ""
	}
	reason := fmt.Sprintf("%d of %d tasks failed, and the job tolerates %d", n, t.total, allowed)
	if all && len(t.quarantined) > 0 {
		reason = t.named() + "; " + reason
	}
	return reason
}

// stage takes in a chunk that an attempt hands over before it ends.
func (m *Master) stage(e Staged) {
	key := attempt{e.Task, e.Epoch, e.Attempt}
	if !m.begun {
		m.era(e.Epoch)
	} else {
		task, _ := m.table(e.Task.Kind).find(e.Task.N)
		if task == nil || task.state != placed || e.Epoch != m.run.Epoch || m.ending != nil ||
			int(task.held[0].attempt) != e.Attempt && int(task.held[1].attempt) != e.Attempt {
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
	m.era(e.Epoch)
	if len(m.intents) > 0 {
		delete(m.intents, o.Task)
	}
	t := m.table(o.Task.Kind)
	if t == nil {
		return
	}
	task, c := t.touch(o.Task.N)
	if task != nil && task.state == done && t == m.maps && m.run.Plan.Keyed && o.Failure == nil {
		// Its output was made anew, so that of before is of no use.
		m.by[task.winner.member]--
		m.by[e.Member]++
		m.ended++
		task.winner = outputRef{member: e.Member, epoch: e.Epoch, attempt: o.Attempt}
		return
	}
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
func (m *Master) remake(gone func(holder string) bool) (made int) {
	if m.reduces.over() || m.done {
		return 0
	}
	m.maps.each(func(n int, k *task, c *chunk) {
		if k.state == done && gone(k.winner.member) {
			m.redo(n, k, c)
			made++
		}
	})
	return made
}

func (m *Master) redo(n int, k *task, c *chunk) {
	m.by[k.winner.member]-- // it counts where it is made anew
	k.state, k.queued, k.winner = ready, false, outputRef{}
	m.maps.done--
	c.open++
	m.sources = nil
	if n-c.first < c.fresh {
		m.maps.again(n, k)
	} else {
		m.maps.unplaced++
	}
	if m.lost++; m.lost > maxLost*max(m.maps.total, 1) {
		m.finish(job.Failed, fmt.Sprintf("map output was lost %d times", m.lost))
	}
}

// recall takes a task back from where other attempts at it still are.
func (m *Master) recall(k *task, id job.TaskID, reason string) {
	for i := range k.held {
		if h := &k.held[i]; h.member != nil {
			m.effects = append(m.effects, Recall{Member: h.member.ID, Tasks: []job.TaskID{id}, Reason: reason})
			h.release()
		}
	}
}

// holder returns which of the task's attempts is attempt n on k, or -1.
func (t *task) holder(k *member, n int) int {
	for i, h := range t.held {
		if h.member == k && int(h.attempt) == n {
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
