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

// pace knows how long attempts of the run take.
type pace struct {
	recent []time.Duration // the latest, at most paceSize
	next   int
	look   time.Duration // when to look for slow tasks; zero is not now
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
	if m.run.Spec.NoBackups || t.ready() > 0 || t.running == 0 || len(m.fit) < 2 ||
		float64(t.done+t.failed) < backupShare*float64(t.total) {
		m.pace.look = 0
		return
	}
	if m.pace.look > m.now {
		return
	}
	slow, next := m.pace.slow(), time.Duration(0)
	t.each(func(n int, k *task, c *chunk) {
		if k.state != placed || k.held[1].member != nil || k.held[0].member == nil {
			return
		}
		if at := k.held[0].since + slow; at > m.now {
			if next == 0 || at < next {
				next = at
			}
			return
		}
		if on := m.freest(k.held[0].member, k.avoid); on != nil {
			m.send(t, Assign{Member: on.ID, Tasks: []Placed{m.hold(t, n, k, c, on)}})
		} else if next == 0 || next > m.now+slow {
			next = m.now + slow
		}
	})
	m.pace.look = next
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
