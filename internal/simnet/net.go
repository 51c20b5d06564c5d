// Package simnet is a network in memory, whose links can be cut, slowed and
// made to lose packets.
//
// A Net has hosts, each with an address of its own; a Host listens and dials
// like a machine would, and satisfies transport.Network. Streams keep TCP's
// promises: bytes neither get lost nor change places, they only come late, or
// not at all until a cut is healed. Packets keep UDP's, which are none.
//
// There are no goroutines inside and no waits but on channels and timers, so
// that a Net works within a testing/synctest bubble, where an hour passes in
// no time. Chance comes from a seed; it is as repeatable as the order in which
// the program sends.
package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Net is a network of hosts. Its methods are safe for concurrent use; those
// that name hosts make the ones they do not know yet.
type Net struct {
	mu     sync.Mutex
	chance *rand.Rand           // guarded by mu
	hosts  map[string]*Host     // guarded by mu, by name
	byIP   map[netip.Addr]*Host // guarded by mu
	links  map[pair]*link       // guarded by mu
	change signal               // guarded by mu: a link or a listener is not as it was
}

// pair is a direction between two hosts.
type pair struct{ from, to *Host }

// link is what one direction between two hosts is like.
type link struct {
	cut           bool
	delay, jitter time.Duration
	bandwidth     int64     // bytes a second; zero means no bound
	busy          time.Time // when what was sent so far has left
	faults        Faults
}

// New returns a network without faults. The seed decides what chance does.
func New(seed uint64) *Net {
	return &Net{
		chance: rand.New(rand.NewPCG(seed, 0)),
		hosts:  make(map[string]*Host),
		byIP:   make(map[netip.Addr]*Host),
		links:  make(map[pair]*link),
	}
}

// Host returns the host of that name, which it makes if there is none.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hostLocked(name)
}

func (n *Net) hostLocked(name string) *Host {
	if h := n.hosts[name]; h != nil {
		return h
	}
	i := len(n.hosts)
	if i >= 250*250 {
		panic(fmt.Sprintf("simnet: host %q is one too many: a Net has room for %d", name, i))
	}
	h := &Host{
		net:       n,
		name:      name,
		ip:        netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i%250 + 1)}),
		listeners: make(map[int]*listener),
		packets:   make(map[int]*packetConn),
		conns:     make(map[*conn]struct{}),
		next:      firstFreePort,
		crashed:   make(chan struct{}),
	}
	n.hosts[name] = h
	n.byIP[h.ip] = h
	return h
}

func (n *Net) linkLocked(from, to *Host) *link {
	p := pair{from, to}
	l := n.links[p]
	if l == nil {
		l = &link{}
		n.links[p] = l
	}
	return l
}

// cutLocked reports whether nothing gets through from one host to another. A
// host always reaches itself.
func (n *Net) cutLocked(from, to *Host) bool {
	return from != to && (from.isolated || to.isolated || n.linkLocked(from, to).cut)
}

// heldLocked reports whether what one host has sent to another waits: the way
// is cut, or one of them is frozen.
func (n *Net) heldLocked(from, to *Host) bool {
	return n.cutLocked(from, to) || from != to && (from.frozen || to.frozen)
}

// latencyLocked returns how long a packet travels, by chance.
func (n *Net) latencyLocked(l *link) time.Duration {
	d := l.delay
	if l.jitter > 0 {
		d += time.Duration(n.chance.Int64N(int64(l.jitter) + 1))
	}
	return d
}

// arrivalLocked returns when size bytes that are sent now are there. The zero
// time means at once.
func (n *Net) arrivalLocked(l *link, size int) time.Time {
	if l.delay == 0 && l.jitter == 0 && l.bandwidth == 0 {
		return time.Time{}
	}
	leaves := time.Now()
	if l.bandwidth > 0 {
		if leaves.Before(l.busy) {
			leaves = l.busy
		}
		leaves = leaves.Add(time.Duration(float64(size) / float64(l.bandwidth) * float64(time.Second)))
		l.busy = leaves
	}
	return leaves.Add(n.latencyLocked(l))
}

// signal wakes all who wait for something to change. It is guarded by Net.mu.
type signal struct{ c chan struct{} }

// wait returns a channel that is closed at the next change.
func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) changed() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
