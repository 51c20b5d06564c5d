package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/transport"
)

var _ transport.Network = (*simnet.Host)(nil)

// connect makes a connection between the hosts a and b of n.
func connect(t *testing.T, n *simnet.Net, a, b string) (ca, cb net.Conn) {
	t.Helper()
	l, err := n.Host(b).Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	if ca, err = n.Host(a).Dial(t.Context(), l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if cb = <-accepted; cb == nil {
		t.Fatal("nothing was accepted")
	}
	t.Cleanup(func() {
		ca.Close()
		cb.Close()
	})
	return ca, cb
}

func TestConnIsANetConn(t *testing.T) {
	n := simnet.New(1)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = connect(t, n, "a", "b")
		return c1, c2, func() {
			c1.Close()
			c2.Close()
		}, nil
	})
}

func TestConnIsANetConnOnASlowLink(t *testing.T) {
	n := simnet.New(1)
	n.Slow("a", "b", 100*time.Microsecond, 200*time.Microsecond)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = connect(t, n, "a", "b")
		return c1, c2, func() {
			c1.Close()
			c2.Close()
		}, nil
	})
}

func TestAddressesLookLikeThoseOfMachines(t *testing.T) {
	n := simnet.New(1)
	for i, addr := range []string{":7000", "127.0.0.1:7001", "0.0.0.0:7002", "a:7003", "10.0.0.1:7004", "[::]:7005"} {
		l, err := n.Host("a").Listen(addr)
		if err != nil {
			t.Fatalf("listen on %s: %v", addr, err)
		}
		if got, ok := l.Addr().(*net.TCPAddr); !ok || got.Port != 7000+i || got.IP.String() != "10.0.0.1" {
			t.Errorf("listen on %s: address %v", addr, l.Addr())
		}
		l.Close()
	}
	p, err := n.Host("b").ListenPacket("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, ok := p.LocalAddr().(*net.UDPAddr); !ok || got.Port == 0 || got.IP.String() != "10.0.0.2" {
		t.Errorf("packets at :0 are at %v", p.LocalAddr())
	}
	a, b := connect(t, n, "b", "c")
	if a.LocalAddr().String() != b.RemoteAddr().String() || b.LocalAddr().String() != a.RemoteAddr().String() {
		t.Errorf("the ends differ: %v-%v and %v-%v", a.LocalAddr(), a.RemoteAddr(), b.RemoteAddr(), b.LocalAddr())
	}
}

func TestWhatCannotBeReachedSaysWhy(t *testing.T) {
	n := simnet.New(1)
	h := n.Host("a")
	l, err := h.Listen(":7000")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr string
		want error
	}{
		{":7000", syscall.EADDRINUSE},
		{"10.0.0.9:7000", syscall.EADDRNOTAVAIL},
	} {
		if _, err := h.Listen(c.addr); !errors.Is(err, c.want) {
			t.Errorf("listen on %s: %v, want %v", c.addr, err, c.want)
		}
	}
	for _, addr := range []string{"", "a", "a:port", "a:70000"} {
		if _, err := h.Listen(addr); err == nil {
			t.Errorf("listen on %q: no error", addr)
		}
		if _, err := h.Dial(t.Context(), addr); err == nil {
			t.Errorf("dial %q: no error", addr)
		}
	}
	l.Close()
	if _, err := h.Dial(t.Context(), "a:7000"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a closed port: %v, want %v", err, syscall.ECONNREFUSED)
	}
	var unknown *net.DNSError
	if _, err := h.Dial(t.Context(), "nobody:7000"); !errors.As(err, &unknown) {
		t.Errorf("dial an unknown host: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after Close: %v, want %v", err, net.ErrClosed)
	}
}

func TestBytesAreHeldDuringACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b := connect(t, n, "a", "b")
		buf := make([]byte, 10)
		for _, cut := range []func(){
			func() { n.Cut("a", "b") },
			func() { n.CutOneWay("a", "b") },
			func() { n.Isolate("a") },
		} {
			cut()
			if _, err := a.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			b.SetReadDeadline(time.Now().Add(time.Hour))
			if _, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("read during a cut: %v, want %v", err, os.ErrDeadlineExceeded)
			}
			b.SetReadDeadline(time.Time{})
			time.AfterFunc(time.Minute, n.Heal)
			got, err := b.Read(buf)
			if string(buf[:got]) != "hello" || err != nil {
				t.Fatalf("read after the cut: %q, %v", buf[:got], err)
			}
		}
		n.CutOneWay("a", "b")
		b.Write([]byte("back"))
		if got, err := a.Read(buf); string(buf[:got]) != "back" || err != nil {
			t.Fatalf("read against the cut: %q, %v", buf[:got], err)
		}
		// That the other end was closed is not known during a cut either.
		a.Close()
		b.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read during a cut: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		n.Heal()
		b.SetReadDeadline(time.Time{})
		if _, err := b.Read(buf); !errors.Is(err, io.EOF) {
			t.Fatalf("read after the end: %v, want %v", err, io.EOF)
		}
	})
}

func TestASlowLinkDelaysAndKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b := connect(t, n, "a", "b")
		n.Slow("a", "b", time.Second, 500*time.Millisecond)
		start := time.Now()
		var want []byte
		for i := range 200 {
			want = append(want, byte(i))
			a.Write([]byte{byte(i)})
		}
		a.Close()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %v, %v", got, err)
		}
		if took := time.Since(start); took < time.Second || took > 1500*time.Millisecond {
			t.Errorf("the bytes took %v, want 1 to 1.5 s", took)
		}
	})
}

func TestBandwidthIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.Bandwidth("a", "b", 1<<20)
		start := time.Now()
		done := make(chan struct{})
		for range 2 {
			a, b := connect(t, n, "a", "b")
			go func() {
				a.Write(make([]byte, 5<<20))
				a.Close()
			}()
			go func() {
				io.Copy(io.Discard, b)
				done <- struct{}{}
			}()
		}
		<-done
		<-done
		if took := time.Since(start).Round(time.Millisecond); took != 10*time.Second {
			t.Errorf("10 MiB at 1 MiB/s took %v", took)
		}
	})
}

func TestDialWaitsOutACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		l, err := n.Host("b").Listen(":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n.Isolate("b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := n.Host("a").Dial(ctx, "b:7000"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial during a cut: %v, want %v", err, context.DeadlineExceeded)
		}
		time.AfterFunc(time.Minute, n.Heal)
		c, err := n.Host("a").Dial(t.Context(), "b:7000")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

func TestResetBreaksBothEnds(t *testing.T) {
	n := simnet.New(1)
	a, b := connect(t, n, "a", "b")
	c, d := connect(t, n, "a", "c")
	a.Write([]byte("lost"))
	n.Reset("b", "a")
	for _, end := range []net.Conn{a, b} {
		if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v, want %v", err, syscall.ECONNRESET)
		}
		if _, err := end.Write([]byte{1}); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v, want %v", err, syscall.ECONNRESET)
		}
	}
	c.Write([]byte("fine"))
	if _, err := io.ReadFull(d, make([]byte, 4)); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

func TestACrashIsNoticedUnlessTheHostIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		for _, silent := range []bool{false, true} {
			a, b := connect(t, n, "a", "b")
			l, err := n.Host("b").Listen(":7000")
			if err != nil {
				t.Fatal(err)
			}
			p, err := n.Host("b").ListenPacket(":7000")
			if err != nil {
				t.Fatal(err)
			}
			if silent {
				n.Isolate("b")
			}
			n.Host("b").Crash()
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept: %v, want %v", err, net.ErrClosed)
			}
			if _, _, err := p.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read from: %v, want %v", err, net.ErrClosed)
			}
			if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read of the host that crashed: %v, want %v", err, net.ErrClosed)
			}
			want := error(syscall.ECONNRESET)
			if silent {
				want = os.ErrDeadlineExceeded
				a.SetDeadline(time.Now().Add(time.Hour))
			}
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("silent %v: read: %v, want %v", silent, err, want)
			}
			n.Heal()
			a.SetDeadline(time.Time{})
			if _, err := a.Write(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("silent %v: write: %v, want %v", silent, err, syscall.ECONNRESET)
			}
		}
	})
}

// TestAFrozenHostTakesConnectionsAndSaysNothing dials one, writes to it and
// hears of it only when it goes on.
func TestAFrozenHostTakesConnectionsAndSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		l, err := n.Host("b").Listen(":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n.Freeze("b")
		c, err := n.Host("a").Dial(t.Context(), "b:7000")
		if err != nil {
			t.Fatalf("dial of a frozen host: %v", err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		for _, c := range []net.Conn{c, far} {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read from or on a frozen host: %v, want %v", err, os.ErrDeadlineExceeded)
			}
			c.SetReadDeadline(time.Time{})
		}
		time.AfterFunc(time.Minute, n.Heal)
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Errorf("what was sent meanwhile did not come: %v", err)
		}
	})
}
