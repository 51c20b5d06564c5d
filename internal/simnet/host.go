package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Host is a machine on a Net. It satisfies transport.Network.
type Host struct {
	net  *Net
	name string
	ip   netip.Addr

	// All guarded by Net.mu.
	isolated  bool
	frozen    bool
	listeners map[int]*listener
	packets   map[int]*packetConn
	conns     map[*conn]struct{}
	next      int           // where to look for a free port
	crashed   chan struct{} // closed by Crash, and replaced
}

const (
	firstFreePort = 40000
	backlog       = 512 // connections that a listener has not accepted yet
)

// Name returns the name the host was made by.
func (h *Host) Name() string { return h.name }

// IP returns the host's address, such as 10.0.0.1.
func (h *Host) IP() string { return h.ip.String() }

// Listen accepts connections at addr, host:port. The host may be the name or
// address of this one, empty, or any that a machine has itself, such as
// 127.0.0.1 and 0.0.0.0; all mean the same, and the listener's address is
// always one that the other hosts can dial. Port 0 picks a free one.
func (h *Host) Listen(addr string) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	port, err := bindLocked(h, h.listeners, "listen", "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &listener{host: h, port: port}
	h.listeners[port] = l
	h.net.change.changed()
	return l, nil
}

// bindLocked returns the port to use for addr.
func bindLocked[T any](h *Host, used map[int]T, op, network, addr string) (int, error) {
	fail := func(err error) (int, error) {
		return 0, &net.OpError{Op: op, Net: network, Addr: h.addr(0), Err: err}
	}
	host, port, err := split(addr)
	if err != nil {
		return fail(err)
	}
	if at := h.net.findLocked(h, host); at != h {
		return fail(fmt.Errorf("%q is not an address of host %q: %w", host, h.name, syscall.EADDRNOTAVAIL))
	}
	if _, taken := used[port]; taken {
		return fail(fmt.Errorf("port %d: %w", port, syscall.EADDRINUSE))
	}
	if port != 0 {
		return port, nil
	}
	for range 1 << 16 {
		port = h.next
		if h.next++; h.next > 65535 {
			h.next = firstFreePort
		}
		if _, taken := used[port]; !taken {
			return port, nil
		}
	}
	return fail(errors.New("no port is free"))
}

func split(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	p, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q of %q: want 0 to 65535", service, addr)
	}
	return host, int(p), nil
}

// findLocked returns the host that one finds under a name or address, or nil.
func (n *Net) findLocked(from *Host, host string) *Host {
	if host == "" || host == "localhost" {
		return from
	}
	if h := n.hosts[host]; h != nil {
		return h
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	if ip = ip.Unmap(); ip.IsLoopback() || ip.IsUnspecified() {
		return from
	}
	return n.byIP[ip]
}

func (h *Host) addr(port int) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.ip, uint16(port)))
}

// Dial connects to a listener of any host, by name or address. While there is
// a cut it waits, as a machine does, until ctx ends.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Source: h.addr(0), Addr: dialled(addr), Err: err}
	}
	host, port, err := split(addr)
	if err != nil {
		return fail(err)
	}
	n := h.net
	n.mu.Lock()
	to, crashed := n.findLocked(h, host), h.crashed
	if to == nil {
		n.mu.Unlock()
		return fail(&net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
	}
	trip := n.latencyLocked(n.linkLocked(h, to)) + n.latencyLocked(n.linkLocked(to, h))
	n.mu.Unlock()
	if err := sleep(ctx, crashed, trip); err != nil {
		return fail(err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		n.mu.Lock()
		l := to.listeners[port]
		cut := n.cutLocked(h, to) || n.cutLocked(to, h) || h.frozen && h != to
		switch {
		case h.crashed != crashed:
			n.mu.Unlock()
			return fail(net.ErrClosed)
		case !cut && l == nil:
			n.mu.Unlock()
			return fail(syscall.ECONNREFUSED)
		case !cut && len(l.queue) < backlog:
			c := n.connectLocked(h, l)
			n.mu.Unlock()
			return c, nil
		}
		change := n.change.wait()
		n.mu.Unlock()
		select {
		case <-change:
		case <-crashed:
		case <-ctx.Done():
		}
	}
}

// dialled is an address as it was given.
type dialled string

func (dialled) Network() string  { return "tcp" }
func (d dialled) String() string { return string(d) }

func sleep(ctx context.Context, crashed <-chan struct{}, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-crashed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Crash ends everything of the host at once, as when its process is killed:
// listeners and sockets are closed, and the other ends of its connections fail
// as soon as they can hear of it. To the others a host that is isolated and
// then crashes has fallen silent. The host can be used again, as after a
// restart.
func (h *Host) Crash() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	close(h.crashed)
	h.crashed = make(chan struct{})
	for _, l := range h.listeners {
		l.closeLocked()
	}
	for _, p := range h.packets {
		p.closeLocked()
	}
	for c := range h.conns {
		c.abortLocked()
	}
}

// listener accepts the connections to one port of a host.
type listener struct {
	host *Host
	port int

	// All guarded by Net.mu.
	queue  []*conn
	closed bool
	change signal
}

func (l *listener) Accept() (net.Conn, error) {
	n := l.host.net
	for {
		n.mu.Lock()
		if l.closed {
			n.mu.Unlock()
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
		}
		if len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			n.change.changed()
			n.mu.Unlock()
			return c, nil
		}
		change := l.change.wait()
		n.mu.Unlock()
		<-change
	}
}

func (l *listener) Close() error {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closeLocked()
	return nil
}

func (l *listener) closeLocked() {
	l.closed = true
	delete(l.host.listeners, l.port)
	for _, c := range l.queue {
		c.abortLocked()
	}
	l.queue = nil
	l.change.changed()
	l.host.net.change.changed()
}

func (l *listener) Addr() net.Addr { return l.host.addr(l.port) }
