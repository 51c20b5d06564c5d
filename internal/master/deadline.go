package master

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// silenceGrace is how much longer than an attempt may take a member that has
// attempts may be silent. A worker abandons an attempt that ignores its end
// well before, and says so.
const silenceGrace = 30 * time.Second

// expire does what is due at this moment.
func (m *Master) expire() {
	switch {
	case m.ending != nil:
		if m.now >= m.ending.until {
			m.end()
		}
		return
	case m.deadline > 0 && m.now >= m.deadline:
		reason := fmt.Sprintf("it took longer than its RunTimeout of %v", m.run.Spec.RunTimeout)
		if w := m.waiting(); w != "" {
			reason += "; it waited: " + w
		}
		m.finish(job.Failed, reason)
		return
	}
	if m.begun && m.overdue > 0 && m.now >= m.overdue {
		m.failOverdue()
	}
	if m.begun && m.hung > 0 && m.now >= m.hung {
		m.leaveHung()
	}
}

// timed notes that a task is placed on a member, for what has a time limit.
func (m *Master) timed(t *table, n int, on *member) {
	if limit := m.run.Spec.TaskTimeout; limit > 0 {
		if t.begun == nil {
			t.begun = map[int]time.Duration{}
		}
		if _, ok := t.begun[n]; !ok {
			t.begun[n] = m.now
			if m.overdue == 0 {
				m.overdue = m.now + limit
			}
		}
	}
	if limit := m.run.Spec.AttemptTimeout; limit > 0 {
		if on.out == 0 {
			on.heard = m.now
		}
		if m.hung == 0 {
			m.hung = m.now + limit + silenceGrace
		}
	}
}

// failOverdue fails the tasks that are past their time.
func (m *Master) failOverdue() {
	limit := m.run.Spec.TaskTimeout
	m.overdue = 0
	for _, t := range m.tables() {
		for _, n := range slices.Sorted(maps.Keys(t.begun)) {
			if m.done {
				return
			}
			if at := t.begun[n] + limit; at > m.now {
				if m.overdue == 0 || at < m.overdue {
					m.overdue = at
				}
				continue
			}
			k, _ := t.find(n)
			m.fail(t, n, "", &job.Failure{Permanent: true, Exhausted: true, Reason: fmt.Sprintf(
				"it took longer than its TaskTimeout of %v, in %s", limit, count(max(k.last, 1), "attempt"))})
		}
	}
}

// leaveHung gives up what is on members that have been silent for longer than
// an attempt may take. It is tried elsewhere; the member gets nothing more
// until it is heard of, or for a while.
func (m *Master) leaveHung() {
	limit := m.run.Spec.AttemptTimeout + silenceGrace
	m.hung = 0
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		k := m.members[id]
		if k.out == 0 {
			continue
		}
		if k.heard+limit <= m.now {
			tasks := m.giveUpAll(k, func(h *hold) bool { return h.since+limit <= m.now })
			if len(tasks) > 0 {
				m.effects = append(m.effects, Recall{Member: id, Tasks: tasks, Reason: "the worker was silent for too long"})
				m.note("member %s was silent for %v: %s placed anew", k.called(), limit, count(len(tasks), "task"))
			}
			k.heard, k.silence, k.mute = m.now, m.now+limit, true
		}
		if k.out > 0 && (m.hung == 0 || k.heard+limit < m.hung) {
			m.hung = k.heard + limit
		}
	}
}

// hear notes that a member has said something.
func (m *Master) hear(k *member) {
	k.heard = m.now
	k.doubt = nil
	if k.mute {
		k.mute, k.silence = false, 0
	}
}
