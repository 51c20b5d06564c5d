package membership

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNodesFindEachOtherAndSeeAGoodbye(t *testing.T) {
	a := start(t, brisk("a"))
	b := start(t, brisk("b", a.Self().Addr))
	c := start(t, brisk("c", b.Self().Addr)) // knows only b
	for _, l := range []*List{a, b, c} {
		awaitIDs(t, l, "a", "b", "c")
	}
	got, ok := a.Member("c")
	if want := c.Self(); !ok || !got.same(want) {
		t.Errorf("a knows c as %+v, want %+v", got, want)
	}
	if !got.Has("worker") || got.Has("server") {
		t.Errorf("roles of c: %v", got.Roles)
	}

	if err := b.Leave(t.Context()); err != nil {
		t.Fatalf("leave: %v", err)
	}
	awaitIDs(t, a, "a", "c")
	awaitIDs(t, c, "a", "c")
	if err := b.Leave(t.Context()); err != nil {
		t.Errorf("leaving twice: %v", err)
	}
	if err := b.Update(func(m *Member) { m.Slots = 1 }); !errors.Is(err, ErrClosed) {
		t.Errorf("update after leave: got %v, want %v", err, ErrClosed)
	}
}

func TestTheCrashedIsMissedByAll(t *testing.T) {
	t.Parallel()
	a := start(t, brisk("a"))
	b := start(t, brisk("b", a.Self().Addr))
	c := start(t, brisk("c", a.Self().Addr))
	for _, l := range []*List{a, b, c} {
		awaitIDs(t, l, "a", "b", "c")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	awaitIDs(t, a, "a", "b")
	awaitIDs(t, b, "a", "b")
}

func TestANodeThatReturnsElsewhereIsBackAtOnce(t *testing.T) {
	a := start(t, brisk("a"))
	events, stop := a.Watch()
	defer stop()
	dir := t.TempDir()
	cfg := brisk("b", a.Self().Addr)
	cfg.Dir = dir
	b := start(t, cfg)
	first := b.Self()
	if e := nextOf(t, events, "b"); e.Kind != Joined || !e.Member.same(first) {
		t.Fatalf("got %v %+v, want the first life to join", e.Kind, e.Member)
	}
	_ = b.Close() // nobody is told

	b = start(t, cfg)
	second := b.Self()
	if second.Incarnation <= first.Incarnation {
		t.Errorf("incarnation went from %d to %d", first.Incarnation, second.Incarnation)
	}
	if e := nextOf(t, events, "b"); e.Kind != Left || e.Member.Incarnation != first.Incarnation {
		t.Errorf("got %v of %d, want the first life, %d, to leave", e.Kind, e.Member.Incarnation, first.Incarnation)
	}
	if e := nextOf(t, events, "b"); e.Kind != Joined || !e.Member.same(second) {
		t.Errorf("got %v %+v, want the second life to join: %+v", e.Kind, e.Member, second)
	}
	awaitIDs(t, a, "a", "b")
}

func TestTwoLivingNodesWithOneIDAreLoggedAndTheLaterIsTheMember(t *testing.T) {
	t.Parallel()
	elderLog := newBook()
	seed := start(t, brisk("seed"))
	cfg := brisk("twin", seed.Self().Addr)
	cfg.Logger = newLogger(elderLog)
	elder := start(t, cfg)
	thirdLog := newBook()
	cfg = brisk("third", seed.Self().Addr)
	cfg.Logger, cfg.ProbeInterval = newLogger(thirdLog), 50*time.Millisecond
	third := start(t, cfg)
	later := start(t, brisk("twin", seed.Self().Addr))

	for _, l := range []*List{seed, elder, later, third} {
		await(t, l, "the later twin", func(ms []Member) bool {
			return slices.ContainsFunc(ms, func(m Member) bool { return m.same(later.Self()) })
		})
		awaitIDs(t, l, "seed", "third", "twin")
	}
	elderLog.await(t, "ERROR two living nodes have one ID", elder.Self().Addr, later.Self().Addr)
	thirdLog.await(t, "ERROR two living nodes have one ID", elder.Self().Addr, later.Self().Addr)

	_ = later.Leave(t.Context())
	await(t, seed, "the elder twin", func(ms []Member) bool {
		return slices.ContainsFunc(ms, func(m Member) bool { return m.same(elder.Self()) })
	})
}

func TestUpdateReachesTheOthers(t *testing.T) {
	a := start(t, brisk("a"))
	b := start(t, brisk("b", a.Self().Addr))
	events, stop := a.Watch()
	defer stop()
	if e := nextOf(t, events, "b"); e.Kind != Joined {
		t.Fatalf("got %v, want joined", e.Kind)
	}
	err := b.Update(func(m *Member) {
		m.Tags, m.Slots = append(m.Tags, "gpu"), 9
		m.ID, m.Addr, m.Incarnation = "x", "y", 1 // not b's to change
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := nextOf(t, events, "b"); e.Kind != Changed || !e.Member.same(b.Self()) || e.Member.Slots != 9 {
		t.Errorf("got %v %+v, want changed to %+v", e.Kind, e.Member, b.Self())
	}
	if got := b.Self(); got.ID != "b" || !slices.Equal(got.Tags, []string{"gpu"}) {
		t.Errorf("b is now %+v", got)
	}
	if me, _ := b.Member("b"); !me.same(b.Self()) {
		t.Errorf("b knows itself as %+v, want %+v", me, b.Self())
	}
}

func TestWhatDoesNotFitInGossipIsRefusedByName(t *testing.T) {
	cfg := brisk("a")
	cfg.Self.Tags = []string{strings.Repeat("x", 300), strings.Repeat("y", 300)}
	wantError(t, startFails(t, t.Context(), cfg), "at most 512", "Tags", "605 bytes")

	a := start(t, brisk("a"))
	before := a.Self()
	err := a.Update(func(m *Member) { m.Name = strings.Repeat("n", 511) })
	wantError(t, err, "at most 512", "Name")
	if !a.Self().same(before) {
		t.Errorf("a refused update left %+v, want %+v", a.Self(), before)
	}
}

func TestConfigIsCheckedBeforeAnythingHappens(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"id":      {func(c *Config) { c.Self.ID = "a/b" }, []string{`ID "a/b"`}},
		"key":     {func(c *Config) { c.Keys = [][]byte{make([]byte, 16), make([]byte, 5)} }, []string{"Keys[1] is 5 bytes", "16, 24 or 32"}},
		"seed":    {func(c *Config) { c.Seeds = []string{"nohost"} }, []string{`seed "nohost"`, "host:port"}},
		"bind":    {func(c *Config) { c.Bind = "1.2.3.4" }, []string{`Bind "1.2.3.4"`, "host:port"}},
		"foreign": {func(c *Config) { c.Bind = "203.0.113.1:0" }, []string{`Bind "203.0.113.1:0"`, "free port of this machine"}},
		"cluster": {func(c *Config) { c.Cluster = strings.Repeat("c", 201) }, []string{"Cluster", "at most 200"}},
		"probe":   {func(c *Config) { c.ProbeInterval = -1 }, []string{"ProbeInterval"}},
		"slots":   {func(c *Config) { c.Self.Slots = -1 }, []string{"Slots -1"}},
		"utf8":    {func(c *Config) { c.Self.Name = "\xff" }, []string{"UTF-8"}},
		"adv":     {func(c *Config) { c.Advertise = ":99" }, []string{`Advertise ":99"`}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := brisk("a")
			c.change(&cfg)
			wantError(t, startFails(t, t.Context(), cfg), c.want...)
		})
	}
}

func TestAPortInUseIsNamedWithTheRemedy(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	cfg := brisk("a")
	cfg.Bind = pc.LocalAddr().String()
	wantError(t, startFails(t, t.Context(), cfg), cfg.Bind, "address already in use", "or 0 to have one picked")
}

func TestAnyPortWillDo(t *testing.T) {
	cfg := brisk("a")
	cfg.Bind = "127.0.0.1:-1"
	a := start(t, cfg)
	cfg = brisk("b", a.Self().Addr)
	cfg.Bind = ":0" // all interfaces, so an address of the machine is gossiped
	cfg.Self.RPC = "[::]:7947"
	b := start(t, cfg)
	awaitIDs(t, a, "a", "b")
	host, _, _ := net.SplitHostPort(b.Self().Addr)
	if m, _ := a.Member("b"); m.RPC != net.JoinHostPort(host, "7947") {
		t.Errorf("b is to be called at %q, and gossips at %q", m.RPC, b.Self().Addr)
	}
	if host, _, _ := net.SplitHostPort(b.Self().Addr); host == "" || isUnspecified(host) {
		t.Errorf("b says that it is at %q", b.Self().Addr)
	}
	if !b.isSelf(b.bound) || !b.isSelf(strings.Replace(b.bound, "[::]", "127.0.0.1", 1)) {
		t.Errorf("b does not know itself under %q", b.bound)
	}
}

func TestZeroConfigIsANodeAlone(t *testing.T) {
	l, err := Start(context.Background(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ms := l.Members()
	if len(ms) != 1 || !ms[0].same(l.Self()) || len(ms[0].ID) != 26 {
		t.Errorf("got %+v, want only %+v", ms, l.Self())
	}
}
