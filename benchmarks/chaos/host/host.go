//go:build unix

// Package host makes several computers of one, as far as the system allows.
//
// Where it allows namespaces, which on Linux it does for root and often for
// everybody, each Host has an address of its own behind a bridge, what goes
// from one to another can be cut, and a Host can have a disk that fills up.
// Everything is in namespaces of this process and its children: nothing of it
// can be seen outside, and nothing outlives the process, however that ends.
// Elsewhere all hosts are this computer, there are no cuts and no such disks,
// and Isolated says why.
package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
)

// ErrNot says that something can't be done here.
var ErrNot = errors.New("host: this system gives no namespaces")

// A World is hosts that know each other.
type World struct {
	base  space // of the process itself
	hosts []*Host
	cuts  map[[2]*Host]bool
	taken map[int]bool // ports that were given out, where hosts share them
}

// A Host is a computer.
type Host struct {
	Name  string
	IP    string
	world *World
	space space
	mac   string // of its interface
	port  string // of the bridge that the interface is on, if there is one
	given int    // how many addresses were
}

// NewWorld returns a world without hosts.
func NewWorld() (*World, error) {
	w := &World{cuts: map[[2]*Host]bool{}, taken: map[int]bool{}}
	if !Isolated() {
		return w, nil
	}
	var err error
	if w.base, err = thisSpace(); err != nil {
		return nil, err
	}
	return w, w.base.ip(space{}, "link add name "+bridge+" type bridge", "link set "+bridge+" up")
}

const bridge = "muster0"

// Add adds a host of the given name.
func (w *World) Add(name string) (*Host, error) {
	h := &Host{Name: name, IP: "127.0.0.1", world: w}
	if Isolated() {
		if err := w.wire(h, len(w.hosts)+1); err != nil {
			return nil, fmt.Errorf("host: %s: %w", name, err)
		}
	}
	w.hosts = append(w.hosts, h)
	return h, nil
}

// wire gives h, the n-th host, a network interface on the bridge.
func (w *World) wire(h *Host, n int) (err error) {
	if h.space, err = newSpace(); err != nil {
		return err
	}
	h.IP = fmt.Sprintf("10.77.0.%d", n)
	h.mac = fmt.Sprintf("02:6d:75:00:00:%02x", n)
	port := "port" + strconv.Itoa(n)
	if err := w.base.ip(h.space, "link add name "+port+" type veth peer name eth0 address "+h.mac+" netns "+there,
		"link set "+port+" master "+bridge, "link set "+port+" up"); err != nil {
		return err
	}
	h.port = port
	if err := h.space.ip(space{}, "link set lo up", "addr add "+h.IP+"/24 dev eth0", "link set eth0 up"); err != nil {
		return err
	}
	// Who is where is said once and for all, for that is what Cut changes.
	for _, other := range w.hosts {
		if err := errors.Join(h.aim([]*Host{other}, true), other.aim([]*Host{h}, true)); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is the address of no interface: what is sent to it is lost without a
// word, as it is when a cable is pulled far away.
const nowhere = "02:6d:75:ff:ff:ff"

// aim says where what h sends to the others goes.
//
// A cut could be a packet filter instead. This way needs no tool beyond ip,
// and it works in one direction at a time as well.
func (h *Host) aim(others []*Host, right bool) error {
	lines := make([]string, len(others))
	for i, o := range others {
		mac := o.mac
		if !right {
			mac = nowhere
		}
		lines[i] = "neigh replace " + o.IP + " lladdr " + mac + " dev eth0 nud permanent"
	}
	return h.space.ip(space{}, lines...)
}

// Cut loses everything that any of from sends to any of to, until Heal.
func (w *World) Cut(from, to []*Host) error {
	if !Isolated() {
		return ErrNot
	}
	for _, f := range from {
		var lost []*Host
		for _, t := range to {
			if f != t && !w.cuts[[2]*Host{f, t}] {
				w.cuts[[2]*Host{f, t}] = true
				lost = append(lost, t)
			}
		}
		if err := f.aim(lost, false); err != nil {
			return err
		}
	}
	return nil
}

// Split cuts in both directions between some and all other hosts.
func (w *World) Split(some []*Host) error {
	rest := slices.DeleteFunc(slices.Clone(w.hosts), func(h *Host) bool { return slices.Contains(some, h) })
	return errors.Join(w.Cut(some, rest), w.Cut(rest, some))
}

// Heal undoes all cuts.
func (w *World) Heal() error {
	errs := make([]error, 0, len(w.hosts))
	for _, h := range w.hosts {
		var lost []*Host
		for _, o := range w.hosts {
			if w.cuts[[2]*Host{h, o}] {
				lost = append(lost, o)
			}
		}
		errs = append(errs, h.aim(lost, true))
	}
	clear(w.cuts)
	return errors.Join(errs...)
}

// Addr returns an address of h that nobody listens on.
func (h *Host) Addr() (string, error) {
	if Isolated() {
		h.given++
		return net.JoinHostPort(h.IP, strconv.Itoa(7000+h.given)), nil
	}
	// Below the ports that systems give to those who dial, so that nobody has
	// taken it when a process that was killed comes back to it.
	const least, most, tries = 15_000, 30_000, 100
	for range tries {
		port := least + rand.IntN(most-least)
		addr := net.JoinHostPort(h.IP, strconv.Itoa(port))
		if !h.world.taken[port] && unused(addr) {
			h.world.taken[port] = true
			return addr, nil
		}
	}
	return "", fmt.Errorf("host: %d ports between %d and %d are all taken: free some", tries, least, most)
}

// unused reports whether addr can be listened on, with TCP and UDP.
func unused(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	return p.Close() == nil
}

// Start starts a command on h.
func (h *Host) Start(c *exec.Cmd) error { return h.space.do(c.Start) }

// Network is the network as h sees it.
type Network struct{ h *Host }

// Network returns the network as h sees it.
func (h *Host) Network() Network { return Network{h} }

// Listen listens for connections.
func (n Network) Listen(addr string) (l net.Listener, err error) {
	err = n.h.space.do(func() (err error) { l, err = net.Listen("tcp", addr); return err })
	return l, err
}

// ListenPacket listens for packets.
func (n Network) ListenPacket(addr string) (c net.PacketConn, err error) {
	err = n.h.space.do(func() (err error) { c, err = net.ListenPacket("udp", addr); return err })
	return c, err
}

// Dial connects.
func (n Network) Dial(ctx context.Context, addr string) (c net.Conn, err error) {
	err = n.h.space.do(func() (err error) { c, err = new(net.Dialer).DialContext(ctx, "tcp", addr); return err })
	return c, err
}

// Close takes the hosts apart. What still runs on them is cut off.
func (w *World) Close() error {
	var errs []error
	for _, h := range w.hosts {
		if h.port != "" {
			errs = append(errs, w.base.ip(space{}, "link del "+h.port))
		}
		h.space.close()
	}
	if Isolated() {
		errs = append(errs, w.base.ip(space{}, "link del "+bridge))
	}
	w.base.close()
	w.hosts = nil
	return errors.Join(errs...)
}
