package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// mute is a network on which, while it is quiet, nobody gossips.
type mute struct {
	*simnet.Host
	quiet *atomic.Bool
}

const gossipPort = ":7946"

func (m mute) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if m.quiet.Load() && strings.HasSuffix(addr, gossipPort) {
		return nil, errors.New("nobody gossips")
	}
	return m.Host.Dial(ctx, addr)
}

func (m mute) ListenPacket(addr string) (net.PacketConn, error) {
	c, err := m.Host.ListenPacket(addr)
	return mutePackets{c, m.quiet}, err
}

type mutePackets struct {
	net.PacketConn
	quiet *atomic.Bool
}

func (m mutePackets) WriteTo(b []byte, addr net.Addr) (int, error) {
	if m.quiet.Load() {
		return len(b), nil
	}
	return m.PacketConn.WriteTo(b, addr)
}

// TestAMemberThatAnswersIsNotGoneWhateverGossipSays stops gossip until both
// nodes have the other for dead. They do not take that for true, as each
// answers the other's calls.
func TestAMemberThatAnswersIsNotGoneWhateverGossipSays(t *testing.T) {
	world, silent := simnet.New(1), new(atomic.Bool)
	log, other := make(hears, 10_000), make(hears, 10_000)
	up := func(name string, c node.Config) *node.Node {
		c.Name, c.Dir, c.Slots, c.Network = name, filepath.Join(t.TempDir(), name), 1, mute{world.Host(name), silent}
		c.Gossip, c.RPC = "0.0.0.0"+gossipPort, "0.0.0.0:7947"
		c.Processors = mapreduce.Registry{"echo": echo}
		return start(t, c)
	}
	a := up("a", node.Config{Logger: slog.New(log)})
	b := up("b", node.Config{Logger: slog.New(other), Join: []string{a.Gossip()}})
	if err := errors.Join(a.WaitMembers(t.Context(), 2), b.WaitMembers(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	if m, err := b.Leader(t.Context()); err != nil || m.ID != a.ID() || m.Name != "a" {
		t.Errorf("b says that %+v leads, and %v; want a", m, err)
	}
	spec := job.Spec{Processor: "echo", Mode: job.Broadcast, Placement: job.Placement{Nodes: []string{"b"}}}
	do(t, a, spec)
	silent.Store(true)
	log.wait(t, "member left")
	other.wait(t, "member left") // b says goodbye to nobody when it stops
	if got := values[string](t, do(t, a, spec)); len(got) != 1 {
		t.Errorf("got %q, want what b returned", got)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "member does not answer")
	_, err := a.Submit(t.Context(), spec)
	says(t, err, "b")
}
