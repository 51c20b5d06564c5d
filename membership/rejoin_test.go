package membership

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hostIn returns the configuration of a node with default timing on a host of
// f.
func hostIn(f *fabric, host string, seeds ...string) Config {
	return Config{
		Self: Member{ID: host}, Bind: host + ":7946", Seeds: seeds,
		Network: fabricHost{f, host}, Logger: slog.New(slog.DiscardHandler),
	}
}

func startIn(t *testing.T, cfg Config) *List {
	t.Helper()
	l, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start %s: %v", cfg.Self.ID, err)
	}
	return l
}

// After ten minutes both sides have forgotten the other, so that nothing in
// the gossip itself could bring them together again.
func TestThePartsOfALongPartitionFindEachOtherAgain(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"their seed", "who they last knew"} {
		t.Run("by "+by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFabric()
				seed := startIn(t, hostIn(f, "seed"))
				hosts := []string{"a", "b", "c", "d"}
				var lists []*List
				for _, h := range hosts {
					lists = append(lists, startIn(t, hostIn(f, h, "seed:7946")))
				}
				sees := func(want ...string) {
					t.Helper()
					for i, l := range lists {
						if got := idsOf(l.Members()); got != want[i] {
							t.Errorf("%s sees %q, want %q", hosts[i], got, want[i])
						}
					}
				}
				time.Sleep(5 * time.Second)
				sees("a b c d seed", "a b c d seed", "a b c d seed", "a b c d seed")
				if by != "their seed" {
					_ = seed.Leave(t.Context()) // for good
				}
				f.cut("c", "d")
				time.Sleep(10 * time.Minute)
				ab, all := "a b", "a b c d"
				if by == "their seed" {
					ab, all = ab+" seed", all+" seed"
					for _, l := range lists {
						l.known.mu.Lock()
						l.known.file.Peers = nil
						l.known.mu.Unlock()
					}
				}
				sees(ab, ab, "c d", "c d")
				f.cut()
				time.Sleep(90 * time.Second)
				sees(all, all, all, all)
				for _, l := range append(lists, seed) {
					_ = l.Close()
				}
			})
		})
	}
}

func TestAShortCutHealsWithTheSameLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		a := startIn(t, hostIn(f, "a"))
		b := startIn(t, hostIn(f, "b", "a:7946"))
		life := b.Self()
		time.Sleep(time.Second)
		f.cut("b")
		time.Sleep(10 * time.Second)
		if got := idsOf(a.Members()); got != "a" {
			t.Errorf("a sees %q, want a", got)
		}
		f.cut()
		time.Sleep(20 * time.Second)
		if got, ok := a.Member("b"); !ok || !got.same(life) {
			t.Errorf("a sees %+v, want %+v", got, life)
		}
		_, _ = a.Close(), b.Close()
	})
}

// A node that starts while its seeds are out of reach, and the caller's
// deadline, not ours, decides.
func TestStartGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		a := startIn(t, hostIn(f, "a"))
		f.cut("b")
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		began := time.Now()
		wantError(t, startFails(t, ctx, hostIn(f, "b", "a:7946")), `seed "a:7946"`)
		if took := time.Since(began); took < 40*time.Second || took > 50*time.Second {
			t.Errorf("gave up after %v, want 40s", took)
		}
		began = time.Now()
		wantError(t, startFails(t, t.Context(), hostIn(f, "b", "a:7946")), `seed "a:7946"`)
		if took := time.Since(began); took < meetTime || took > meetTime+10*time.Second {
			t.Errorf("gave up after %v, want %v", took, meetTime)
		}
		_ = a.Close()
	})
}

func TestARestartedNodeFindsBackWithoutSeeds(t *testing.T) {
	a := start(t, brisk("a"))
	cfg := brisk("b", a.Self().Addr)
	cfg.Dir = t.TempDir()
	b := start(t, cfg)
	awaitIDs(t, b, "a", "b")
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitIDs(t, a, "a")
	cfg.Seeds = nil
	b = start(t, cfg)
	awaitIDs(t, b, "a", "b")
	_ = b.Close()
	cfg.Seeds = []string{unused(t)} // the seed is gone for good
	b = start(t, cfg)
	awaitIDs(t, b, "a", "b")
}

// Nodes that are started all at once find each other within seconds, although
// the first of them called at a door behind which nobody was yet.
func TestASeedThatComesSoonAfterIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		cfg := hostIn(f, "a", "b:7946")
		cfg.Lonely = true
		a := startIn(t, cfg)
		time.Sleep(time.Second)
		b := startIn(t, hostIn(f, "b"))
		time.Sleep(2 * time.Second)
		if got := idsOf(a.Members()); got != "a b" {
			t.Errorf("a sees %q, want a b", got)
		}
		_, _ = a.Close(), b.Close()
	})
}

// Nodes that nobody misses are not dialled, and one that does not answer is
// dialled ever more rarely.
func TestTheMissingAreCalledEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		host := countingHost{fabricHost{f, "a"}, new(atomic.Int64)}
		cfg := hostIn(f, "a", "gone:1")
		cfg.Network, cfg.Lonely = host, true
		a := startIn(t, cfg)
		time.Sleep(time.Hour)
		if n := host.dials.Load(); n < 50 || n > 100 {
			t.Errorf("dialled %d times in an hour, want about once a minute", n)
		}
		_ = a.Close()
	})
}

type countingHost struct {
	fabricHost
	dials *atomic.Int64
}

func (h countingHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	h.dials.Add(1)
	return h.fabricHost.Dial(ctx, addr)
}
