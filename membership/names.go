package membership

import (
	"crypto/sha256"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// maxNames bounds what a names remembers; far above any cluster.
const maxNames = 1 << 16

// A names translates addresses for the gossip library, which wants every
// address to be an IP: a host that is a name gets an alias, an address in a
// private IPv6 network of ours that is made of the name's hash and never
// dialled. So the Network resolves names, in a context, and a simulated one
// need not know IP addresses at all.
type names struct {
	mu    sync.Mutex
	real  map[string]string // by alias; guarded by mu
	found map[string]string // the address a stream to a name came to; guarded by mu
}

// alias returns addr with an IP address as host. addr must be a host:port.
func (n *names) alias(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil {
		return net.JoinHostPort(ip.String(), port)
	}
	sum := sha256.Sum256([]byte(host))
	ip := append(net.IP{0xfd, 0x6d}, sum[:14]...)
	alias := net.JoinHostPort(ip.String(), port)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.real == nil {
		n.real, n.found = map[string]string{}, map[string]string{}
	}
	if len(n.real) < maxNames {
		n.real[alias] = addr
	}
	return alias
}

// dial returns what to dial for addr, which may be an alias.
func (n *names) dial(addr string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if real, ok := n.real[addr]; ok {
		return real
	}
	return addr
}

// came records where a stream to addr ended up, if the host of addr is a name.
func (n *names) came(addr string, to net.Addr) {
	host, _, err := hostPort(addr)
	if err != nil || net.ParseIP(host) != nil || to == nil {
		return
	}
	if _, _, err := hostPort(to.String()); err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.found == nil {
		n.real, n.found = map[string]string{}, map[string]string{}
	}
	if len(n.found) < maxNames {
		n.found[addr] = to.String()
	}
}

// where returns the address at which the node at addr answered last, which is
// addr unless that is a name.
func (n *names) where(addr string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if to, ok := n.found[addr]; ok {
		return to
	}
	return addr
}

// hostPort splits addr.
func hostPort(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("port %q: want a number from 0 to 65535", p)
	}
	return host, max(port, 0), nil
}
