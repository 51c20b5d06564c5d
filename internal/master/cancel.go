package master

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// cancelGrace is how long a cancelled run waits for its attempts to end.
const cancelGrace = 30 * time.Second

// ending is a run that was cancelled, and waits for its attempts to end.
type ending struct {
	reason string
	until  time.Duration
}

// cancel calls off all that is placed. Nothing more is placed, and nothing
// that is reported counts any more; when all attempts have ended, or after a
// while, the run does.
func (m *Master) cancel(reason string) {
	if m.ending != nil {
		return
	}
	m.ending = &ending{reason, m.now + cancelGrace}
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		if m.members[id].out > 0 {
			m.effects = append(m.effects, Recall{Member: id, Reason: "the run was canceled: " + reason})
		}
	}
}

// endIfQuiet ends a cancelled run that has no attempts left.
func (m *Master) endIfQuiet() {
	if m.begun && m.ending != nil && !m.done && m.outstanding() == 0 {
		m.end()
	}
}

func (m *Master) end() { m.finish(job.Canceled, m.ending.reason) }

// outstanding is how many attempts are placed.
func (m *Master) outstanding() (n int) {
	for _, k := range m.members {
		n += k.out
	}
	return n
}

// settleCalledOff takes in that attempts which were called off have ended.
func (m *Master) settleCalledOff(k *member, outcomes []job.Outcome) {
	for i := range outcomes {
		o := &outcomes[i]
		t := m.table(o.Task.Kind)
		if t == nil {
			continue
		}
		task, _ := t.find(o.Task.N)
		if task == nil {
			continue
		}
		if at := task.holder(k, o.Attempt); at >= 0 {
			m.giveUp(t, o.Task.N, task, at)
		}
	}
}

// waitingForEnd says what a cancelled run waits for.
func (m *Master) waitingForEnd() string {
	return fmt.Sprintf("it was canceled: %s may take %v more to return", count(m.outstanding(), "attempt"), max(m.ending.until-m.now, 0).Round(time.Second))
}
