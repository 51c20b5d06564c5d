package membership

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// A probe whose target is gone waits for most of a second, in the middle of
// the gossip library; Close must outwait it.
func TestCloseLeavesNothingBehindEvenInTheMiddleOfAProbe(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cfg := brisk("a")
	cfg.ProbeInterval, cfg.ProbeTimeout = time.Second, 10*time.Millisecond
	lines := newBook()
	cfg.Logger = newLogger(lines)
	a := start(t, cfg)
	b := start(t, brisk("b", a.Self().Addr))
	awaitIDs(t, a, "a", "b")
	_ = b.Close()
	lines.await(t, "Failed UDP ping", "timeout reached")
	_ = a.Close()
	// One look and no second: nothing may need time to go away.
	if labelled(a) {
		t.Error("goroutines of gossip are left after Close")
	}
	goleak.VerifyNone(t, before)
}

func TestLeaveIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	a := start(t, brisk("a"))
	b := start(t, brisk("b", a.Self().Addr))
	awaitIDs(t, b, "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, b.Leave(ctx), "membership: leave", "some seconds to notice")
	awaitIDs(t, a, "a") // all the same
}

func TestAStartThatFailsLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for range 3 {
		if err := startFails(t, briefly(t), brisk("a", unused(t))); err == nil {
			t.Fatal("started without its seed")
		}
	}
	goleak.VerifyNone(t, before)
}

// Everything at once, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		a := startIn(t, hostIn(f, "a"))
		done := make(chan struct{})
		for i, h := range []string{"b", "c", "d"} {
			go func() {
				defer func() { done <- struct{}{} }()
				for range 5 {
					l, err := Start(t.Context(), hostIn(f, h, "a:7946"))
					if err != nil {
						t.Error(err)
						return
					}
					events, stop := l.Watch()
					<-events
					_ = l.Update(func(m *Member) { m.Slots++ })
					_ = a.Update(func(m *Member) { m.Slots++ })
					_, _ = l.Members(), l.Self()
					if i%2 == 0 {
						go func() { _ = l.Close() }()
					}
					if err := l.Leave(t.Context()); err != nil {
						t.Error(err)
					}
					_ = l.Close()
					stop()
				}
			}()
		}
		for range 3 {
			<-done
		}
		time.Sleep(20 * time.Second)
		if got := idsOf(a.Members()); got != "a" {
			t.Errorf("a sees %q, want a", got)
		}
		_ = a.Close()
	})
}
