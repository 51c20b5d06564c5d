package node

import (
	"math"
	"time"
)

// Runs that are submitted together begin together, or else each waits, and is
// begun, by itself, which is far more work for everybody than to execute most. So
// who submits many waits a moment for those that go on to make room.

// roomWithin is how long that moment is at most.
const roomWithin = 500 * time.Millisecond

// wanted is room that is waited for.
type wanted struct {
	runs int
	made chan struct{} // closed when there is that much
}

// awaitRoom returns when so many runs may go on beside those that do, as far as
// Config.MaxRuns has a say in it, or a moment later.
func (l *leader) awaitRoom(runs int) {
	l.mu.Lock()
	runs = min(runs, max(l.n.cfg.MaxRuns/2, 1))
	if l.admit.Left() >= runs {
		l.mu.Unlock()
		return
	}
	w := &wanted{runs, make(chan struct{})}
	l.wanted = append(l.wanted, w)
	l.mu.Unlock()
	moment := time.NewTimer(roomWithin)
	defer moment.Stop()
	select {
	case <-w.made:
	case <-moment.C:
		l.mu.Lock()
		w.runs = math.MinInt // whoever ends next forgets it
		l.mu.Unlock()
	case <-l.ctx.Done():
	}
}

// madeLocked tells those who wait for room that it is there.
func (l *leader) madeLocked() {
	left := l.wanted[:0]
	for _, w := range l.wanted {
		if l.admit.Left() < w.runs {
			left = append(left, w)
			continue
		}
		close(w.made)
	}
	l.wanted = left
}
