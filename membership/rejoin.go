package membership

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// tryAtOnce is how many addresses a round of rejoin dials: one that
	// answers brings all that it knows.
	tryAtOnce = 3
	// rarest is how many rejoin intervals lie between two calls at an address
	// where nobody answers. The first calls follow each other in a soonest part
	// of one: nodes that are started together need not wait for each other.
	rarest  = 6
	soonest = 32
)

// A missing is an address at which there may be a node that is not here.
type missing struct {
	fails int
	next  time.Time // when to dial it
}

// rejoin dials seeds and last known members that are not here. The gossip
// library never does: once both sides of a partition have forgotten the dead,
// nothing but a call brings them together again. While nobody is missing it
// sleeps.
func (l *List) rejoin() {
	gone := map[string]*missing{}
	l.review(gone, time.Now())
	for _, m := range gone {
		m.next = time.Time{} // at start nobody has been called yet
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var round time.Time
	for {
		select {
		case <-l.lost:
		case <-timer.C:
			l.call(gone)
			round = time.Now()
		case <-l.ctx.Done():
			return
		}
		now := time.Now()
		l.review(gone, now)
		timer.Stop()
		if len(gone) > 0 {
			next := now.Add(rarest * l.cfg.RejoinInterval)
			for _, m := range gone {
				if m.next.Before(next) {
					next = m.next
				}
			}
			// Rounds keep their distance even if many addresses are due.
			if first := round.Add(l.cfg.RejoinInterval / soonest); next.Before(first) {
				next = first
			}
			timer.Reset(next.Sub(now))
		}
	}
}

// review brings gone up to date with who is here.
func (l *List) review(gone map[string]*missing, now time.Time) {
	members := l.Members()
	here := make(map[string]bool, len(members))
	ids := make(map[string]bool, len(members))
	for _, m := range members {
		here[m.Addr], ids[m.ID] = true, true
	}
	want := map[string]bool{}
	for _, s := range l.cfg.Seeds {
		if !here[s] && !here[l.names.where(s)] && !l.isSelf(s) {
			want[s] = true
		}
	}
	for _, p := range l.known.peers(now) {
		if !ids[p.ID] && !here[p.Addr] && !l.isSelf(p.Addr) {
			want[p.Addr] = true
		}
	}
	for addr := range gone {
		if !want[addr] {
			delete(gone, addr)
		}
	}
	for addr := range want {
		if gone[addr] == nil {
			gone[addr] = &missing{next: now.Add(jitter(l.cfg.RejoinInterval / soonest))}
		}
	}
}

// call dials some of those that are due, seeds first.
func (l *List) call(gone map[string]*missing) {
	now := time.Now()
	var due []string
	for addr, m := range gone {
		if !m.next.After(now) {
			due = append(due, addr)
		}
	}
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	slices.SortStableFunc(due, func(a, b string) int {
		return l.rank(a) - l.rank(b)
	})
	due = due[:min(len(due), tryAtOnce)]

	errs := make([]error, len(due))
	var wg sync.WaitGroup
	for i, addr := range due {
		wg.Go(func() { errs[i] = l.join(addr) })
	}
	wg.Wait()
	if l.ctx.Err() != nil {
		return
	}
	for i, addr := range due {
		m := gone[addr]
		wait := l.cfg.RejoinInterval / soonest
		if errs[i] == nil {
			// It answered and is none of the members by that address, or it
			// will be removed from the missing in a moment.
			m.fails = 0
			wait = rarest * l.cfg.RejoinInterval
		} else {
			wait = min(wait<<min(m.fails, 8), rarest*l.cfg.RejoinInterval)
			m.fails++
			l.log.Debug("missing member does not answer", slog.String("addr", addr), slog.Int("fails", m.fails), slog.Any("err", errs[i]))
		}
		m.next = time.Now().Add(jitter(wait))
	}
}

// rank orders addresses to dial: seeds before others.
func (l *List) rank(addr string) int {
	if slices.Contains(l.cfg.Seeds, addr) {
		return 0
	}
	return 1
}
