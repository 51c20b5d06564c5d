//go:build unix

package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the tests in namespaces of their own, if there are any.
func TestMain(m *testing.M) {
	code, over, err := Isolate()
	if err != nil {
		fmt.Fprintf(os.Stderr, "hosts are not apart: %v\n", err)
	}
	if !over {
		code = m.Run()
	}
	os.Exit(code)
}

func two(t *testing.T) (w *World, a, b *Host) {
	t.Helper()
	if !Isolated() {
		t.Skip("hosts can't be taken apart here")
	}
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if a, err = w.Add("a"); err != nil {
		t.Fatal(err)
	}
	if b, err = w.Add("b"); err != nil {
		t.Fatal(err)
	}
	return w, a, b
}

func TestACutLosesWhatGoesOneWayOnly(t *testing.T) {
	w, a, b := two(t)
	atA, atB := packets(t, a), packets(t, b)
	deliver(t, atA, atB, "before")
	if err := w.Cut([]*Host{a}, []*Host{b}); err != nil {
		t.Fatal(err)
	}
	send(t, atA, atB, "lost")
	deliver(t, atB, atA, "the other way")
	if err := w.Heal(); err != nil {
		t.Fatal(err)
	}
	deliver(t, atA, atB, "after")
}

func TestAConnectionOutlivesASplit(t *testing.T) {
	w, a, b := two(t)
	addr, err := b.Addr()
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Network().Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := a.Network().Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := w.Split([]*Host{a}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("sent into nothing")); err != nil {
		t.Fatal(err)
	}
	if err := w.Heal(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if n, err := s.Read(buf); err != nil || string(buf[:n]) != "sent into nothing" {
		t.Errorf("got %q and %v", buf[:n], err)
	}
}

func TestWhatIsStartedOnAHostHasItsAddress(t *testing.T) {
	_, a, _ := two(t)
	c := exec.Command("ip", "-4", "-br", "addr", "show", "dev", "eth0")
	var out strings.Builder
	c.Stdout = &out
	if err := a.Start(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), a.IP) {
		t.Errorf("got %q and %v, want %s", out.String(), err, a.IP)
	}
}

func TestADiskIsAsFullAsOneLikes(t *testing.T) {
	two(t)
	dir := filepath.Join(t.TempDir(), "disk")
	d, err := NewDisk(dir, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(name string) error { return os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<20), 0o600) }
	if err := errors.Join(write("first"), d.Squeeze(64<<10)); err != nil {
		t.Fatal(err)
	}
	if err := write("second"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want %v", err, syscall.ENOSPC)
	}
	if err := errors.Join(d.Release(), write("third")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "first")); err != nil || len(b) != 1<<20 {
		t.Errorf("got %d bytes and %v, want them all", len(b), err)
	}
}

func TestHostsThatShareAComputerGetDifferentAddresses(t *testing.T) {
	_, a, b := two(t)
	seen := map[string]bool{}
	for _, h := range []*Host{a, b, a, b} {
		addr, err := h.Addr()
		if err != nil || seen[addr] {
			t.Errorf("got %s and %v after %v", addr, err, seen)
		}
		seen[addr] = true
	}
}

func packets(t *testing.T, h *Host) net.PacketConn {
	t.Helper()
	addr, err := h.Addr()
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Network().ListenPacket(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// deliver sends until it is received, since a packet may be lost without a cut. What
// was sent into one must not arrive later.
func deliver(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	buf := make([]byte, 64)
	for t.Context().Err() == nil {
		send(t, from, to, text)
		if err := to.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := to.ReadFrom(buf)
		switch got := string(buf[:n]); {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			t.Fatal(err)
		case got == "lost":
			t.Errorf("got %q, which was sent into a cut", got)
		case got == text:
			return
		}
	}
}
