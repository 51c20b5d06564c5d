// Package node embeds a node of a muster cluster in your program.
//
// A node is the whole house in one value: it keeps its share of the state,
// executes attempts, conducts the runs that it is master of and, if it leads,
// sees to it that every run has a master. A single node is a cluster of one;
// give it Join to be one of many.
//
//	n, err := node.Start(ctx, node.Config{Processors: mapreduce.Registry{
//		"wordcount": mapreduce.Of(wordCount{}),
//	}})
//	if err != nil {
//		return err
//	}
//	defer n.Stop(ctx)
//
// The package wires and does not decide: what follows from what is the
// business of the rooms it connects. What is acknowledged by it is on disk.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/internal/lifecycle"
	"github.com/musterhq/muster/internal/runlog"
	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/worker"
	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/pkg/job"
)

// ErrStopped is returned by the methods of a node that has been stopped, and
// is the cause of what it cancels. A run that was accepted goes on elsewhere,
// or when the node is started again.
var ErrStopped error = &coded{"stopped", "node: stopped"}

// Version is the version of the software, which members tell each other.
const Version = "0.1.0"

// Node is a running member of a cluster.
type Node struct {
	cfg       Config
	id        string
	temporary bool         // the data directory goes with the node
	unlock    func() error // lets go of the data directory
	log       *slog.Logger
	spans     telemetry.Spans
	metrics   *telemetry.Metrics
	unwatch   func() error // has nobody look at the node any more

	transport *transport.Transport
	state     *state.State // nil unless the node holds it
	logs      *logs
	kept      *runlog.Store // the lines of runs; nil unless the node holds the state
	shuffle   *shuffle.Shuffle
	worker    *worker.Worker
	members   *membership.List
	peers     *peers
	masters   *masters
	leaders   *leaders
	ends      *ends
	server    *server // nil unless the node holds the state
	skew      skew
	proofs    proofs
	followers atomic.Int64                                               // who follow changes, if the node holds no state
	keys      scheduler.Keys                                             // the values of expressions on the input of runs
	shared    map[string]func(ctx context.Context, req any) (any, error) // see share; complete before the node is ready

	ready  chan struct{} // closed once other nodes may call this one
	parts  lifecycle.Stack
	wg     sync.WaitGroup
	ctx    context.Context // the node's life
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	stopping bool // guarded by mu
	draining bool // guarded by mu
}

// Start brings a node up. When it returns the node is a member and ready to
// work; it runs until Stop. Ctx bounds the start alone.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, ready: make(chan struct{}), shared: map[string]func(context.Context, any) (any, error){}, spans: telemetry.NewSpans(cfg.TracerProvider)}
	var err error
	if n.metrics, err = telemetry.NewMetrics(cfg.MeterProvider); err != nil {
		return nil, fmt.Errorf("node: MeterProvider: %w", err)
	}
	n.ctx, n.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	n.leaders, n.ends = newLeaders(n), newEnds(n)
	up := func(name string, start, stop func(context.Context) error) {
		if err == nil {
			err = n.parts.Up(ctx, name, func(ctx context.Context) error { return bare(start(ctx)) }, stop)
		}
	}
	up("directory", n.openDir, n.closeDir)
	up("transport", n.openTransport, n.closeTransport)
	up("state", n.openState, n.closeState)
	up("logs", n.openLogs, n.closeLogs)
	up("shuffle", n.openShuffle, n.closeShuffle)
	up("worker", n.openWorker, n.closeWorker)
	up("masters", n.openMasters, n.closeMasters)
	up("membership", n.openMembership, n.closeMembership)
	up("server", n.openServer, n.closeServer)
	up("work", n.open, n.drain)
	if err != nil {
		n.cancel(ErrStopped)
		return nil, fmt.Errorf("node: %w", err)
	}
	n.log.Info("node is up", slog.String("gossip", n.Gossip()), slog.String("rpc", n.transport.Addr()),
		slog.Int("slots", n.cfg.Slots), slog.Bool("state", n.state != nil), slog.String("dir", n.cfg.Dir))
	return n, nil
}

// Stop takes no new runs, lets the attempts in progress finish until ctx ends,
// calls off the rest and leaves the cluster. When it returns every goroutine
// of the node has, except for attempts that ignored their cancellation.
func (n *Node) Stop(ctx context.Context) error { return n.parts.Stop(ctx) }

// ID returns the node's ID, which it keeps in its data directory.
func (n *Node) ID() string { return n.id }

// Name returns the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Gossip returns the address that others join the cluster by.
func (n *Node) Gossip() string { return n.members.Self().Addr }

// Members returns the members that this node sees alive, itself included.
func (n *Node) Members() []membership.Member { return n.members.Members() }

func (n *Node) openDir(ctx context.Context) (err error) {
	if n.temporary = n.cfg.Dir == ""; n.temporary {
		n.cfg.Dir, err = os.MkdirTemp("", "muster-")
	} else {
		err = os.MkdirAll(n.cfg.Dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("node: Dir %q: %w: name a directory that can be written", n.cfg.Dir, err)
	}
	if n.unlock, err = lock(filepath.Join(n.cfg.Dir, "lock")); err != nil {
		return fmt.Errorf("node: Dir %q: %w", n.cfg.Dir, err)
	}
	if n.id, err = membership.Identity(n.cfg.Dir); err != nil {
		return errors.Join(err, n.closeDir(ctx))
	}
	n.log = n.cfg.Logger.With(telemetry.Node(n.cfg.Name))
	if n.temporary {
		n.log.Info("the data directory is temporary and is removed at the stop: set Dir to keep it", slog.String("dir", n.cfg.Dir))
	}
	return nil
}

func (n *Node) closeDir(context.Context) error {
	err := n.unlock()
	if n.temporary {
		return errors.Join(err, os.RemoveAll(n.cfg.Dir))
	}
	return err
}

func (n *Node) openTransport(context.Context) (err error) {
	cfg := transport.Config{
		ID: n.id, Cluster: n.cfg.Cluster, Addr: n.cfg.RPC, Resolve: n.resolve, Lost: n.lost, Logger: n.log,
	}
	if cfg.Network, err = n.secured(); err != nil {
		return fmt.Errorf("node: TLS: %w", bare(err))
	}
	if n.transport, err = transport.Listen(cfg); err != nil {
		return fmt.Errorf("node: RPC: %w", bare(err))
	}
	return nil
}

// bare leaves out of the error of a part which room it comes from: the text
// around it says so.
func bare(err error) error {
	if err == nil {
		return nil
	}
	return bareError{err}
}

type bareError struct{ error }

func (b bareError) Unwrap() error { return b.error }

func (b bareError) Error() string {
	s := b.error.Error()
	if room, text, ok := strings.Cut(s, ": "); ok && !strings.ContainsAny(room, " \"") {
		return text
	}
	return s
}

func (n *Node) closeTransport(context.Context) error {
	n.cancel(ErrStopped)
	err := n.transport.Close()
	n.wg.Wait()
	return err
}

// lost hears from the transport that the last session with a member is gone.
func (n *Node) lost(id string) {
	select {
	case <-n.ready:
		n.peers.doubt(id, patient)
	default:
	}
}

// resolve tells the transport where a member is.
func (n *Node) resolve(id string) (string, bool) {
	select {
	case <-n.ready:
	default:
		return "", false // it has not joined the pool yet
	}
	if m, ok := n.members.Member(id); ok {
		return m.RPC, m.RPC != ""
	}
	return n.peers.address(id) // gossip is not always right
}

func (n *Node) openShuffle(context.Context) (err error) {
	n.shuffle, err = shuffle.New(shuffle.Config{
		Dir: filepath.Join(n.cfg.Dir, "shuffle"), Memory: n.cfg.Memory, Node: n.id, Transport: n.transport, Logger: n.log,
		Metrics: n.metrics,
	})
	return err
}

func (n *Node) closeShuffle(context.Context) error { return n.shuffle.Close() }

func (n *Node) openWorker(context.Context) (err error) {
	h := newHost(n)
	n.worker, err = worker.New(worker.Config{
		Node: n.cfg.Name, Slots: n.cfg.Slots, Processors: n.cfg.Processors, Shuffle: n.shuffle,
		Host: h, Logger: n.log, Lines: n.linesOf, Grace: n.cfg.Grace, Metrics: n.metrics, Spans: &n.spans,
	})
	if err == nil {
		n.serveWorker(h)
	}
	return err
}

func (n *Node) closeWorker(ctx context.Context) error { return n.worker.Drain(ctx) }

func (n *Node) openMasters(context.Context) error {
	n.masters = newMasters(n)
	n.masters.serve()
	if n.state != nil {
		n.server = newServer(n)
	}
	return nil
}

func (n *Node) closeMasters(context.Context) error { n.masters.stop(); return nil }

func (n *Node) openMembership(ctx context.Context) (err error) {
	self := membership.Member{
		ID: n.id, Name: n.cfg.Name, RPC: n.reached(), Slots: n.cfg.Slots, Tags: n.cfg.Tags,
		Version: Version,
	}
	if !n.cfg.Client {
		self.Roles = append(self.Roles, roleWorker)
	}
	if n.state != nil {
		self.Roles = append(self.Roles, roleServer)
	}
	cfg := membership.Config{
		Self: self, Cluster: n.cfg.Cluster, Bind: n.cfg.Gossip, Seeds: n.cfg.Join, Keys: n.cfg.Keys,
		Advertise: n.cfg.Advertise, Dir: n.cfg.Dir, Logger: n.log, Lonely: n.state != nil || n.cfg.JoinTimeout < 0,
	}
	if n.cfg.Network != nil {
		cfg.Network = n.cfg.Network
	}
	if t := n.cfg.JoinTimeout; t > 0 && !cfg.Lonely {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	n.serveDescribe()
	n.serveDrain()
	if n.members, err = membership.Start(ctx, cfg); err != nil {
		return err
	}
	n.peers = newPeers(n)
	return nil
}

// reached returns where others reach the node's transport. Without a host
// membership finds out which it is.
func (n *Node) reached() string {
	addr := n.transport.Addr()
	if host, port, err := net.SplitHostPort(addr); err == nil && n.cfg.Advertise != "" && !loopback(host) {
		return net.JoinHostPort(n.cfg.Advertise, port)
	}
	return addr
}

func (n *Node) closeMembership(ctx context.Context) error {
	n.peers.stop()
	if ctx.Err() != nil { // no time for goodbyes
		return n.members.Close()
	}
	if err := n.members.Leave(ctx); err != nil {
		// The node is gone all the same: perhaps nobody is left to hear it.
		n.log.Warn("not all members have heard that this node leaves", telemetry.Err(err))
	}
	return nil
}

// open lets other nodes in.
func (n *Node) open(ctx context.Context) (err error) {
	close(n.ready)
	n.wg.Go(n.renew)
	n.wg.Go(n.attend)
	n.wg.Go(n.logs.ship)
	if err := n.checkCluster(ctx); err != nil {
		return err
	}
	if err := n.meet(ctx); err != nil {
		return err
	}
	if n.unwatch, err = n.metrics.Watch(n.reading); err != nil {
		return fmt.Errorf("node: MeterProvider: %w", err)
	}
	return nil
}

// meetTimeout bounds how long a start waits for what the members of the pool
// tell of themselves.
const meetTimeout = 3 * time.Second

// meet waits until the node knows what it can do itself, and for a while until
// it knows that of the members it has joined.
func (n *Node) meet(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, meetTimeout)
	defer cancel()
	if n.WaitMembers(soon, len(n.members.Members())) == nil {
		return nil
	}
	return n.WaitMembers(ctx, 1)
}

// drain is the first part of a stop: no new runs, the runs that the node
// conducts go to others or to their end, the attempts that it executes to
// theirs, and its leadership to another server.
func (n *Node) drain(ctx context.Context) error {
	n.mu.Lock()
	n.stopping = true
	n.mu.Unlock()
	err := errors.Join(n.unwatch(), n.setDraining(true)) // others need not find out by being refused
	n.masters.handOver()
	n.masters.wait(ctx)
	err = errors.Join(err, n.worker.Drain(ctx))
	n.flushLogs(ctx)
	n.abdicate(ctx)
	n.cancel(ErrStopped)
	return err
}

func (n *Node) isStopping() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopping
}

const (
	roleServer   = "server"
	roleWorker   = "worker"
	roleDraining = "draining"
)

// A RunError says that a run ended and did not succeed.
type RunError struct {
	ID     job.RunID
	State  job.State
	Reason string
}

// Error says which run, how it ended and why.
func (e *RunError) Error() string { return fmt.Sprintf("run %s %v: %s", e.ID, e.State, e.Reason) }
