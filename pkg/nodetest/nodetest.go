// Package nodetest gives a test a whole cluster: nodes of your processors in
// this process, on a network in memory that the test can slow and cut, and
// whose nodes it can kill and bring back.
//
//	c := nodetest.Start(t, 3, func(i int, cfg *node.Config) {
//		cfg.Processors = mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{})}
//	})
//	run, err := c.Node(1).Submit(ctx, spec)
//	c.Kill(2)
//	out, err := run.Wait(ctx)
//
// Everything is the same code as in production but for the network. The first
// node holds the state.
package nodetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/pkg/node"
)

// Cluster is nodes of one test. Its methods are for the test's own goroutine.
type Cluster struct {
	t     testing.TB
	net   *simnet.Net
	dir   string
	slots []slot
}

type slot struct {
	node   *node.Node // nil while it is down
	config node.Config
	life   *life
	skew   *atomic.Int64
}

// life is the network as one life of a node has it. When that is over it has
// none.
type life struct {
	*simnet.Host
	over atomic.Bool
	skew *atomic.Int64 // of the machine's clock, in nanoseconds
}

// Now is the node's wall clock.
func (l *life) Now() time.Time {
	if d := time.Duration(l.skew.Load()); d != 0 {
		return time.Now().Round(0).Add(d)
	}
	return time.Now()
}

var errKilled = errors.New("nodetest: the node was killed")

func (l *life) Listen(addr string) (net.Listener, error) {
	if l.over.Load() {
		return nil, errKilled
	}
	return l.Host.Listen(addr)
}

func (l *life) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if l.over.Load() {
		return nil, errKilled
	}
	return l.Host.Dial(ctx, addr)
}

func (l *life) ListenPacket(addr string) (net.PacketConn, error) {
	if l.over.Load() {
		return nil, errKilled
	}
	return l.Host.ListenPacket(addr)
}

// Start brings up a cluster of n nodes and stops it at the end of the test.
// When it returns every node knows every other. The nodes are called n0, n1
// and so on; configure, which may be nil, is called for each before it starts.
// The nodes log to the test's output at level Warn, unless configure sets a
// Logger.
func Start(t testing.TB, n int, configure func(i int, cfg *node.Config)) *Cluster {
	t.Helper()
	c := &Cluster{t: t, net: simnet.New(1), dir: t.TempDir(), slots: make([]slot, n)}
	t.Cleanup(c.stop)
	for i := range c.slots {
		cfg := node.Config{
			Name: name(i), Dir: filepath.Join(c.dir, name(i)), Slots: 2, Grace: time.Second,
			Gossip: "0.0.0.0:7946", RPC: "0.0.0.0:7947",
			Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		}
		if i > 0 {
			cfg.Join = []string{c.slots[0].node.Gossip()}
		}
		if configure != nil {
			configure(i, &cfg)
		}
		c.slots[i].config, c.slots[i].skew = cfg, new(atomic.Int64)
		c.Restart(i)
	}
	c.Settle()
	return c
}

func name(i int) string { return fmt.Sprintf("n%d", i) }

// Node returns node i. It fails the test if the node is down.
func (c *Cluster) Node(i int) *node.Node {
	c.t.Helper()
	if c.slots[i].node == nil {
		c.t.Fatalf("nodetest: node %d is down", i)
	}
	return c.slots[i].node
}

// Settle waits until every node that is up knows all others that are.
func (c *Cluster) Settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	up := 0
	for _, s := range c.slots {
		if s.node != nil {
			up++
		}
	}
	for _, s := range c.slots {
		if s.node == nil {
			continue
		}
		if err := s.node.WaitMembers(ctx, up); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Kill takes node i off the network at once and for good, as if its process
// had been killed: it says no goodbye, and what it was doing is lost. Its data
// directory stays for Restart.
func (c *Cluster) Kill(i int) {
	c.t.Helper()
	n := c.Node(i)
	c.slots[i].node = nil
	c.slots[i].life.over.Store(true)
	c.net.Host(name(i)).Crash()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.Stop(ctx) // nobody hears of it
}

// Wipe removes the data directory of node i, which must be down. When it is
// restarted it is another node, at the same address.
func (c *Cluster) Wipe(i int) {
	c.t.Helper()
	if c.slots[i].node != nil {
		c.t.Fatalf("nodetest: node %d is up", i)
	}
	if err := os.RemoveAll(c.slots[i].config.Dir); err != nil {
		c.t.Fatalf("nodetest: wipe node %d: %v", i, err)
	}
}

// Stop stops node i in good order.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	n := c.Node(i)
	c.slots[i].node = nil
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		c.t.Errorf("nodetest: stop node %d: %v", i, err)
	}
}

// Restart brings node i up again, with the data directory and addresses it
// had.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	c.slots[i].life = &life{Host: c.net.Host(name(i)), skew: c.slots[i].skew}
	c.slots[i].config.Network = c.slots[i].life
	n, err := node.Start(ctx, c.slots[i].config)
	if err != nil {
		c.t.Fatalf("nodetest: start node %d: %v", i, err)
	}
	c.slots[i].node = n
}

// Cut keeps nodes i and j from reaching each other until Heal.
func (c *Cluster) Cut(i, j int) { c.net.Cut(name(i), name(j)) }

// Isolate keeps node i from reaching any other until Heal.
func (c *Cluster) Isolate(i int) { c.net.Isolate(name(i)) }

// CutOneWay keeps what node i sends from reaching node j until Heal.
func (c *Cluster) CutOneWay(i, j int) { c.net.CutOneWay(name(i), name(j)) }

// Freeze holds all that node i sends and is sent until Heal, as when its
// process is stopped: others connect to it and get no answer. Its own clock
// goes on.
func (c *Cluster) Freeze(i int) { c.net.Freeze(name(i)) }

// Reset breaks the connections between nodes i and j at once.
func (c *Cluster) Reset(i, j int) { c.net.Reset(name(i), name(j)) }

// Lossy makes packets between nodes i and j get lost, come twice and overtake
// each other until Heal, each with the given probability. Gossip is packets;
// what else nodes say is not.
func (c *Cluster) Lossy(i, j int, lose, duplicate, reorder float64) {
	c.net.Packets(name(i), name(j), simnet.Faults{Lose: lose, Duplicate: duplicate, Reorder: reorder})
}

// Slow delays what nodes i and j send each other, by delay and up to jitter
// more.
func (c *Cluster) Slow(i, j int, delay, jitter time.Duration) {
	c.net.Slow(name(i), name(j), delay, jitter)
}

// Skew sets the wall clock of node i, which is right otherwise, ahead by d or,
// if that is negative, behind.
func (c *Cluster) Skew(i int, d time.Duration) { c.slots[i].skew.Store(int64(d)) }

// Heal undoes whatever was done to the network.
func (c *Cluster) Heal() {
	for i := range c.slots {
		for j := range i {
			c.Slow(i, j, 0, 0)
			c.Lossy(i, j, 0, 0, 0)
		}
	}
	c.net.Heal()
}

func (c *Cluster) stop() {
	c.Heal()
	for i := range slices.Backward(c.slots) {
		if c.slots[i].node != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := c.slots[i].node.Stop(ctx); err != nil {
				c.t.Errorf("nodetest: stop node %d: %v", i, err)
			}
			cancel()
		}
	}
}
