package simnet_test

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/simnet"
)

// sockets opens one for packets at each of a and b.
func sockets(t *testing.T, n *simnet.Net) (a, b net.PacketConn) {
	t.Helper()
	var both [2]net.PacketConn
	for i, host := range []string{"a", "b"} {
		p, err := n.Host(host).ListenPacket(":7000")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		both[i] = p
	}
	return both[0], both[1]
}

// exchange sends n numbered packets and returns which came, in order.
func exchange(t *testing.T, a, b net.PacketConn, n int) []int {
	t.Helper()
	for i := range n {
		if _, err := a.WriteTo([]byte{byte(i), byte(i >> 8)}, b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	b.SetReadDeadline(time.Now().Add(time.Minute))
	var got []int
	buf := make([]byte, 10)
	for {
		size, from, err := b.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil || size != 2 || from.String() != a.LocalAddr().String() {
			t.Fatalf("got %d bytes from %v, %v", size, from, err)
		}
		got = append(got, int(buf[0])|int(buf[1])<<8)
	}
}

func TestPacketsAreLostRepeatedAndOvertaken(t *testing.T) {
	const sent = 1000
	for _, c := range []struct {
		name     string
		faults   simnet.Faults
		min, max int
		sorted   bool
	}{
		{"none", simnet.Faults{}, sent, sent, true},
		{"all lost", simnet.Faults{Lose: 1}, 0, 0, true},
		{"some lost", simnet.Faults{Lose: 0.3}, 600, 800, true},
		{"all twice", simnet.Faults{Duplicate: 1}, 2 * sent, 2 * sent, true},
		{"some late", simnet.Faults{Reorder: 0.2}, sent, sent, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New(42)
				a, b := sockets(t, n)
				n.Packets("a", "b", c.faults)
				got := exchange(t, a, b, sent)
				if len(got) < c.min || len(got) > c.max || slices.IsSorted(got) != c.sorted {
					t.Errorf("%d packets came, sorted: %v; want %d to %d, %v", len(got), slices.IsSorted(got), c.min, c.max, c.sorted)
				}
			})
		})
	}
}

func TestTheSeedDecides(t *testing.T) {
	run := func(seed uint64) (got []int) {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(seed)
			a, b := sockets(t, n)
			n.Slow("a", "b", time.Millisecond, 10*time.Millisecond)
			n.Packets("a", "b", simnet.Faults{Lose: 0.3, Duplicate: 0.3, Reorder: 0.3})
			got = exchange(t, a, b, 100)
		})
		return got
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("two runs with one seed differ")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("two runs with two seeds are equal")
	}
}

func TestPacketsAreLostInACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b := sockets(t, n)
		n.CutOneWay("a", "b")
		if got := exchange(t, a, b, 10); len(got) > 0 {
			t.Errorf("%v came through a cut", got)
		}
		if got := exchange(t, b, a, 10); len(got) != 10 {
			t.Errorf("%v came the other way, want all 10", got)
		}
		n.Heal()
		if got := exchange(t, a, b, 10); len(got) != 10 {
			t.Errorf("%v came after the cut, want all 10", got)
		}
	})
}

func TestPacketsToNobodyAreNoError(t *testing.T) {
	n := simnet.New(1)
	a, _ := sockets(t, n)
	for _, to := range []string{"10.0.0.2:1", "10.0.0.77:1"} {
		addr, err := net.ResolveUDPAddr("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		if size, err := a.WriteTo([]byte("hello"), addr); size != 5 || err != nil {
			t.Errorf("to %s: %d, %v, want 5 and no error", to, size, err)
		}
	}
	_, err := a.WriteTo(make([]byte, 1<<16), a.LocalAddr())
	if err == nil || !strings.Contains(err.Error(), "message too long") {
		t.Errorf("a packet of 64 KiB: %v", err)
	}
}

// TestAFrozenHostFindsItsPacketsWhenItGoesOn sends to one and from one.
func TestAFrozenHostFindsItsPacketsWhenItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b := sockets(t, n)
		n.Freeze("b")
		if got := exchange(t, a, b, 10); len(got) > 0 {
			t.Errorf("a frozen host took %v", got)
		}
		if got := exchange(t, b, a, 10); len(got) > 0 {
			t.Errorf("a frozen host sent %v", got)
		}
		n.Heal()
		if got := exchange(t, a, b, 10); len(got) != 20 {
			t.Errorf("%v came in all, want all 20", got)
		}
	})
}
