package master

import (
	"slices"
	"time"
)

// A task that is slow when most of its kind are done may be on a slow node,
// and a second attempt elsewhere costs little then and may save a lot: the
// backup tasks of the MapReduce paper. The first of the two outcomes wins.

const (
	backupShare = 0.75            // of the tasks must be done
	backupSlow  = 1.5             // times the median is slow
	backupLeast = 2 * time.Second // less is never slow
)

// pace knows how long attempts at the tasks of a table take, and which are
// slow.
type pace struct {
	recent []time.Duration // the latest, at most paceSize
	next   int
	look   time.Duration // when to look for slow tasks; zero is not now
	late   []int         // slow tasks that wait for a member with room
}

const paceSize = 101

func (p *pace) saw(d time.Duration) {
	if len(p.recent) < paceSize {
		p.recent = append(p.recent, d)
		return
	}
	p.recent[p.next] = d
	p.next = (p.next + 1) % paceSize
}

// slow is how long an attempt may take before it counts as slow.
func (p *pace) slow() time.Duration {
	if len(p.recent) == 0 {
		return backupLeast
	}
	sorted := slices.Sorted(slices.Values(p.recent))
	return max(backupLeast, time.Duration(backupSlow*float64(sorted[len(sorted)/2])))
}

// backUp starts second attempts at tasks that are slow, when nothing else is
// left to start. It looks at the tasks that are placed only when one of them
// may have become slow.
func (m *Master) backUp(t *table) {
	p := &t.pace
	if m.run.Spec.NoBackups || t.ready() > 0 || t.running == 0 || len(m.fit) < 2 || !t.allButDone() {
		p.look, p.late = 0, nil
		return
	}
	if p.look <= m.now {
		m.lookForSlow(t)
	}
	if len(p.late) > 0 {
		m.backUpLate(t)
	}
}

// allButDone reports whether most tasks have their final outcome, or all but
// one of three.
func (t *table) allButDone() bool {
	over := t.done + t.failed
	return float64(over) >= backupShare*float64(t.total) || over >= max(t.total-1, 2)
}

// lookForSlow finds out which tasks are slow, and when it should look again.
func (m *Master) lookForSlow(t *table) {
	p := &t.pace
	slow := p.slow()
	p.look, p.late = 0, p.late[:0]
	t.each(func(n int, k *task, _ *chunk) {
		if !k.single() {
			return
		}
		if at := k.held[0].since + slow; at <= m.now {
			p.late = append(p.late, n)
		} else if p.look == 0 || at < p.look {
			p.look = at
		}
	})
}

// single reports whether there is one attempt at the task.
func (k *task) single() bool {
	return k.state == placed && k.held[0].member != nil && k.held[1].member == nil
}

// backUpLate starts a second attempt at slow tasks as far as other members
// have room.
func (m *Master) backUpLate(t *table) {
	left := t.pace.late[:0]
	to := map[*member][]Placed{}
	for _, n := range t.pace.late {
		k, c := t.find(n)
		if k == nil || !k.single() {
			continue
		}
		as := mixed
		if s := t.suspects[n]; s != nil {
			as = grouped
			if s.last {
				continue // two members at once are too much to risk for it
			}
		}
		on := m.freest(k.held[0].member, k.avoid)
		if on == nil || as == grouped && on.group > 0 {
			left = append(left, n)
			continue
		}
		to[on] = append(to[on], m.hold(t, n, k, c, on, as))
	}
	if t.pace.late = left; len(left) > 0 && t.pace.look == 0 {
		t.pace.look = m.now + backupLeast // somebody may be silent only for now
	}
	for _, f := range m.fit {
		if k := m.members[f.ID]; to[k] != nil {
			m.send(t, Assign{Member: f.ID, Tasks: to[k]})
		}
	}
}

// freest returns the fit member with the most credit, other than two.
func (m *Master) freest(not, nor *member) (best *member) {
	for _, f := range m.fit {
		k := m.members[f.ID]
		if k == not || k == nor || k.credit(m.now) == 0 {
			continue
		}
		if best == nil || k.credit(m.now) > best.credit(m.now) {
			best = k
		}
	}
	return best
}
