package simnet

import (
	"sync"
	"time"
)

// deadline is a point in time that can be moved while others wait for it.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer   // guarded by mu; nil if no time is to come
	expired chan struct{} // guarded by mu; closed when the time is there
	stopped bool          // guarded by mu
}

func (d *deadline) init() { d.expired = make(chan struct{}) }

// wait returns a channel that is closed when the deadline is over. Whoever
// waits while it is moved waits for it where it was moved to.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

func (d *deadline) over() bool {
	select {
	case <-d.wait():
		return true
	default:
		return false
	}
}

// set moves the deadline. The zero time means never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer is just closing it
	}
	d.timer = nil
	over := isClosed(d.expired)
	if t.IsZero() || d.stopped {
		if over {
			d.expired = make(chan struct{})
		}
		return
	}
	if wait := time.Until(t); wait > 0 {
		if over {
			d.expired = make(chan struct{})
		}
		expired := d.expired
		d.timer = time.AfterFunc(wait, func() { close(expired) })
		return
	}
	if !over {
		close(d.expired)
	}
}

// stop forgets the deadline for good, when the connection is closed.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	if d.timer != nil && d.timer.Stop() {
		d.timer = nil
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
