package transporttest

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/transport"
)

func open(t *testing.T, from *transport.Transport, to, method string) transport.Stream {
	t.Helper()
	s, err := from.Open(bounded(t), to, method, []byte("request"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func readAll(t *testing.T, from *transport.Transport, to, method string) ([]byte, error) {
	t.Helper()
	return io.ReadAll(open(t, from, to, method))
}

func testLargeStreams(t *testing.T, p *pair) {
	p.start()
	echoStream(t, p.a, "b", 20<<20)
	echoStream(t, p.b, "a", 5<<20+1)
}

// echoStream sends random bytes to a peer and checks that they come back.
func echoStream(t *testing.T, from *transport.Transport, to string, size int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := open(t, from, to, "echo")
	sent, got := fnv.New64a(), fnv.New64a()
	wrote := make(chan error, 1)
	go func() {
		chance := rand.New(rand.NewPCG(seed, 1))
		source := rand.NewChaCha8([32]byte{byte(seed)})
		for left := size; left > 0; {
			b := make([]byte, min(left, 1+chance.IntN(200<<10)))
			source.Read(b)
			sent.Write(b)
			left -= len(b)
			if _, err := s.Write(b); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- s.CloseWrite()
	}()
	n, err := io.Copy(got, s)
	if err != nil {
		t.Fatalf("read: %v after %d bytes", err, n)
	}
	if err := receive(t, wrote, "the writer"); err != nil {
		t.Fatalf("write: %v", err)
	}
	if int(n) != size || sent.Sum64() != got.Sum64() {
		t.Fatalf("%d bytes came back, of %d, with sum %x, want %x", n, size, got.Sum64(), sent.Sum64())
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read after the end = %d, %v, want 0, %v", n, err, io.EOF)
	}
	if _, err := s.Write([]byte("more")); err == nil {
		t.Error("a write after CloseWrite had no error")
	}
}

func testSmallWrites(t *testing.T, p *pair) {
	p.start()
	const lines = 20000
	p.b.HandleStream("lines", func(_ context.Context, from string, req []byte, s transport.Stream) error {
		for i := range lines {
			if _, err := s.Write([]byte{byte(i), '\n'}); err != nil {
				return err
			}
		}
		return nil
	})
	got, err := readAll(t, p.a, "b", "lines")
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		if got[2*i] != byte(i) || got[2*i+1] != '\n' {
			t.Fatalf("line %d is %q", i, got[2*i:2*i+2])
		}
	}
	if len(got) != 2*lines {
		t.Errorf("got %d bytes, want %d", len(got), 2*lines)
	}
}

func testStreamError(t *testing.T, p *pair) {
	p.start()
	for _, tr := range []*transport.Transport{p.a, p.b} {
		tr.HandleStream("early", func(context.Context, string, []byte, transport.Stream) error {
			return codedError{}
		})
		tr.HandleStream("late", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
			if _, err := s.Write(make([]byte, 3<<20)); err != nil {
				return err
			}
			return codedError{}
		})
		tr.HandleStream("closing", func(_ context.Context, _ string, req []byte, s transport.Stream) error {
			defer s.Close() // which is a habit, and does no harm
			_, err := s.Write(req)
			return err
		})
	}
	for _, to := range []string{"a", "b"} {
		for method, size := range map[string]int{"early": 0, "late": 3 << 20} {
			got, err := readAll(t, p.a, to, method)
			wantRemote(t, err, method, "empty", "the shelf is empty")
			if len(got) != size {
				t.Errorf("%s: got %d bytes before the error, want %d", method, len(got), size)
			}
		}
		got, err := readAll(t, p.a, to, "closing")
		if string(got) != "request" || err != nil {
			t.Errorf("closing: got %q, %v, want %q and a clean end", got, err, "request")
		}
		_, err = readAll(t, p.a, to, "missing")
		wantRemote(t, err, "missing", transport.CodeNoMethod, "has no handler for the stream")
	}
}

func testUploadGivenUp(t *testing.T, p *pair) {
	p.start()
	type result struct {
		n   int
		err error
	}
	results := make(chan result, 1)
	began := make(chan struct{}, 1)
	p.b.HandleStream("upload", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		b := make([]byte, 5)
		io.ReadFull(s, b)
		began <- struct{}{}
		rest, err := io.ReadAll(s)
		results <- result{len(b) + len(rest), err}
		return err
	})
	s := open(t, p.a, "b", "upload")
	s.Write([]byte("hello"))
	receive(t, began, "the handler")
	s.Close()
	if got := receive(t, results, "the handler's end"); got.err == nil {
		t.Errorf("the handler read %d bytes and a clean end of an upload that was given up", got.n)
	}

	s = open(t, p.a, "b", "upload")
	s.Write([]byte("hello"))
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, results, "the handler's end"); got.err != nil || got.n != 5 {
		t.Errorf("the handler read %d bytes, %v, want 5 and a clean end", got.n, got.err)
	}
}

func testHandlerReturns(t *testing.T, p *pair) {
	p.start()
	p.b.HandleStream("refuse", func(context.Context, string, []byte, transport.Stream) error { return codedError{} })
	p.b.HandleStream("enough", func(context.Context, string, []byte, transport.Stream) error { return nil })

	_, err := write(open(t, p.a, "b", "refuse"))
	wantRemote(t, err, "refuse", "empty", "the shelf is empty")
	_, err = write(open(t, p.a, "b", "enough"))
	wantError(t, err, io.ErrClosedPipe, "the handler has returned")
}

// write writes until that fails.
func write(s transport.Stream) (n int, err error) {
	b := make([]byte, 100<<10)
	for {
		m, err := s.Write(b)
		n += m
		if err != nil {
			return n, err
		}
	}
}

func testStreamCancel(t *testing.T, p *pair) {
	p.start()
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	p.b.HandleStream("ignore", func(ctx context.Context, _ string, _ []byte, s transport.Stream) error {
		began <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(bounded(t))
	s, err := p.a.Open(ctx, "b", "ignore", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wrote, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := write(s) // until nobody takes any more
		wrote <- err
	}()
	go func() {
		_, err := s.Read(make([]byte, 1))
		read <- err
	}()
	receive(t, began, "the handler")
	cancel()
	wantError(t, receive(t, wrote, "the writer"), context.Canceled)
	wantError(t, receive(t, read, "the reader"), context.Canceled)
	if cause := receive(t, ended, "the handler's end"); !strings.Contains(cause.Error(), "gave up") {
		t.Errorf("the handler ended because of %v, want that the caller gave up", cause)
	}
}

func testDropped(t *testing.T, p *pair) {
	p.start()
	p.b.HandleStream("two", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		_, err := s.Write([]byte("two"))
		return err
	})
	for _, from := range []*transport.Transport{p.a, p.b} {
		ctx, cancel := context.WithCancel(bounded(t))
		s, err := from.Open(ctx, "b", "two", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = write(s) // until it is known that the handler has returned
		s.Close()
		if n, err := s.Read(make([]byte, 3)); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read %d bytes, %v, of a stream that was given up before it was read, want an error that is no end", n, err)
		}
		cancel()
	}
}

func testSlowReader(t *testing.T, p *pair) {
	p.start()
	stuck := make(chan error, 1)
	p.b.HandleStream("flood", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		_, err := write(s)
		stuck <- err
		return err
	})
	s := open(t, p.a, "b", "flood")
	if _, err := io.ReadFull(s, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	// Nobody reads the rest. Everything else goes on.
	for range 100 {
		mustEcho(t, p.a, "b")
		mustEcho(t, p.b, "a")
	}
	echoStream(t, p.a, "b", 4<<20)
	select {
	case err := <-stuck:
		t.Fatalf("the flood ended: %v", err)
	default:
	}
	s.Close()
	if err := receive(t, stuck, "the flood's end"); err == nil {
		t.Error("the flood ended without an error")
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("read after Close: %v, want %v", err, io.ErrClosedPipe)
	}
}

func testDialOnly(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { a.Resolve = nowhere })
	_, err := p.a.Call(bounded(t), "b", "echo", nil)
	wantError(t, err, transport.ErrUnreachable)

	mustEcho(t, p.b, "a") // B dials A, and from now on A reaches B.
	mustEcho(t, p.a, "b")
	echoStream(t, p.a, "b", 1<<20) // B is asked for a bulk session.
	echoStream(t, p.b, "a", 1<<20)
	got, err := p.a.Call(bounded(t), "b", "echo", bytes.Repeat([]byte("x"), 1<<20))
	if err != nil || len(got) != 1<<20 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}
