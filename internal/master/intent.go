package master

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/musterhq/muster/pkg/job"
)

// Losses must survive the master, or a task that kills the node on which the
// master lives would never be found out. The losses that a master sees it
// records. What is lost together with the master itself its successor works
// out from what was about to be placed there, which is recorded first. That
// costs nothing as long as nothing is lost: only suspects are recorded so, and
// all tasks once a master was.

// intent is a placement in the journal that nothing is known of yet.
type intent struct {
	member, name string
	life         uint64
}

// intend has it recorded that tasks are about to be placed where the master
// lives, or that they are there no more.
func (m *Master) intend(t *table, a *Assign) {
	if !m.wary && len(t.suspects) == 0 {
		return
	}
	own := a.Member == m.run.Master
	var here, gone []job.TaskID
	for _, p := range a.Tasks {
		switch k, _ := t.find(p.ID.N); {
		case own && (m.wary || t.suspects[p.ID.N] != nil):
			k.noted = true
			here = append(here, p.ID)
		case k.noted:
			k.noted = false
			gone = append(gone, p.ID)
		}
	}
	if len(gone) > 0 {
		m.effects = append(m.effects, Intend{Tasks: gone})
	}
	if k := m.members[a.Member]; len(here) > 0 {
		m.effects = append(m.effects, Intend{Member: k.ID, Name: cmp.Or(k.Name, k.ID), Life: k.Life, Tasks: here})
	}
}

// intended takes in what an earlier master was about to place.
func (m *Master) intended(e Intended) {
	m.era(e.Epoch)
	for _, id := range e.Tasks {
		if e.Member == "" {
			delete(m.intents, id)
		} else {
			m.intents[id] = intent{e.Member, e.Name, e.Life}
		}
	}
}

// restoreLost takes in what an earlier master lost.
func (m *Master) restoreLost(e Lost) {
	m.era(e.Epoch)
	for _, id := range e.Tasks {
		delete(m.intents, id)
		if t := m.table(id.Kind); t != nil {
			if k, _ := t.touch(id.N); k != nil && !k.state.final() {
				m.blame(t, id.N, e.Name)
			}
		}
	}
}

// handedOver takes in that a master ended in good order.
func (m *Master) handedOver(e HandedOver) {
	m.era(e.Epoch)
	clear(m.intents)
	m.handovers++
}

// era notes that a master had begun. What its predecessor was about to place
// it has judged by then, before all else that it recorded.
func (m *Master) era(epoch uint64) {
	if epoch > m.latest {
		m.latest = epoch
		clear(m.intents)
	}
}

// inherit judges what was about to be placed where the master before lived: if
// that member is gone, or was restarted, it was lost. Then suspects wait for
// their turn.
func (m *Master) inherit() {
	m.wary = m.run.Epoch > 1 && m.run.Epoch-1 > m.handovers
	lost := map[intent][]job.TaskID{}
	for id, i := range m.intents {
		if k := m.members[i.member]; k == nil || k.Life != i.life {
			lost[i] = append(lost[i], id)
		}
	}
	m.intents = nil
	for _, i := range slices.SortedFunc(maps.Keys(lost), func(a, b intent) int { return cmp.Compare(a.member, b.member) }) {
		tasks := lost[i]
		slices.SortFunc(tasks, compareTasks)
		m.note("%s lost with member %s, where the run's master lived", count(len(tasks), "task"), i.name)
		m.lose(i.member, i.name, tasks)
	}
	for _, t := range m.tables() {
		for _, n := range slices.Sorted(maps.Keys(t.suspects)) {
			if k, _ := t.touch(n); k.state == ready && !k.queued {
				t.unplaced--
				t.again(n, k)
			}
		}
	}
	m.condemn("")
}

func compareTasks(a, b job.TaskID) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.N, b.N))
}

// count is a number of things in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
