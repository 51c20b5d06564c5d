package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// hung is a network on which, once it hangs, no message gets to this node or
// from it, other than gossip.
type hung struct {
	*simnet.Host
	hangs *atomic.Bool
	never chan struct{}
}

func (h hung) Listen(addr string) (net.Listener, error) {
	l, err := h.Host.Listen(addr)
	if addr == "0.0.0.0"+gossipPort {
		return l, err
	}
	return hungListener{l, h}, err
}

func (h hung) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := h.Host.Dial(ctx, addr)
	return hungConn{c, h}, err
}

type hungListener struct {
	net.Listener
	h hung
}

func (l hungListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return hungConn{c, l.h}, err
}

type hungConn struct {
	net.Conn
	h hung
}

func (c hungConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.h.hangs.Load() {
		<-c.h.never
	}
	return n, err
}

func (c hungConn) Write(b []byte) (int, error) {
	if c.h.hangs.Load() {
		<-c.h.never
	}
	return c.Conn.Write(b)
}

// TestAWorkerThatHangsIsNoticedThoughItGossips has the master of a run lose a
// worker that hangs, while gossip has it for well.
func TestAWorkerThatHangsIsNoticedThoughItGossips(t *testing.T) {
	world, log := simnet.New(1), make(hears, 10_000)
	bad := hung{world.Host("b"), new(atomic.Bool), make(chan struct{})}
	began := make(chan string, 10)
	hold := mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		began <- task.Node
		if task.Node == "a" {
			return nil, nil
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	up := func(name string, network node.Network, c node.Config) *node.Node {
		c.Name, c.Dir, c.Slots, c.Network = name, filepath.Join(t.TempDir(), name), 1, network
		c.Gossip, c.RPC = "0.0.0.0"+gossipPort, "0.0.0.0:7947"
		c.Processors = mapreduce.Registry{"hold": hold}
		return start(t, c)
	}
	a := up("a", world.Host("a"), node.Config{Logger: slog.New(log)})
	b := up("b", bad, node.Config{Logger: quiet, Join: []string{a.Gossip()}})
	if err := errors.Join(a.WaitMembers(t.Context(), 2), b.WaitMembers(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	run := submit(t, a, job.Spec{Processor: "hold", Mode: job.Sharded, Shards: 2})
	for node := range began {
		if node == "b" {
			break
		}
	}
	bad.hangs.Store(true)
	t.Cleanup(func() { close(bad.never) })
	log.wait(t, "member does not answer")
	if _, err := run.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
