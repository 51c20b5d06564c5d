package simnet_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/transport/transporttest"
)

// nodes are two nodes, each of which tells whom it lost.
type nodes struct {
	net          *simnet.Net
	a, b         *transport.Transport
	lostA, lostB chan string
	causes       chan error // why handlers of "wait" ended
}

// faulty runs a test in a bubble, so that it takes no time to wait for
// timeouts and what takes how long can be told exactly.
func faulty(t *testing.T, test func(t *testing.T, n *nodes)) {
	transporttest.Bubble(t, func(t *testing.T) {
		n := &nodes{
			net:    simnet.New(1),
			lostA:  make(chan string, 10),
			lostB:  make(chan string, 10),
			causes: make(chan error, 10),
		}
		n.a = n.listen(t, "a", n.lostA)
		n.b = n.listen(t, "b", n.lostB)
		mustCall(t, n.a, "b")
		test(t, n)
	})
}

func (n *nodes) listen(t *testing.T, id string, lost chan string) *transport.Transport {
	t.Helper()
	tr, err := transport.Listen(transport.Config{
		ID:      id,
		Network: n.net.Host(id),
		Addr:    ":7000",
		Resolve: func(id string) (string, bool) { return id + ":7000", true },
		Lost:    func(id string) { lost <- id },
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	tr.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	tr.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		n.causes <- context.Cause(ctx)
		return nil, nil
	})
	tr.HandleStream("flood", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		for b := make([]byte, 64<<10); ; {
			if _, err := s.Write(b); err != nil {
				return err
			}
		}
	})
	return tr
}

func mustCall(t *testing.T, from *transport.Transport, to string) {
	t.Helper()
	if got, err := from.Call(t.Context(), to, "echo", []byte("hello")); err != nil || string(got) != "hello" {
		t.Fatalf("call to %q: %q, %v", to, got, err)
	}
}

// inBackground makes a call that ends when the network has an answer.
func inBackground(ctx context.Context, from *transport.Transport, to string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := from.Call(ctx, to, "wait", nil)
		done <- err
	}()
	synctest.Wait()
	return done
}

func TestACallOutlastsAShortCut(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		n.net.Cut("a", "b")
		time.AfterFunc(8*time.Second, n.net.Heal)
		mustCall(t, n.a, "b")
		if len(n.lostA)+len(n.lostB) > 0 {
			t.Error("a cut of 8 s lost a peer")
		}
	})
}

func TestALongCutBreaksWhatIsInFlight(t *testing.T) {
	for name, cut := range map[string]func(n *simnet.Net){
		"both ways": func(n *simnet.Net) { n.Cut("a", "b") },
		"there":     func(n *simnet.Net) { n.CutOneWay("a", "b") },
		"back":      func(n *simnet.Net) { n.CutOneWay("b", "a") },
		"isolated":  func(n *simnet.Net) { n.Isolate("b") },
	} {
		t.Run(name, func(t *testing.T) {
			faulty(t, func(t *testing.T, n *nodes) {
				call := inBackground(t.Context(), n.a, "b")
				start := time.Now()
				cut(n.net)
				if err := <-call; !errors.Is(err, transport.ErrBroken) {
					t.Errorf("got %v, want %v", err, transport.ErrBroken)
				}
				if cause := <-n.causes; !errors.Is(cause, transport.ErrBroken) {
					t.Errorf("the handler ended because of %v, want %v", cause, transport.ErrBroken)
				}
				if a, b := <-n.lostA, <-n.lostB; a != "b" || b != "a" {
					t.Errorf("lost %q and %q, want b and a", a, b)
				}
				if took := time.Since(start); took > 45*time.Second {
					t.Errorf("it took %v to notice, want at most 45 s", took)
				}
				_, err := n.a.Call(t.Context(), "b", "echo", nil)
				if !errors.Is(err, transport.ErrUnreachable) {
					t.Errorf("call during the cut: %v, want %v", err, transport.ErrUnreachable)
				}
				n.net.Heal()
				mustCall(t, n.a, "b")
				mustCall(t, n.b, "a")
			})
		})
	}
}

func TestASlowLinkOnlyTakesLonger(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		n.net.Slow("a", "b", 200*time.Millisecond, 100*time.Millisecond)
		start := time.Now()
		mustCall(t, n.a, "b")
		if took := time.Since(start); took < 400*time.Millisecond || took > 600*time.Millisecond {
			t.Errorf("a call took %v, want 400 to 600 ms", took)
		}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if _, err := n.a.Call(t.Context(), "b", "echo", make([]byte, 1000)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s, err := n.a.Open(t.Context(), "b", "flood", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, s, 10<<20); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

func TestALinkOfLittleBandwidthLosesNobody(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		n.net.Bandwidth("a", "b", 100<<10)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				s, err := n.a.Open(t.Context(), "b", "flood", nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if _, err := io.CopyN(io.Discard, s, 1<<20); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(n.lostA)+len(n.lostB) > 0 {
			t.Error("a peer was lost")
		}
	})
}

func TestAResetBreaksWhatIsInFlightOnly(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		call := inBackground(t.Context(), n.a, "b")
		s, err := n.a.Open(t.Context(), "b", "flood", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := io.ReadFull(s, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		n.net.Reset("a", "b")
		if err := <-call; !errors.Is(err, transport.ErrBroken) {
			t.Errorf("the call got %v, want %v", err, transport.ErrBroken)
		}
		if _, err := io.Copy(io.Discard, s); !errors.Is(err, transport.ErrBroken) {
			t.Errorf("the stream got %v, want %v", err, transport.ErrBroken)
		}
		<-n.lostA
		mustCall(t, n.a, "b")
	})
}

func TestACallerDoesNotWaitForAStalledNetwork(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		n.net.Cut("a", "b")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// More than the connection takes in, so that the write itself stalls.
		_, err := n.a.Call(ctx, "b", "echo", make([]byte, 4<<20))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the call took %v, want 1s", took)
		}
		n.net.Heal()
		mustCall(t, n.a, "b")
	})
}

func TestAStreamDoesNotWaitForAStalledNetwork(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := n.a.Open(ctx, "b", "flood", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := io.ReadFull(s, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		n.net.Cut("a", "b")
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, rerr := io.Copy(io.Discard, s)
		var werr error
		for werr == nil {
			_, werr = s.Write(make([]byte, 64<<10))
		}
		if !errors.Is(rerr, context.Canceled) || !errors.Is(werr, context.Canceled) {
			t.Errorf("got %v and %v, want %v", rerr, werr, context.Canceled)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v, want 1s", took)
		}
		if err := n.a.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDoesNotWaitForAStalledNetwork(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		n.net.Cut("a", "b")
		done := make(chan error, 1)
		go func() {
			_, err := n.a.Call(t.Context(), "b", "echo", make([]byte, 4<<20))
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		n.a.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if err := <-done; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("the call got %v, want %v", err, transport.ErrClosed)
		}
	})
}

func TestAPeerThatCrashesIsLostAndFoundAgain(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		call := inBackground(t.Context(), n.a, "b")
		n.net.Host("b").Crash()
		if err := <-call; !errors.Is(err, transport.ErrBroken) {
			t.Errorf("got %v, want %v", err, transport.ErrBroken)
		}
		<-n.lostA
		if _, err := n.a.Call(t.Context(), "b", "echo", nil); !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("got %v, want %v", err, transport.ErrUnreachable)
		}
		n.b.Close()
		n.b = n.listen(t, "b", n.lostB)
		mustCall(t, n.a, "b")
	})
}

func TestAPeerThatCrashedUnseenIsLostWhenItReturns(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		call := inBackground(t.Context(), n.a, "b")
		n.net.Isolate("b")
		n.net.Host("b").Crash()
		n.b.Close()
		n.b = n.listen(t, "b", n.lostB)
		start := time.Now()
		n.net.Heal()
		mustCall(t, n.b, "a")
		if err := <-call; !errors.Is(err, transport.ErrBroken) {
			t.Errorf("got %v, want %v", err, transport.ErrBroken)
		}
		<-n.lostA
		if took := time.Since(start); took != 0 {
			t.Errorf("the new life was known after %v, want at once", took)
		}
	})
}

func TestAListenerThatSaysNothingIsGivenUp(t *testing.T) {
	faulty(t, func(t *testing.T, n *nodes) {
		l, err := n.net.Host("c").Listen(":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		accepted := make(chan net.Conn, 1)
		go func() {
			if c, err := l.Accept(); err == nil {
				accepted <- c
			}
		}()
		start := time.Now()
		_, err = n.a.Call(t.Context(), "c", "echo", nil)
		if !errors.Is(err, transport.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, transport.ErrUnreachable)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %v, want 5s", took)
		}
		(<-accepted).Close()
	})
}
