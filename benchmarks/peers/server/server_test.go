package server

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// serve is a server that is no server: it says something and stays, or ends.
func serve(script string, ready func(context.Context, string) error) command {
	return command{
		path: "/bin/sh", args: func(port string) []string { return []string{"-c", script, "sh", port} },
		quit: syscall.SIGTERM, ready: ready,
	}
}

func TestServerThatEndsSaysWhy(t *testing.T) {
	never := func(context.Context, string) error { return errors.New("refused") }
	_, err := start(t.Context(), serve("echo no such option >&2; exit 1", never))
	if err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("got error %v, want what the server said", err)
	}
}

func TestStopWaitsForTheEnd(t *testing.T) {
	s, err := start(t.Context(), serve("exec sleep 100", func(context.Context, string) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("got %v, want that there is no such process", err)
	}
}

func TestNobodyWaitsForAServerWhenTheCallerIsGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ready := func(context.Context, string) error { cancel(); return errors.New("not yet") }
	if _, err := start(ctx, serve("exec sleep 100", ready)); err == nil || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("got error %v, want the last answer", err)
	}
}

// TestServersAnswerWhereTheyAre starts those of the servers that this machine
// has.
func TestServersAnswerWhereTheyAre(t *testing.T) {
	for name, f := range map[string]struct {
		find  func() (string, error)
		start func(ctx context.Context, dir string) (*Server, error)
	}{
		"redis":    {FindRedis, func(ctx context.Context, dir string) (*Server, error) { return Redis(ctx, dir, "everysec") }},
		"postgres": {FindPostgres, Postgres},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.find(); err != nil {
				t.Skip(err)
			}
			dir, err := os.MkdirTemp("", "muster-peers-") //nolint:usetesting // t.TempDir is not for other users to enter
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			s, err := f.start(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := net.SplitHostPort(s.Addr)
			if !net.ParseIP(host).IsLoopback() {
				t.Errorf("got address %s, want one on loopback", s.Addr)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if c, err := net.Dial("tcp", s.Addr); err == nil {
				c.Close()
				t.Errorf("%s still answers", s.Addr)
			}
		})
	}
}
