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
	silence time.Duration // it gets no tasks before this, ...
	mute    bool          // ... or until it is heard of
	heard   time.Duration // when it last said something, or had nothing to say
	doubt   []job.TaskID  // tasks that may have reached it, though it did not say so
	group   int           // suspects it holds in a group
	alone   bool          // a suspect has it to itself
	emptied bool          // it gets nothing until it holds nothing
	served  bool          // it has got tasks from this master
}

// called is the member's name, or its ID if it has none.
func (k *member) called() string { return cmp.Or(k.Name, k.ID) }

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
	if k := m.members[e.ID]; k != nil && k.Life != e.Life {
		m.left(e.ID)
	}
	if k := m.enter(e); k.silence > m.now {
		k.silence = 0
	}
	m.survey()
}

// left gives up every attempt that a member had, and the map output it held.
func (m *Master) left(id string) {
	k := m.members[id]
	if k == nil {
		m.desert(id, id)
		return
	}
	delete(m.members, id)
	m.survey()
	lost := m.held(k)
	if m.ending == nil {
		m.lose(id, k.Name, append(slices.Clone(lost), k.doubt...))
	}
	if m.giveUpAll(k, func(*hold) bool { return true }); len(lost) > 0 && m.ending == nil {
		m.note("member %s left: %s placed anew", k.called(), count(len(lost), "task"))
	}
	if m.ending == nil {
		m.condemn(id)
	}
	if m.run.Plan.Keyed && m.begun && m.ending == nil {
		if n := m.remake(func(holder string) bool { return holder == id }); n > 0 {
			m.note("map output of %s was lost with member %s: made again", count(n, "task"), k.called())
		}
	}
	m.desert(id, k.called())
}

// held returns the tasks that a member holds and that can go elsewhere.
func (m *Master) held(k *member) (tasks []job.TaskID) {
	if k.out == 0 {
		return nil
	}
	for _, t := range m.tables() {
		if m.pinned(t) {
			continue
		}
		t.each(func(n int, task *task, _ *chunk) {
			if task.held[0].member == k || task.held[1].member == k {
				tasks = append(tasks, job.TaskID{Kind: t.kind, N: n})
			}
		})
	}
	return tasks
}

// giveUpAll forgets the attempts on a member that which chooses, and returns
// their tasks.
func (m *Master) giveUpAll(k *member, which func(*hold) bool) (tasks []job.TaskID) {
	if k.out == 0 {
		return nil
	}
	for _, t := range m.tables() {
		t.each(func(n int, task *task, _ *chunk) {
			for i := range task.held {
				if h := &task.held[i]; h.member == k && which(h) {
					m.giveUp(t, n, task, i)
					tasks = append(tasks, job.TaskID{Kind: t.kind, N: n})
				}
			}
		})
	}
	return tasks
}

// giveUp forgets an attempt, and makes its task ready if it was the only one.
func (m *Master) giveUp(t *table, n int, k *task, i int) {
	k.held[i].release()
	if k.state == placed && k.held[1-i].member == nil {
		t.running--
		t.again(n, k)
	}
}

// desert fails the task of a broadcast whose only member is gone.
func (m *Master) desert(id, called string) {
	i := slices.Index(m.run.Plan.Nodes, id)
	if i < 0 || !m.begun || m.done || m.ending != nil {
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
		Reason: fmt.Sprintf("member %s left before it was done", called), Permanent: true, Exhausted: true,
	}}
	m.effects = append(m.effects, Record{Member: id, Outcomes: []job.Outcome{o}})
	m.settleFailed(m.maps, i, &o)
}

// window takes in how much a member is ready to hold.
func (m *Master) window(e Window) {
	if k := m.members[e.Member]; k != nil {
		k.window = max(e.Tasks, 0)
		m.hear(k)
	}
}

// undelivered takes back what may not have reached a member, and leaves it
// alone for a while. If the member turns out to be lost, what may have reached
// it was lost with it.
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
			if e.Sent {
				k.doubt = append(k.doubt, p.ID)
			}
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
	if m.ending != nil && !m.done {
		return m.waitingForEnd()
	}
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
	refused := slices.Clone(m.refused)
	for _, f := range m.fit {
		refused = append(refused, sharding.Refusal{Member: f.ID, Reason: m.members[f.ID].busy(m.now)})
	}
	return sharding.Explain(refused)
}

// busy says why a member that may work gets no more tasks now.
func (k *member) busy(now time.Duration) string {
	switch {
	case k.silence > now:
		return "has refused tasks, or not answered, a moment ago"
	case k.alone || k.emptied:
		return "is kept for tasks that may have cost others their node"
	}
	return sharding.NoFreeSlots
}

// credit is how many more tasks a member may get.
func (k *member) credit(now time.Duration) int {
	if k == nil || k.silence > now || k.alone || k.emptied {
		return 0
	}
	return max(k.window-k.out, 0)
}
