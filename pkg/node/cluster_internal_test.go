package node

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/mapreduce"
)

// servers brings up a cluster of k servers on a simulated network, of which
// each finds the first. They can run the processor "echo".
func servers(t *testing.T, k int, configure func(i int, cfg *Config)) []*Node {
	t.Helper()
	world := simnet.New(1)
	nodes := make([]*Node, k)
	for i := range nodes {
		name := fmt.Sprintf("n%d", i)
		cfg := Config{
			Name: name, Dir: filepath.Join(t.TempDir(), name), Slots: 1, JoinTimeout: -1, Network: world.Host(name), Grace: 50 * time.Millisecond,
			Gossip: "0.0.0.0:7946", RPC: "0.0.0.0:7947", Logger: slog.New(slog.DiscardHandler),
			Processors: mapreduce.Registry{"echo": mapreduce.Func(func(_ context.Context, s string) (string, error) { return s, nil })},
		}
		if k > 1 {
			cfg.Servers, cfg.Join = k, []string{world.Host("n0").IP() + ":7946"}
		}
		if configure != nil {
			configure(i, &cfg)
		}
		n, err := Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := n.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		nodes[i] = n
	}
	return nodes
}

// leads returns the one of nodes that leads, when one does.
func leads(t *testing.T, nodes []*Node) (*Node, *leader) {
	t.Helper()
	m, err := nodes[0].Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := nodes[slices.IndexFunc(nodes, func(n *Node) bool { return n.id == m.ID })]
	<-n.server.led
	l, err := n.server.lead()
	if err != nil {
		t.Fatal(err)
	}
	return n, l
}

// lines is a log that remembers what was said.
type lines struct {
	mu    sync.Mutex
	said  map[string]int // guarded by mu
	heard chan struct{}  // closed at the next line; guarded by mu
}

func newLines() *lines { return &lines{said: map[string]int{}, heard: make(chan struct{})} }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said[r.Message]++
	close(l.heard)
	l.heard = make(chan struct{})
	return nil
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said[text]
}

// wait returns when text was said so often.
func (l *lines) wait(text string, times int) {
	for {
		l.mu.Lock()
		n, heard := l.said[text], l.heard
		l.mu.Unlock()
		if n >= times {
			return
		}
		<-heard
	}
}
