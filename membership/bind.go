package membership

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// machine is the Network of the operating system.
type machine struct{}

func (machine) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func (machine) ListenPacket(addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if u, ok := pc.(*net.UDPConn); ok && err == nil {
		// Gossip comes in bursts. The system may grant less, or nothing.
		_ = u.SetReadBuffer(1 << 20)
	}
	return pc, err
}

func (machine) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// listen opens the streams and the packets of addr on one port. For port 0 it
// lets the network choose a port for streams, and tries again when packets on
// that port are somebody else's.
func listen(n Network, addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := hostPort(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("membership: Bind %q: %w: want host:port, as in \"127.0.0.1:7946\"", addr, err)
	}
	try := func() (net.Listener, net.PacketConn, error) {
		ln, err := n.Listen(net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, nil, err
		}
		_, got, err := hostPort(ln.Addr().String())
		if err != nil {
			_ = ln.Close()
			return nil, nil, err
		}
		pc, err := n.ListenPacket(net.JoinHostPort(host, strconv.Itoa(got)))
		if err != nil {
			_ = ln.Close()
			return nil, nil, err
		}
		return ln, pc, nil
	}
	tries := 1
	if port == 0 {
		tries = 20
	}
	for range tries {
		var ln net.Listener
		var pc net.PacketConn
		if ln, pc, err = try(); err == nil {
			return ln, pc, nil
		}
	}
	return nil, nil, fmt.Errorf("membership: Bind %q: %w: choose a free port of this machine, or 0 to have one picked", addr, err)
}

// advertised returns the host:port that others dial to reach a node that is
// bound to bound.
func advertised(ctx context.Context, cfg Config, bound string) (string, error) {
	bad := func(err error) (string, error) {
		return "", fmt.Errorf("membership: Advertise %q: %w: want the host or host:port that others dial", cfg.Advertise, err)
	}
	host, port, err := hostPort(bound)
	if err != nil {
		return bad(err)
	}
	if cfg.Advertise != "" {
		h, p, err := hostPort(cfg.Advertise)
		if err != nil {
			h, p = cfg.Advertise, 0
		}
		if h == "" {
			return bad(fmt.Errorf("no host"))
		}
		host = h
		if p != 0 {
			port = p
		}
	}
	if host == "" || isUnspecified(host) {
		ip, err := ownIP()
		if err != nil {
			return bad(err)
		}
		host = ip.String()
	}
	if _, os := cfg.Network.(machine); os && net.ParseIP(host) == nil {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return bad(err)
		}
		host = ips[0].Unmap().String()
		for _, ip := range ips {
			if ip.Unmap().Is4() {
				host = ip.Unmap().String()
				break
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// besides returns rpc with the host of addr, if it has none that others could
// dial.
func besides(rpc, addr string) string {
	host, port, err := net.SplitHostPort(rpc)
	if err != nil || host != "" && !isUnspecified(host) {
		return rpc
	}
	if host, _, err = net.SplitHostPort(addr); err != nil {
		return rpc
	}
	return net.JoinHostPort(host, port)
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// ownIP returns an address under which others may reach this machine: a
// private one if there is one, else any that leaves the machine.
func ownIP() (net.IP, error) {
	var best net.IP
	rank := 0
	for _, ip := range ownIPs() {
		r := 0
		switch {
		case !ip.IsGlobalUnicast():
		case ip.To4() != nil && ip.IsPrivate():
			r = 4
		case ip.To4() != nil:
			r = 3
		case ip.IsPrivate():
			r = 2
		default:
			r = 1
		}
		if r > rank {
			best, rank = ip, r
		}
	}
	if best == nil {
		return nil, fmt.Errorf("this machine has no address but loopback")
	}
	return best, nil
}

func ownIPs() []net.IP {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			ips = append(ips, n.IP)
		}
	}
	return ips
}

// isSelf reports whether addr is an address of this node.
func (l *List) isSelf(addr string) bool {
	self := l.Self().Addr
	addr = l.names.where(addr)
	if addr == self || addr == l.bound {
		return true
	}
	host, port, err := hostPort(addr)
	if err != nil {
		return false
	}
	boundHost, boundPort, err := hostPort(l.bound)
	if err != nil || port != boundPort || (boundHost != "" && !isUnspecified(boundHost)) {
		return false
	}
	// Bound to all interfaces: every address of the machine is ours.
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	for _, own := range ownIPs() {
		if own.Equal(ip) {
			return true
		}
	}
	return false
}

// A packetAddr is the address of a packet whose host is not an IP address.
type packetAddr string

func (packetAddr) Network() string  { return "udp" }
func (a packetAddr) String() string { return string(a) }

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
