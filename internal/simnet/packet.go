package simnet

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	maxPacket   = 65507
	packetQueue = 4096 // packets that a socket holds; what is more is lost
)

// packetConn is a socket for packets. What has arrived or will is in its
// queue, in order of arrival.
type packetConn struct {
	host     *Host
	port     int
	deadline deadline

	// All guarded by Net.mu.
	queue  []packet
	closed bool
	change signal
}

type packet struct {
	data []byte
	from *net.UDPAddr
	due  time.Time
}

// ListenPacket receives packets at addr, which is as in Listen.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	port, err := bindLocked(h, h.packets, "listen", "udp", addr)
	if err != nil {
		return nil, err
	}
	p := &packetConn{host: h, port: port}
	p.deadline.init()
	h.packets[port] = p
	return p, nil
}

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n := p.host.net
	for {
		if p.deadline.over() {
			return 0, nil, p.fail("read", os.ErrDeadlineExceeded)
		}
		n.mu.Lock()
		if p.closed {
			n.mu.Unlock()
			return 0, nil, p.fail("read", net.ErrClosed)
		}
		var due time.Time
		if len(p.queue) > 0 && !p.host.frozen {
			first := p.queue[0]
			if !first.due.After(time.Now()) {
				p.queue[0] = packet{}
				p.queue = p.queue[1:]
				n.mu.Unlock()
				return copy(b, first.data), first.from, nil
			}
			due = first.due
		}
		change := p.change.wait()
		n.mu.Unlock()
		wait(change, &p.deadline, due)
	}
}

// WriteTo sends a packet. As with UDP, that it got lost, or that nobody is
// there, is no error.
func (p *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if len(b) > maxPacket {
		return 0, p.fail("write", syscall.EMSGSIZE)
	}
	host, port, err := split(addr.String())
	if err != nil {
		return 0, p.fail("write", err)
	}
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.closed {
		return 0, p.fail("write", net.ErrClosed)
	}
	to := n.findLocked(p.host, host)
	if to == nil || n.cutLocked(p.host, to) || p.host.frozen && p.host != to {
		return len(b), nil
	}
	l := n.linkLocked(p.host, to)
	copies := 1
	if n.happensLocked(l.faults.Lose) {
		copies = 0
	} else if n.happensLocked(l.faults.Duplicate) {
		copies = 2
	}
	for range copies {
		due := n.packetArrivalLocked(l, len(b))
		if at := to.packets[port]; at != nil {
			at.arriveLocked(packet{append([]byte(nil), b...), p.udpAddr(), due})
		}
	}
	return len(b), nil
}

func (n *Net) happensLocked(probability float64) bool {
	return probability > 0 && n.chance.Float64() < probability
}

func (n *Net) packetArrivalLocked(l *link, size int) time.Time {
	due := n.arrivalLocked(l, size)
	if !n.happensLocked(l.faults.Reorder) {
		return due
	}
	if due.IsZero() {
		due = time.Now()
	}
	late := l.faults.Late
	if late == 0 {
		late = 50 * time.Millisecond
	}
	return due.Add(time.Duration(n.chance.Int64N(int64(late) + 1)))
}

// arriveLocked puts a packet where its time of arrival belongs.
func (p *packetConn) arriveLocked(k packet) {
	if len(p.queue) >= packetQueue {
		return
	}
	i := len(p.queue)
	for i > 0 && p.queue[i-1].due.After(k.due) {
		i--
	}
	p.queue = slices.Insert(p.queue, i, k)
	p.change.changed()
}

func (p *packetConn) Close() error {
	p.host.net.mu.Lock()
	defer p.host.net.mu.Unlock()
	if p.closed {
		return p.fail("close", net.ErrClosed)
	}
	p.closeLocked()
	return nil
}

func (p *packetConn) closeLocked() {
	p.closed = true
	p.queue = nil
	delete(p.host.packets, p.port)
	p.change.changed()
	p.deadline.stop()
}

func (p *packetConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Addr: p.udpAddr(), Err: err}
}

func (p *packetConn) udpAddr() *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.host.ip, uint16(p.port)))
}

func (p *packetConn) LocalAddr() net.Addr { return p.udpAddr() }

func (p *packetConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

func (p *packetConn) SetReadDeadline(t time.Time) error {
	p.deadline.set(t)
	return nil
}

// SetWriteDeadline does nothing, for writes never wait.
func (p *packetConn) SetWriteDeadline(time.Time) error { return nil }
