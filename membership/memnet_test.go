package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// A fabric is a network in memory whose hosts have names, for nodes in a
// synctest bubble. It can be cut in two.
type fabric struct {
	mu        sync.Mutex
	listeners map[string]*fabricListener
	packets   map[string]*fabricPackets
	apart     map[string]bool // hosts on the far side of the cut
	ports     int
}

func newFabric() *fabric {
	return &fabric{listeners: map[string]*fabricListener{}, packets: map[string]*fabricPackets{}, ports: 1000}
}

// cut parts hosts from all others; without hosts it heals.
func (f *fabric) cut(hosts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apart = map[string]bool{}
	for _, h := range hosts {
		f.apart[h] = true
	}
}

func (f *fabric) reach(from, to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	host, _, _ := strings.Cut(to, ":")
	return f.apart[from] == f.apart[host]
}

func (f *fabric) resolve(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if port == "0" {
		f.ports++
		port = fmt.Sprint(f.ports)
	}
	return host + ":" + port
}

type fabricAddr string

func (fabricAddr) Network() string  { return "fabric" }
func (a fabricAddr) String() string { return string(a) }

// A fabricHost is the Network of one host.
type fabricHost struct {
	*fabric
	name string
}

func (h fabricHost) Listen(addr string) (net.Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	addr = h.resolve(addr)
	if h.listeners[addr] != nil {
		return nil, errors.New("address already in use")
	}
	l := &fabricListener{f: h.fabric, addr: addr, in: make(chan net.Conn), done: make(chan struct{})}
	h.listeners[addr] = l
	return l, nil
}

func (h fabricHost) ListenPacket(addr string) (net.PacketConn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &fabricPackets{h: h, addr: addr, in: make(chan fabricPacket, 256), done: make(chan struct{})}
	h.packets[addr] = p
	return p, nil
}

func (h fabricHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if !h.reach(h.name, addr) {
		<-ctx.Done() // the cut swallows what is sent across
		return nil, ctx.Err()
	}
	h.mu.Lock()
	l := h.listeners[addr]
	h.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case l.in <- fabricConn{there, addr, h.name + ":1"}:
		return fabricConn{here, h.name + ":1", addr}, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type fabricConn struct {
	net.Conn
	from, to string
}

func (c fabricConn) LocalAddr() net.Addr  { return fabricAddr(c.from) }
func (c fabricConn) RemoteAddr() net.Addr { return fabricAddr(c.to) }

type fabricListener struct {
	f    *fabric
	addr string
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *fabricListener) Addr() net.Addr { return fabricAddr(l.addr) }
func (l *fabricListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *fabricListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.f.mu.Lock()
		delete(l.f.listeners, l.addr)
		l.f.mu.Unlock()
	})
	return nil
}

type fabricPacket struct {
	b    []byte
	from string
}

type fabricPackets struct {
	h    fabricHost
	addr string
	in   chan fabricPacket
	done chan struct{}
	once sync.Once
}

func (p *fabricPackets) LocalAddr() net.Addr              { return fabricAddr(p.addr) }
func (p *fabricPackets) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *fabricPackets) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *fabricPackets) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func (p *fabricPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-p.in:
		return copy(b, m.b), fabricAddr(m.from), nil
	case <-p.done:
		return 0, nil, net.ErrClosed
	}
}

func (p *fabricPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	if !p.h.reach(p.h.name, to.String()) {
		return len(b), nil
	}
	p.h.mu.Lock()
	q := p.h.packets[to.String()]
	p.h.mu.Unlock()
	if q != nil {
		select {
		case q.in <- fabricPacket{append([]byte(nil), b...), p.addr}:
		default: // packets get lost
		}
	}
	return len(b), nil
}

func (p *fabricPackets) Close() error {
	p.once.Do(func() {
		close(p.done)
		p.h.mu.Lock()
		delete(p.h.packets, p.addr)
		p.h.mu.Unlock()
	})
	return nil
}
