package master

import (
	"slices"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// place puts ready tasks on members that have credit.
func (m *Master) place() {
	if m.done {
		return
	}
	t := m.current()
	t.wake(m.now)
	if m.pins() {
		m.pin()
		return
	}
	if len(t.suspects) > 0 || len(m.emptied) > 0 {
		m.isolate(t)
	}
	if n := t.common(); n > 0 {
		p := m.run.Spec.Placement
		to := sharding.Placement{Strategy: sharding.Strategy(p.Strategy), Key: p.Affinity}
		for _, a := range sharding.Place(to, n, m.fit, m.inFlight, m.free, m.chance) {
			m.assign(t, m.members[a.Member], a.N)
		}
		m.elsewhere(t)
	}
	m.backUp(t)
}

// elsewhere places what is left of the tasks that are tried again and were
// kept from the member that they failed on.
func (m *Master) elsewhere(t *table) {
	var left []int
	for _, n := range t.retry {
		k, c := t.find(n)
		if k == nil || k.state != ready {
			continue
		}
		if on := m.freest(k.avoid, nil); on != nil {
			m.send(t, Assign{Member: on.ID, Tasks: []Placed{m.hold(t, n, k, c, on, mixed)}})
		} else {
			left = append(left, n)
		}
	}
	t.retry = left
}

func (m *Master) inFlight(id string) int { return m.members[id].out }
func (m *Master) free(id string) int     { return m.members[id].credit(m.now) }

// assign puts up to n tasks on k: first those that are tried again, except
// where they failed last if there is anywhere else.
func (m *Master) assign(t *table, k *member, n int) {
	// What an earlier master had in slots was lost with it, and nobody knows
	// which that was: as many tasks go ahead as a member gets at first.
	a := Assign{Member: k.ID, Lost: m.wary && !k.served, Tasks: make([]Placed, 0, n)}
	var skipped []int
	for len(t.retry) > 0 && len(a.Tasks) < n {
		i := t.retry[0]
		t.retry = t.retry[1:]
		task, c := t.find(i)
		switch {
		case task == nil || task.state != ready:
		case task.avoid == k && len(m.fit) > 1:
			skipped = append(skipped, i)
		default:
			a.Tasks = append(a.Tasks, m.hold(t, i, task, c, k, mixed))
		}
	}
	t.retry = append(skipped, t.retry...)
	for len(a.Tasks) < n {
		i, c := t.nextFresh()
		if c == nil {
			break
		}
		task, _ := t.touch(i)
		a.Tasks = append(a.Tasks, m.hold(t, i, task, c, k, mixed))
	}
	m.send(t, a)
}

// hold notes a further attempt at a task.
func (m *Master) hold(t *table, n int, k *task, c *chunk, on *member, as company) Placed {
	if m.limits {
		m.timed(t, n, on)
	}
	k.last = max(k.last, k.failures) + 1
	k.queued = false
	h := hold{member: on, attempt: int32(k.last), since: m.now, as: as}
	if k.held[0].member == nil {
		k.held[0] = h
	} else {
		k.held[1] = h
	}
	if k.state != placed {
		k.state = placed
		t.running++
	}
	on.out++
	switch as {
	case grouped:
		on.group++
	case alone:
		on.alone = true
	}
	return Placed{ID: job.TaskID{Kind: t.kind, N: n}, Attempt: k.last, Parent: c.parent, Seq: c.seq, At: n - c.first}
}

func (m *Master) send(t *table, a Assign) {
	if len(a.Tasks) == 0 {
		return
	}
	a.Before = m.result
	if t == m.reduces && m.run.Plan.Keyed {
		a.Sources = m.outputs()
	}
	m.intend(t, &a)
	m.members[a.Member].served = true
	m.effects = append(m.effects, a)
}

// pins reports whether the tasks to place have each a member of their own.
func (m *Master) pins() bool { return m.pinned(m.current()) }

func (m *Master) pinned(t *table) bool { return t == m.maps && len(m.run.Plan.Nodes) > 0 }

// pin places the tasks of a broadcast, each on its own member. One that is
// full gets its task all the same: there is nowhere else for it.
func (m *Master) pin() {
	for i, id := range m.run.Plan.Nodes {
		k, c := m.maps.find(i)
		if k == nil && (c == nil || c.open == 0) || k != nil && k.state != ready {
			continue
		}
		member := m.members[id]
		switch {
		case member == nil && m.now < m.patience:
			// Whoever accepted the run may know members that are news here.
		case member == nil:
			m.desert(id, id)
			if m.done {
				return
			}
		case member.Unfit == "" && member.silence <= m.now:
			k, c = m.maps.touch(i)
			if k.last == 0 {
				m.maps.unplaced--
			}
			m.send(m.maps, Assign{Member: id, Tasks: []Placed{m.hold(m.maps, i, k, c, member, mixed)}})
		}
	}
	m.maps.retry = nil
}

// outputs returns where the pairs of the map tasks are.
func (m *Master) outputs() []job.Source {
	if m.sources != nil {
		return m.sources
	}
	at := map[string]int{}
	m.sources = []job.Source{}
	m.maps.each(func(n int, k *task, _ *chunk) {
		if k.state != done {
			return
		}
		i, ok := at[k.winner.member]
		if !ok {
			i = len(m.sources)
			at[k.winner.member] = i
			m.sources = append(m.sources, job.Source{Node: k.winner.member})
		}
		m.sources[i].Maps = append(m.sources[i].Maps, job.MapOutputID{Task: n, Epoch: k.winner.epoch, Attempt: k.winner.attempt})
	})
	slices.SortFunc(m.sources, func(a, b job.Source) int {
		if a.Node < b.Node {
			return -1
		}
		return 1
	})
	return m.sources
}
