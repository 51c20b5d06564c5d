package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
)

func testAnswer(t *testing.T, p *pair) {
	p.start()
	p.b.Handle("whoami", func(_ context.Context, from string, req []byte) ([]byte, error) {
		return []byte(from + " said " + string(req)), nil
	})
	for _, size := range []int{0, 1, 4 << 10, 300 << 10, 8 << 20} {
		req := bytes.Repeat([]byte{'x'}, size)
		got, err := p.a.Call(bounded(t), "b", "echo", req)
		if err != nil || !bytes.Equal(got, req) {
			t.Fatalf("echo of %d bytes: got %d bytes, %v", size, len(got), err)
		}
	}
	got, err := p.a.Call(bounded(t), "b", "whoami", []byte("hi"))
	if want := "a said hi"; string(got) != want || err != nil {
		t.Errorf("whoami = %q, %v, want %q", got, err, want)
	}
	mustEcho(t, p.b, "a")
	if got, want := fmt.Sprint(p.a.Peers(), p.b.Peers()), "[b] [a]"; got != want {
		t.Errorf("peers = %s, want %s", got, want)
	}
}

type codedError struct{}

func (codedError) Error() string     { return "the shelf is empty" }
func (codedError) ErrorCode() string { return "empty" }

func testErrors(t *testing.T, p *pair) {
	p.start()
	for _, tr := range []*transport.Transport{p.a, p.b} {
		tr.Handle("plain", func(context.Context, string, []byte) ([]byte, error) {
			return []byte("lost"), errors.New("out of order")
		})
		tr.Handle("coded", func(context.Context, string, []byte) ([]byte, error) {
			return nil, fmt.Errorf("shop: %w", codedError{})
		})
		tr.Handle("proxy", func(ctx context.Context, _ string, req []byte) ([]byte, error) {
			resp, err := p.a.Call(ctx, "a", "coded", req)
			return resp, fmt.Errorf("proxy: %w", err)
		})
		tr.Handle("long", func(context.Context, string, []byte) ([]byte, error) {
			return nil, errors.New(strings.Repeat("x", 1<<20))
		})
	}
	for _, to := range []string{"a", "b"} {
		for _, c := range []struct{ method, code, message string }{
			{"plain", "", "out of order"},
			{"coded", "empty", "shop: the shelf is empty"},
			{"proxy", "empty", `proxy: transport: "coded" answered: shop: the shelf is empty`},
			{"missing", transport.CodeNoMethod, fmt.Sprintf("node %q has no handler for the call %q: both ends must run builds that know it", to, "missing")},
			{"long", "", strings.Repeat("x", 16<<10)},
		} {
			resp, err := p.a.Call(bounded(t), to, c.method, nil)
			got := &transport.RemoteError{}
			if !errors.As(err, &got) {
				t.Fatalf("%s at %s: error %v is no RemoteError", c.method, to, err)
			}
			want := transport.RemoteError{Method: c.method, Code: c.code, Message: c.message}
			if *got != want || resp != nil {
				t.Errorf("%s at %s: got %+v and %q, want %+v and nothing", c.method, to, *got, resp, want)
			}
		}
	}
}

func testPanic(t *testing.T, p *pair) {
	p.start()
	for _, tr := range []*transport.Transport{p.a, p.b} {
		tr.Handle("panic", func(context.Context, string, []byte) ([]byte, error) { panic("at the disco") })
		tr.Handle("exit", func(context.Context, string, []byte) ([]byte, error) { runtime.Goexit(); return nil, nil })
		tr.HandleStream("panic", func(context.Context, string, []byte, transport.Stream) error { panic("at the disco") })
		tr.HandleStream("exit", func(context.Context, string, []byte, transport.Stream) error { runtime.Goexit(); return nil })
	}
	for _, to := range []string{"a", "b"} {
		for method, text := range map[string]string{"panic": "at the disco", "exit": "runtime.Goexit"} {
			_, err := p.a.Call(bounded(t), to, method, nil)
			wantRemote(t, err, method, transport.CodePanic, text)
			_, err = readAll(t, p.a, to, method)
			wantRemote(t, err, method, transport.CodePanic, text)
		}
		mustEcho(t, p.a, to)
	}
}

func wantRemote(t *testing.T, err error, method, code, text string) {
	t.Helper()
	var got *transport.RemoteError
	if !errors.As(err, &got) {
		t.Fatalf("error %v is no RemoteError", err)
	}
	if got.Method != method || got.Code != code || !strings.Contains(got.Message, text) {
		t.Errorf("got %+v, want method %q, code %q and %q in the message", got, method, code, text)
	}
}

func testSelf(t *testing.T, p *pair) {
	p.start()
	kept := make(chan []byte, 1)
	p.a.Handle("keep", func(_ context.Context, from string, req []byte) ([]byte, error) {
		kept <- req
		return req, nil
	})
	req := []byte("mine")
	resp, err := p.a.Call(bounded(t), "a", "keep", req)
	if err != nil {
		t.Fatal(err)
	}
	req[0], resp[1] = 'X', 'X'
	if got, want := string(<-kept), "mine"; got != want {
		t.Errorf("the handler's request is %q after the caller wrote to its own, want %q", got, want)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	ended := make(chan error, 1)
	p.a.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		cancel()
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, nil
	})
	if _, err := p.a.Call(ctx, "a", "wait", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if err := receive(t, ended, "the handler"); !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
	echoStream(t, p.a, "a", 3<<20)
	if peers := p.a.Peers(); len(peers) != 0 {
		t.Errorf("peers = %v, want none: a node is not its own peer", peers)
	}
}

func testManyCalls(t *testing.T, p *pair) {
	p.start()
	const callers, each = 50, 40
	var wg sync.WaitGroup
	for i := range callers {
		from, to := p.a, "b"
		if i%2 == 1 {
			from, to = p.b, "a"
		}
		wg.Go(func() {
			for j := range each {
				want := fmt.Sprintf("caller %d, call %d", i, j)
				got, err := from.Call(bounded(t), to, "echo", []byte(want))
				if err != nil || string(got) != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// testAhead has every call that there is room for wait for one that is ahead.
func testAhead(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { a.MaxStreams, b.MaxStreams = 8, 8 })
	found, waiting := make(chan struct{}), make(chan struct{}, 20)
	p.b.Handle("wait", func(context.Context, string, []byte) ([]byte, error) {
		waiting <- struct{}{}
		<-found
		return nil, nil
	})
	p.b.Handle("find", func(context.Context, string, []byte) ([]byte, error) {
		close(found)
		return nil, nil
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := p.a.Call(bounded(t), "b", "wait", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range 7 {
		receive(t, waiting, "calls that wait")
	}
	if _, err := p.a.Call(transport.Ahead(bounded(t)), "b", "find", nil); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func testLimit(t *testing.T, p *pair) {
	const limit = 4
	p.start(func(a, b *transport.Config) { a.MaxStreams, b.MaxStreams = limit, limit })
	var running, most atomic.Int32
	full := make(chan struct{})
	p.b.Handle("crowd", func(context.Context, string, []byte) ([]byte, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == limit {
			close(full)
		}
		<-full
		return nil, nil
	})
	var wg sync.WaitGroup
	for range limit {
		wg.Go(func() {
			if _, err := p.a.Call(bounded(t), "b", "crowd", nil); err != nil {
				t.Error(err)
			}
		})
	}
	receive(t, full, "as many handlers as are allowed")
	wg.Wait()

	// One call more than there is room for waits, and can be given up.
	hold, held := make(chan struct{}), make(chan struct{}, limit)
	p.b.Handle("hold", func(context.Context, string, []byte) ([]byte, error) {
		held <- struct{}{}
		<-hold
		return nil, nil
	})
	for range limit {
		wg.Go(func() { p.a.Call(bounded(t), "b", "hold", nil) })
	}
	for range limit {
		receive(t, held, "the handlers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.a.Call(ctx, "b", "echo", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call beyond the limit got %v, want %v", err, context.DeadlineExceeded)
	}
	close(hold)
	wg.Wait()
	mustEcho(t, p.a, "b")
	if got := most.Load(); got > limit {
		t.Errorf("%d handlers ran at once, want at most %d", got, limit)
	}
}

// counting counts the dials of a network.
type counting struct {
	transport.Network
	dials atomic.Int32
}

func (c *counting) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c.dials.Add(1)
	return c.Network.Dial(ctx, addr)
}

func testOneDial(t *testing.T, p *pair) {
	count := &counting{Network: p.netA}
	p.netA = count
	p.start()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { mustEchoIn(t, p.a, "b") })
	}
	wg.Wait()
	if got := count.dials.Load(); got != 1 {
		t.Errorf("100 calls at once made %d dials, want 1", got)
	}
}

// mustEchoIn is mustEcho for goroutines of a test.
func mustEchoIn(t *testing.T, from *transport.Transport, to string) {
	if _, err := from.Call(bounded(t), to, "echo", []byte("x")); err != nil {
		t.Error(err)
	}
}

func testTooLarge(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { a.MaxRequest, b.MaxRequest = 1<<20, 64<<10 })
	p.b.Handle("large", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, 64<<10+1), nil })
	p.a.Handle("large", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, 1<<20), nil })

	_, err := p.a.Call(bounded(t), "b", "echo", make([]byte, 1<<20+1))
	wantError(t, err, transport.ErrTooLarge, "request of 1048577 bytes", "limit is 1048576", "raise MaxRequest")
	_, err = p.a.Open(bounded(t), "b", "echo", make([]byte, 1<<20+1))
	wantError(t, err, transport.ErrTooLarge, "request of 1048577 bytes")
	_, err = p.a.Call(bounded(t), "b", "echo", make([]byte, 1<<20))
	wantRemote(t, err, "echo", transport.CodeTooLarge, "request of 1048576 bytes, the limit is 65536")
	_, err = p.a.Call(bounded(t), "b", "large", nil)
	wantRemote(t, err, "large", transport.CodeTooLarge, "answer has 65537 bytes, the limit is 65536")
	_, err = p.b.Call(bounded(t), "a", "large", nil)
	wantError(t, err, transport.ErrTooLarge, "answer of 1048576 bytes", "limit is 65536")
	s, err := p.a.Open(bounded(t), "b", "echo", make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Read(make([]byte, 1))
	wantRemote(t, err, "echo", transport.CodeTooLarge, "request of 1048576 bytes")
	mustEcho(t, p.a, "b")
}

func wantError(t *testing.T, err, want error, texts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func testCancel(t *testing.T, p *pair) {
	p.start()
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	p.b.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, nil
	})
	because := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(bounded(t))
	failed := make(chan error, 1)
	go func() {
		_, err := p.a.Call(ctx, "b", "wait", nil)
		failed <- err
	}()
	receive(t, began, "the handler")
	cancel(because)
	err := receive(t, failed, "the caller")
	wantError(t, err, context.Canceled, "changed my mind")
	wantError(t, err, because)
	cause := receive(t, ended, "the handler's end")
	if errors.Is(cause, transport.ErrClosed) || errors.Is(cause, transport.ErrBroken) || !strings.Contains(cause.Error(), "caller gave up") {
		t.Errorf("the handler ended because of %v, want that the caller gave up", cause)
	}
	mustEcho(t, p.a, "b")

	done, cancelDone := context.WithCancel(t.Context())
	cancelDone()
	if _, err := p.a.Call(done, "b", "echo", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a call with a context that is over got %v", err)
	}
}

func testUnreachable(t *testing.T, p *pair) {
	p.start()
	_, err := p.a.Call(bounded(t), "c", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, `"c"`, "no address", "join")
	_, err = p.a.Open(bounded(t), "c", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, `"c"`, "no address")

	l, err := p.netB.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p.setAddr("c", l.Addr().String())
	_, err = p.a.Call(bounded(t), "c", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, `"c"`, l.Addr().String(), "refused")
}
