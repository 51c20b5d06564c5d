package master

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// member is what the master keeps of one member.
type member struct {
	Member
	window  int           // tasks it is ready to hold
	out     int           // tasks it holds
	silence time.Duration // it gets no tasks before this
}

// enter adds a member, or takes in what is new about one.
func (m *Master) enter(e Member) *member {
	k := m.members[e.ID]
	if k == nil {
		// Until it says more, a member gets what keeps its slots busy while
		// the first outcomes are on their way.
		k = &member{window: 2 * max(e.Slots, 1)}
		m.members[e.ID] = k
	}
	if k.Unfit != "" && e.Unfit == "" {
		k.window = 2 * max(e.Slots, 1) // what it told last, it told when it took no work
	}
	k.Member = e
	return k
}

func (m *Master) joined(e Member) {
	if k := m.enter(e); k.silence > m.now {
		k.silence = 0
	}
	m.survey()
}

// left gives up every attempt that a member had, and the map output it held.
func (m *Master) left(id string) {
	k := m.members[id]
	if k == nil {
		m.desert(id)
		return
	}
	delete(m.members, id)
	m.survey()
	for _, t := range []*table{m.before, m.maps, m.reduces} {
		t.each(func(n int, task *task, c *chunk) {
			for i := range task.held {
				if task.held[i].member == k {
					m.giveUp(t, n, task, i)
				}
			}
		})
	}
	if m.run.Plan.Keyed && m.begun {
		m.remake(func(holder string) bool { return holder == id })
	}
	m.desert(id)
}

// giveUp forgets an attempt, and makes its task ready if it was the only one.
func (m *Master) giveUp(t *table, n int, k *task, i int) {
	k.held[i].member.out--
	k.held[i] = hold{}
	if k.state == placed && k.held[1-i].member == nil {
		k.state = ready
		t.running--
		t.retry = append(t.retry, n)
	}
}

// desert fails the task of a broadcast whose only member is gone.
func (m *Master) desert(id string) {
	i := slices.Index(m.run.Plan.Nodes, id)
	if i < 0 || !m.begun {
		return
	}
	k, _ := m.maps.touch(i)
	if k == nil || k.state.final() {
		return
	}
	if k.last == 0 {
		m.maps.unplaced--
	}
	o := job.Outcome{Task: job.TaskID{Kind: job.KindMap, N: i}, Attempt: 1, Failure: &job.Failure{
		Reason: fmt.Sprintf("member %s left before it was done", id), Permanent: true,
	}}
	m.effects = append(m.effects, Record{Member: id, Outcomes: []job.Outcome{o}})
	m.settleFailed(m.maps, i, &o)
}

// window takes in how much a member is ready to hold.
func (m *Master) window(e Window) {
	if k := m.members[e.Member]; k != nil {
		k.window = max(e.Tasks, 0)
	}
}

// undelivered takes back what may not have reached a member, and leaves it
// alone for a while.
func (m *Master) undelivered(e Undelivered) {
	k := m.members[e.Member]
	if k == nil {
		return
	}
	k.silence = max(k.silence, e.Until)
	for _, p := range e.Tasks {
		t := m.table(p.ID.Kind)
		task, _ := t.find(p.ID.N)
		if task == nil {
			continue
		}
		if i := task.holder(k, p.Attempt); i >= 0 {
			m.giveUp(t, p.ID.N, task, i)
		}
	}
}

// survey finds out anew which members may work on the run.
func (m *Master) survey() {
	p := m.run.Spec.Placement
	m.refused = nil
	var able []sharding.Member
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		k := m.members[id]
		if k.Unfit != "" {
			m.refused = append(m.refused, sharding.Refusal{Member: cmp.Or(k.Name, id), Reason: k.Unfit})
			continue
		}
		able = append(able, k.Member.Member)
	}
	fit, refused := sharding.Eligible(sharding.Constraint{
		Names: p.Nodes, Tags: p.Tags, MinCPU: p.MinCPU, MinMemory: p.MinMemory, MinDisk: p.MinDisk, MaxWorkers: p.MaxWorkers, Key: string(m.run.ID),
	}, able)
	m.fit = fit
	m.refused = append(m.refused, refused...)
}

// waiting says why nothing of the run is placed although tasks are ready.
func (m *Master) waiting() string {
	t := m.current()
	if !m.begun || m.done || t.running > 0 {
		return ""
	}
	if t.ready() == 0 && len(t.delayed) > 0 {
		next := t.delayed[0]
		return fmt.Sprintf("%v is tried again in %v", job.TaskID{Kind: t.kind, N: next.n}, max(next.at-m.now, 0).Round(time.Millisecond))
	}
	if t.ready() == 0 {
		return ""
	}
	if len(m.fit) == 0 {
		return cmp.Or(sharding.Explain(m.refused), "no worker: the pool has none")
	}
	return fmt.Sprintf("none of %d workers takes tasks now", len(m.fit))
}

// credit is how many more tasks a member may get.
func (k *member) credit(now time.Duration) int {
	if k == nil || k.silence > now {
		return 0
	}
	return max(k.window-k.out, 0)
}
