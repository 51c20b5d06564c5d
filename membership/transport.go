package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// maxPacket is far above what the gossip library sends at once (1400
	// bytes); larger packets are none of ours.
	maxPacket = 8 << 10
	// maxStreamBytes bounds what one stream may say: the state of more than
	// twenty thousand members.
	maxStreamBytes = 24 << 20
	// maxStreams bounds how many streams others can have open here at a time;
	// more wait to be accepted.
	maxStreams = 64
)

// A transport carries the gossip library's packets and streams over a Network.
// It knows every stream, so that Shutdown leaves none behind.
type transport struct {
	net    Network
	ln     net.Listener
	pc     net.PacketConn
	names  *names
	ip     net.IP
	port   int
	packet chan *memberlist.Packet
	stream chan net.Conn
	room   chan struct{} // a token per stream that others have open

	ctx    context.Context // the life of the transport
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   map[*stream]struct{} // nil after Shutdown; guarded by mu
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// newTransport takes over ln and pc. addr is what others dial.
func newTransport(n Network, ln net.Listener, pc net.PacketConn, addr string, names *names) (*transport, error) {
	at, err := netip.ParseAddrPort(names.alias(addr))
	if err != nil {
		return nil, fmt.Errorf("membership: Advertise %q: %w", addr, err)
	}
	t := &transport{
		net: n, ln: ln, pc: pc, names: names,
		ip: net.IP(at.Addr().AsSlice()), port: int(at.Port()),
		packet: make(chan *memberlist.Packet),
		stream: make(chan net.Conn),
		room:   make(chan struct{}, maxStreams),
		open:   map[*stream]struct{}{},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Go(t.receive)
	t.wg.Go(t.accept)
	return t, nil
}

func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.ip, t.port, nil
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packet }
func (t *transport) StreamCh() <-chan net.Conn           { return t.stream }

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	addr = t.names.dial(addr)
	var to net.Addr = packetAddr(addr)
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		to = net.UDPAddrFromAddrPort(ap)
	}
	_, err := t.pc.WriteTo(b, to)
	return time.Now(), err
}

func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	real := t.names.dial(addr)
	conn, err := t.net.Dial(ctx, real)
	if err != nil {
		return nil, err
	}
	t.names.came(real, conn.RemoteAddr())
	s := &stream{Conn: conn, t: t, left: maxStreamBytes}
	// The library writes the label of the cluster before it sets a deadline.
	if err := errors.Join(conn.SetDeadline(time.Now().Add(timeout)), t.track(s)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// Shutdown closes everything, as a crash would, and waits until nothing of the
// transport runs.
func (t *transport) Shutdown() error {
	t.cancel()
	_ = t.ln.Close()
	_ = t.pc.Close()
	t.mu.Lock()
	open := t.open
	t.open = nil
	t.mu.Unlock()
	for s := range open {
		_ = s.Close()
	}
	t.wg.Wait()
	return nil
}

// track notes that s is open.
func (t *transport) track(s *stream) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		return net.ErrClosed
	}
	t.open[s] = struct{}{}
	return nil
}

func (t *transport) receive() {
	buf := make([]byte, maxPacket+1)
	var slow backoff
	for {
		n, from, err := t.pc.ReadFrom(buf)
		at := time.Now()
		switch {
		case t.ctx.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if !slow.wait(t.ctx) {
				return
			}
			continue
		}
		slow = 0
		if n == 0 || n > maxPacket {
			continue
		}
		// The library keeps packets in a queue, so each needs bytes of its own.
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: at}
		select {
		case t.packet <- p:
		case <-t.ctx.Done():
			return
		}
	}
}

func (t *transport) accept() {
	var slow backoff
	for {
		select {
		case t.room <- struct{}{}:
		case <-t.ctx.Done():
			return
		}
		conn, err := t.ln.Accept()
		if err != nil {
			<-t.room
			if errors.Is(err, net.ErrClosed) || !slow.wait(t.ctx) {
				return
			}
			continue
		}
		slow = 0
		s := &stream{Conn: conn, t: t, left: maxStreamBytes, theirs: true}
		if err := t.track(s); err != nil {
			_ = s.Close()
			return
		}
		select {
		case t.stream <- s:
		case <-t.ctx.Done():
			_ = s.Close()
			return
		}
	}
}

// A backoff is how long to wait after an error that may pass, such as too many
// open files.
type backoff time.Duration

func (b *backoff) wait(ctx context.Context) bool {
	*b = min(max(2**b, backoff(5*time.Millisecond)), backoff(time.Second))
	return pause(ctx, time.Duration(*b))
}

// A stream is a connection that its transport can close, and that stops
// reading when the other side says too much.
type stream struct {
	net.Conn
	t      *transport
	left   int  // bytes that may still be read; used by one reader
	theirs bool // the other side opened it
	once   sync.Once
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, fmt.Errorf("membership: a stream of more than %d bytes", maxStreamBytes)
	}
	n, err := s.Conn.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		// The library forgets to close a stream when its first write fails.
		_ = s.Close()
	}
	return n, err
}

func (s *stream) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		err = s.Conn.Close()
		s.t.mu.Lock()
		delete(s.t.open, s)
		s.t.mu.Unlock()
		if s.theirs {
			<-s.t.room
		}
	})
	return err
}
