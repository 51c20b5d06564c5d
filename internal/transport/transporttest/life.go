package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
)

func testRestart(t *testing.T, p *pair) {
	lost := make(chan string, 10)
	p.start(func(a, b *transport.Config) { a.Lost = func(id string) { lost <- id } })
	mustEcho(t, p.a, "b")
	s := open(t, p.a, "b", "echo")
	if err := p.b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, lost, "the loss of b"); got != "b" {
		t.Errorf("lost %q, want %q", got, "b")
	}
	var remote *transport.RemoteError // of the handler, if it still got through
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, transport.ErrBroken) && !errors.As(err, &remote) {
		t.Errorf("read from a stream of a node that has closed: %v, want %v", err, transport.ErrBroken)
	}
	if peers := p.a.Peers(); len(peers) != 0 {
		t.Errorf("peers = %v, want none", peers)
	}
	_, err := p.a.Call(bounded(t), "b", "echo", nil)
	wantError(t, err, transport.ErrUnreachable)

	p.b = p.listen(transport.Config{ID: "b", Cluster: "test", Network: p.netB, Resolve: p.resolve, Logger: slog.New(p.logB)})
	mustEcho(t, p.a, "b")

	// A second life of B takes over, even if nobody noticed the end of the first.
	third := p.listen(transport.Config{ID: "b", Cluster: "test", Network: p.netB, Resolve: p.resolve, Logger: slog.New(p.logB)})
	mustEcho(t, third, "a")
	if got := receive(t, lost, "the end of the second life of b"); got != "b" {
		t.Errorf("lost %q, want %q", got, "b")
	}
	mustEcho(t, p.a, "b")
}

func testDrop(t *testing.T, p *pair) {
	lost := make(chan string, 10)
	p.start(func(a, b *transport.Config) { b.Lost = func(id string) { lost <- id } })
	if d, ok := p.a.Silent("b"); ok {
		t.Errorf("b was heard %v ago, and there is no session yet", d)
	}
	asked := time.Now()
	mustEcho(t, p.a, "b")
	if d, ok := p.a.Silent("b"); !ok || d > time.Since(asked) {
		t.Errorf("b was heard %v ago (%v), want since it was asked", d, ok)
	}
	began := make(chan struct{})
	p.b.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	answered := make(chan error)
	go func() {
		_, err := p.a.Call(bounded(t), "b", "wait", nil)
		answered <- err
	}()
	<-began
	p.a.Drop("b")
	p.a.Drop("nobody")
	wantError(t, <-answered, transport.ErrBroken)
	if got := receive(t, lost, "that a has hung up"); got != "a" {
		t.Errorf("lost %q, want %q", got, "a")
	}
	mustEcho(t, p.a, "b")
}

func testClose(t *testing.T, p *pair) {
	p.start()
	const calls = 20
	began := make(chan struct{}, 3*calls)
	causes := make(chan error, 3*calls)
	wait := func(ctx context.Context) error {
		began <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	}
	for _, tr := range []*transport.Transport{p.a, p.b} {
		tr.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) { return nil, wait(ctx) })
		tr.HandleStream("wait", func(ctx context.Context, _ string, _ []byte, _ transport.Stream) error { return wait(ctx) })
	}
	var wg sync.WaitGroup
	errs := make(chan error, 3*calls)
	for range calls {
		wg.Go(func() {
			_, err := p.a.Call(bounded(t), "b", "wait", nil)
			errs <- fmt.Errorf("call: %w", err)
		})
		wg.Go(func() {
			_, err := p.b.Call(bounded(t), "b", "wait", nil)
			errs <- fmt.Errorf("call to itself: %w", err)
		})
		wg.Go(func() {
			s, err := p.a.Open(bounded(t), "b", "wait", nil)
			if err == nil {
				_, err = io.ReadAll(s)
			}
			errs <- fmt.Errorf("stream: %w", err)
		})
	}
	for range 3 * calls {
		receive(t, began, "the handlers")
	}
	closed := make(chan error, 1)
	go func() { closed <- p.b.Close() }()
	if err := receive(t, closed, "Close"); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range 3 * calls {
		select {
		case cause := <-causes:
			if !errors.Is(cause, transport.ErrClosed) {
				t.Errorf("a handler ended because of %v, want %v", cause, transport.ErrClosed)
			}
		default:
			t.Fatal("Close returned before the last handler did")
		}
	}
	wg.Wait()
	for range 3 * calls {
		var remote *transport.RemoteError
		err := <-errs
		if !errors.Is(err, transport.ErrBroken) && !errors.Is(err, transport.ErrClosed) && !errors.As(err, &remote) {
			t.Errorf("got %v, want that the session broke or the handler's error", err)
		}
	}
	if err := p.b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := p.b.Call(bounded(t), "a", "echo", nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Call after Close: %v, want %v", err, transport.ErrClosed)
	}
	if _, err := p.b.Open(bounded(t), "b", "echo", nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Open after Close: %v, want %v", err, transport.ErrClosed)
	}
}
