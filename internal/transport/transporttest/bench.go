package transporttest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"testing"

	"github.com/musterhq/muster/internal/transport"
)

// Bench measures calls and streams between two ends of a network.
func Bench(b *testing.B, network func() (a, b transport.Network)) {
	netA, netB := network()
	server := listenQuiet(b, transport.Config{ID: "b", Network: netB})
	client := listenQuiet(b, transport.Config{ID: "a", Network: netA, Resolve: func(string) (string, bool) { return server.Addr(), true }})
	call := func(b *testing.B, req []byte) {
		if got, err := client.Call(b.Context(), "b", "echo", req); err != nil || !bytes.Equal(got, req) {
			b.Fatalf("echo of %d bytes: got %d, %v", len(req), len(got), err)
		}
	}
	b.Run("Call/100B", func(b *testing.B) {
		req := make([]byte, 100)
		b.ReportAllocs()
		for b.Loop() {
			call(b, req)
		}
	})
	b.Run("CallParallel/100B", func(b *testing.B) {
		req := make([]byte, 100)
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call(b, req)
			}
		})
	})
	b.Run("Call/256KiB", func(b *testing.B) {
		req := make([]byte, 256<<10)
		b.SetBytes(2 * int64(len(req)))
		for b.Loop() {
			call(b, req)
		}
	})
	b.Run("Stream/64KiBWrites", func(b *testing.B) { benchStream(b, client, 64<<10) })
	b.Run("Stream/100BWrites", func(b *testing.B) { benchStream(b, client, 100) })
}

// benchStream sends one write after the other and checks that all arrived.
func benchStream(b *testing.B, client *transport.Transport, size int) {
	s, err := client.Open(b.Context(), "b", "count", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	data := make([]byte, size)
	writes := 0
	for b.Loop() {
		if _, err := s.Write(data); err != nil {
			b.Fatal(err)
		}
		writes++
	}
	if err := s.CloseWrite(); err != nil {
		b.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if want := itoa(int64(writes * size)); string(got) != want || err != nil {
		b.Fatalf("%s bytes arrived, %v, want %s", got, err, want)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func listenQuiet(b *testing.B, cfg transport.Config) *transport.Transport {
	b.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	t, err := transport.Listen(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { t.Close() })
	t.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	t.HandleStream("count", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		n, err := io.Copy(io.Discard, s)
		if err != nil {
			return err
		}
		_, err = io.WriteString(s, itoa(n))
		return err
	})
	return t
}
