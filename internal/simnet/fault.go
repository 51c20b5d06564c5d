package simnet

import (
	"syscall"
	"time"
)

// Faults is what happens to packets on their way, each with a probability from
// 0 to 1. Streams are not affected.
type Faults struct {
	// Lose is how likely a packet is lost.
	Lose float64
	// Duplicate is how likely a packet comes twice.
	Duplicate float64
	// Reorder is how likely a packet is held up, so that later ones overtake.
	Reorder float64
	// Late is how long a packet is held up at most. Zero means 50 ms.
	Late time.Duration
}

// both does something to the links between two hosts in both directions.
func (n *Net) both(a, b string, change func(l *link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ha, hb := n.hostLocked(a), n.hostLocked(b)
	change(n.linkLocked(ha, hb))
	change(n.linkLocked(hb, ha))
	n.wakeLocked()
}

// Cut lets nothing through between a and b. Bytes of streams are held until
// the cut is healed, packets are lost, and dials wait.
func (n *Net) Cut(a, b string) {
	n.both(a, b, func(l *link) { l.cut = true })
}

// CutOneWay lets nothing through from one host to another; the other way
// stays open.
func (n *Net) CutOneWay(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.linkLocked(n.hostLocked(from), n.hostLocked(to)).cut = true
	n.wakeLocked()
}

// Isolate cuts a host off from all others, also from those made later.
func (n *Net) Isolate(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hostLocked(name).isolated = true
	n.wakeLocked()
}

// Freeze makes a host as one whose process is stopped: its machine accepts
// connections and what is sent to it, as far as there is room, and nothing is
// taken from there or sent until Heal.
func (n *Net) Freeze(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hostLocked(name).frozen = true
	n.wakeLocked()
}

// Heal ends all cuts, isolations and freezes. What Slow, Bandwidth and Packets have set
// stays.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.cut = false
	}
	for _, h := range n.hosts {
		h.isolated, h.frozen = false, false
	}
	n.wakeLocked()
}

// Slow makes everything between a and b travel for delay, and by chance up to
// jitter longer. Zero makes it fast again.
func (n *Net) Slow(a, b string, delay, jitter time.Duration) {
	n.both(a, b, func(l *link) { l.delay, l.jitter = delay, jitter })
}

// Bandwidth bounds what passes between a and b, in bytes a second each way.
// Zero means no bound.
func (n *Net) Bandwidth(a, b string, bytesPerSecond int64) {
	n.both(a, b, func(l *link) { l.bandwidth, l.busy = bytesPerSecond, time.Time{} })
}

// Packets sets what happens to packets between a and b.
func (n *Net) Packets(a, b string, f Faults) {
	n.both(a, b, func(l *link) { l.faults = f })
}

// Reset breaks all connections between a and b, even if they are cut: both
// ends fail at once, and what was on its way is lost.
func (n *Net) Reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ha, hb := n.hostLocked(a), n.hostLocked(b)
	for c := range ha.conns {
		if c.peer.host == hb {
			c.breakLocked(syscall.ECONNRESET)
			c.peer.breakLocked(syscall.ECONNRESET)
		}
	}
}

// wakeLocked makes all who wait for a link look again.
func (n *Net) wakeLocked() {
	n.change.changed()
	for _, h := range n.hosts {
		for c := range h.conns {
			c.in.change.changed()
		}
		for _, p := range h.packets {
			p.change.changed()
		}
	}
}
