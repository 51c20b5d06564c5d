package membership

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// unused returns an address where nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	ln, pc, err := listen(machine{}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = ln.Close(), pc.Close()
	return ln.Addr().String()
}

// briefly returns a context in which a start that cannot succeed gives up.
func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestSeedsThatAreNotThereAreAllNamed(t *testing.T) {
	t.Parallel()
	one, two := unused(t), unused(t)
	err := startFails(t, briefly(t), brisk("a", one, two))
	wantError(t, err, `seed "`+one+`": `, `seed "`+two+`": `, "refused", "start that node or correct the address")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to wrap %v", err, context.DeadlineExceeded)
	}
}

func TestOneSeedThatAnswersIsEnough(t *testing.T) {
	a := start(t, brisk("a"))
	b := start(t, brisk("b", unused(t), a.Self().Addr))
	awaitIDs(t, b, "a", "b")
}

func TestALonelyNodeStartsAndFindsTheSeedWhenItComes(t *testing.T) {
	addr := unused(t)
	lines := newBook()
	cfg := brisk("a", addr)
	cfg.Lonely, cfg.Logger = true, newLogger(lines)
	a := start(t, cfg)
	lines.await(t, "WARN no seed answered", addr)
	cfg = brisk("b")
	cfg.Bind = addr
	start(t, cfg)
	awaitIDs(t, a, "a", "b")
}

func TestANodeAmongItsSeedsMayBeTheFirst(t *testing.T) {
	addr, other := unused(t), unused(t)
	seeds := []string{addr, other}
	cfg := brisk("a", seeds...)
	cfg.Bind = addr
	a := start(t, cfg)
	cfg = brisk("b", seeds...)
	cfg.Bind = other
	start(t, cfg)
	awaitIDs(t, a, "a", "b")
}

func TestASeedThatTurnsOutToBeTheNodeItselfIsNoCompany(t *testing.T) {
	addr, other := unused(t), unused(t)
	_, port, _ := net.SplitHostPort(addr)
	lines := newBook()
	cfg := brisk("a", "localhost:"+port, other)
	cfg.Bind, cfg.Logger = addr, newLogger(lines)
	a := start(t, cfg)
	if got := idsOf(a.Members()); got != "a" {
		t.Errorf("got members %q, want a", got)
	}
	if line := lines.await(t, "WARN no seed answered", other); strings.Contains(line, "localhost") {
		t.Errorf("%q blames the node itself", line)
	}
}

func TestSeedsMayBeNames(t *testing.T) {
	a := start(t, brisk("a"))
	_, port, _ := net.SplitHostPort(a.Self().Addr)
	b := start(t, brisk("b", "localhost:"+port))
	awaitIDs(t, a, "a", "b")
	if got := b.names.where("localhost:" + port); got != a.Self().Addr {
		t.Errorf("localhost:%s is at %q, want %q", port, got, a.Self().Addr)
	}
}

func TestClustersNeverMeet(t *testing.T) {
	t.Parallel()
	lines := newBook()
	cfg := brisk("a")
	cfg.Cluster, cfg.Logger = "red", newLogger(lines)
	a := start(t, cfg)
	cfg = brisk("b", a.Self().Addr)
	cfg.Cluster = "blue"
	wantError(t, startFails(t, briefly(t), cfg), a.Self().Addr, `another cluster than "blue"`)
	lines.await(t, "WARN gossip refused", "another cluster", "muster/blue")

	cfg = brisk("c", a.Self().Addr)
	cfg.Cluster = "red"
	start(t, cfg)
	awaitIDs(t, a, "a", "c")
}

func TestKeysKeepOthersOutAndCanBeRotated(t *testing.T) {
	t.Parallel()
	old, fresh, wrong := make([]byte, 16), make([]byte, 32), make([]byte, 24)
	for _, k := range [][]byte{old, fresh, wrong} {
		_, _ = rand.Read(k)
	}
	lines := newBook()
	cfg := brisk("a")
	cfg.Keys, cfg.Logger = [][]byte{old, fresh}, newLogger(lines)
	a := start(t, cfg)

	cfg = brisk("b", a.Self().Addr)
	cfg.Keys = [][]byte{wrong}
	wantError(t, startFails(t, briefly(t), cfg), a.Self().Addr, "a key that this node does not have")
	lines.await(t, "WARN gossip refused", "a key that this node does not have")
	cfg.Keys = nil
	wantError(t, startFails(t, briefly(t), cfg), a.Self().Addr, "give all nodes the same Keys")
	lines.await(t, "WARN gossip refused", "it is not encrypted and this node has keys")

	cfg.Keys = [][]byte{fresh, old} // the next step of a rotation
	start(t, cfg)
	awaitIDs(t, a, "a", "b")

	open := start(t, brisk("open"))
	cfg = brisk("c", open.Self().Addr)
	cfg.Keys = [][]byte{old}
	wantError(t, startFails(t, briefly(t), cfg), open.Self().Addr, "give all nodes the same Keys")
}

func TestGarbageIsIgnored(t *testing.T) {
	a := start(t, brisk("a"))
	addr := a.Self().Addr
	label := append([]byte{244, 7}, "muster/"...)
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise)
	huge := bytes.Repeat([]byte{0xff}, 60000)
	claims := append(append([]byte{}, label...), 6, 0xdd, 0xff, 0xff, 0xff, 0xff) // a push/pull of 4 GiB
	for _, junk := range [][]byte{
		{},
		{0},
		[]byte("GET / HTTP/1.1\r\n\r\n"), noise, huge, claims,
		append(append([]byte{}, label...), noise...), append(append([]byte{}, label...), 7, 255),
	} {
		pc, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = pc.Write(junk)
		_ = pc.Close()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(junk)
		_ = conn.Close()
	}
	b := start(t, brisk("b", addr))
	awaitIDs(t, a, "a", "b")
	awaitIDs(t, b, "a", "b")
}

func TestAStrangerWhoHoldsConnectionsOpenDoesNotKeepOthersOut(t *testing.T) {
	a := start(t, brisk("a"))
	for range maxStreams / 2 {
		conn, err := net.Dial("tcp", a.Self().Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	start(t, brisk("b", a.Self().Addr))
	awaitIDs(t, a, "a", "b")
}

func TestANodeOfAnotherReleaseIsRefused(t *testing.T) {
	lines := newBook()
	cfg := brisk("a")
	cfg.Logger = newLogger(lines)
	a := start(t, cfg)
	for name, c := range map[string]struct {
		version uint8
		meta    string
		want    []string
	}{
		"x.1":   {protocol + 1, "\x02", []string{"another version of the protocol"}},
		"y.1":   {protocol, "\x02", []string{"version 2 of the protocol"}},
		"noise": {protocol, "\x01", []string{"no name of a muster node"}},
	} {
		ln, pc, err := listen(machine{}, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tr, err := newTransport(machine{}, ln, pc, ln.Addr().String(), &names{})
		if err != nil {
			t.Fatal(err)
		}
		gc := memberlist.DefaultLocalConfig()
		gc.Name, gc.Label, gc.Transport = name, "muster/", tr
		gc.DelegateProtocolMin, gc.DelegateProtocolMax, gc.DelegateProtocolVersion = c.version, c.version, c.version
		gc.Delegate = stranger{meta: c.meta}
		gc.LogOutput = &strings.Builder{}
		gc.ProbeInterval = 0
		m, err := memberlist.Create(gc)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = m.Join([]string{a.Self().Addr})
		lines.await(t, append(c.want, "WARN gossip refused")...)
		_ = m.Shutdown()
		if got := idsOf(a.Members()); got != "a" {
			t.Errorf("after %s knocked the members are %q, want a", name, got)
		}
		a.note(func() { clear(a.refused) }) // one line a minute for each reason
	}
}

type stranger struct {
	delegate
	meta string
}

func (s stranger) NodeMeta(int) []byte { return []byte(s.meta) }
