package master

import (
	"cmp"
	"math"
	"slices"
)

// isolate places suspects, ahead of all else.
func (m *Master) isolate(t *table) {
	for _, k := range m.emptied {
		k.emptied = false
	}
	m.emptied = m.emptied[:0]
	if len(t.alone) > 0 {
		m.singleOut(t)
	}
	if len(t.grouped) > 0 {
		m.group(t)
	}
}

// singleOut gives members to those that must be alone, at most half of the
// members at a time. One that has other work gets no more until it is done.
func (m *Master) singleOut(t *table) {
	var free []*member
	most := (len(m.fit) + 1) / 2
	for _, f := range m.fit {
		switch k := m.members[f.ID]; {
		case k.alone:
			most--
		case k.silence <= m.now && k.window > 0:
			free = append(free, k)
		}
	}
	slices.SortStableFunc(free, func(a, b *member) int { return cmp.Compare(a.out, b.out) })
	free = free[:max(min(most, len(free)), 0)]
	for len(free) > 0 && len(t.alone) > 0 {
		on := free[0]
		free = free[1:]
		if on.out > 0 {
			on.emptied = true
			m.emptied = append(m.emptied, on)
			continue
		}
		if n, k, c := t.next(&t.alone); k != nil {
			m.send(t, Assign{Member: on.ID, Lost: true, Tasks: []Placed{m.hold(t, n, k, c, on, alone)}})
		}
	}
}

// group gives each member that has none a group of suspects. Groups of the
// square root of all take the fewest rounds when one of them turns out to be
// the one and its members are then tried one by one.
func (m *Master) group(t *table) {
	size := int(math.Ceil(math.Sqrt(float64(len(t.grouped)))))
	for _, f := range m.fit {
		on := m.members[f.ID]
		if on.group > 0 {
			continue
		}
		a := Assign{Member: on.ID, Lost: true}
		for n := min(size, on.credit(m.now)); len(a.Tasks) < n; {
			i, k, c := t.next(&t.grouped)
			if k == nil {
				break
			}
			a.Tasks = append(a.Tasks, m.hold(t, i, k, c, on, grouped))
		}
		m.send(t, a)
	}
}
