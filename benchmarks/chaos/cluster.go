//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// A cluster is the agents, and the clients that we reach them by.
type cluster struct {
	o     options
	dir   string
	world *host.World
	nodes []*process // the servers first
	// client is with the majority; outcast is the one that is cut off together
	// with others, and nil where nothing can be cut.
	client, outcast         *node.Node
	clientHost, outcastHost *host.Host

	mu        sync.Mutex
	names     map[string]string       // of nodes, by ID; guarded by mu
	masters   map[job.RunID]conducted // of the runs that are watched; guarded by mu
	faults    []verdict.Fault         // guarded by mu
	mishaps   []string                // what no evidence has; guarded by mu
	shattered bool                    // set while we stop everything; guarded by mu
	wg        sync.WaitGroup          // what brings the dead back
}

// conducted is who conducts a run, by the last that was heard of it.
type conducted struct {
	id    string
	epoch uint64
}

const diskSize = 6 << 30 // which is more than a node asks to be free

// newCluster starts the agents and the clients, and returns when they know
// each other.
func newCluster(ctx context.Context, o options) (c *cluster, err error) {
	c = &cluster{o: o, names: map[string]string{}, masters: map[job.RunID]conducted{}}
	if c.dir, err = os.MkdirTemp(o.dir, "muster-chaos-"); err != nil {
		return nil, fmt.Errorf("-dir %q: %w", o.dir, err)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	for _, d := range []string{c.ledgers(), c.texts()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return c, err
		}
	}
	if c.world, err = host.NewWorld(); err != nil {
		return c, err
	}
	for i := range o.servers + o.workers {
		if err := c.add(i); err != nil {
			return c, err
		}
	}
	c.arguments()
	if err := c.startAll(ctx); err != nil {
		return c, err
	}
	if c.client, c.clientHost, err = c.newClient(ctx, "client"); err != nil {
		return c, err
	}
	if host.Isolated() {
		if c.outcast, c.outcastHost, err = c.newClient(ctx, "outcast"); err != nil {
			return c, err
		}
	}
	return c, c.complete(ctx)
}

func (c *cluster) ledgers() string { return filepath.Join(c.dir, "ledgers") }
func (c *cluster) texts() string   { return filepath.Join(c.dir, "texts") }

// add adds the i-th node.
func (c *cluster) add(i int) (err error) {
	p := &process{name: "worker" + string(rune('a'+i-c.o.servers)), died: c.died}
	if p.server = i < c.o.servers; p.server {
		p.name = "server" + string(rune('a'+i))
	}
	if p.host, err = c.world.Add(p.name); err != nil {
		return err
	}
	if p.gossip, err = p.host.Addr(); err != nil {
		return err
	}
	p.dir = filepath.Join(c.dir, p.name)
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	// Two have a disk that can be filled: a server and one that only works.
	if host.Isolated() && (i == c.o.servers-1 || i == c.o.servers+c.o.workers-1) {
		if p.disk, err = host.NewDisk(p.data(), diskSize); err != nil {
			return err
		}
	}
	c.nodes = append(c.nodes, p)
	return nil
}

// arguments says how the agents find each other.
func (c *cluster) arguments() {
	for _, p := range c.nodes {
		rpc, err := p.host.Addr()
		if err != nil {
			rpc = "127.0.0.1:0"
		}
		p.args = []string{
			"-name", p.name, "-dir", p.data(), "-gossip", p.gossip, "-rpc", rpc, "-slots", fmt.Sprint(c.o.slots),
			"-ledger", c.ledgers(), "-log", c.o.log, "-fence", c.o.fence.String(),
		}
		if p.server && c.o.servers > 1 {
			p.args = append(p.args, "-servers", fmt.Sprint(c.o.servers))
		}
		for _, s := range c.nodes {
			if s.server && s != p {
				p.args = append(p.args, "-join", s.gossip)
			}
		}
	}
}

func (p *process) data() string { return filepath.Join(p.dir, "data") }

func (c *cluster) newClient(ctx context.Context, name string) (*node.Node, *host.Host, error) {
	h, err := c.world.Add(name)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log.txt")) // it goes with the process
	if err != nil {
		return nil, nil, err
	}
	cfg := node.Config{
		Name: name, Dir: filepath.Join(dir, "data"), Client: true, Insecure: true, Network: h.Network(),
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, p := range c.nodes {
		if p.server {
			cfg.Join = append(cfg.Join, p.gossip)
		}
	}
	if cfg.Gossip, err = h.Addr(); err != nil {
		return nil, nil, err
	}
	if cfg.RPC, err = h.Addr(); err != nil {
		return nil, nil, err
	}
	n, err := node.Start(ctx, cfg)
	return n, h, err
}

// startAll starts all agents that are down, at once, and waits for them.
func (c *cluster) startAll(ctx context.Context) error {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, p := range c.nodes {
		wg.Go(func() { errs[i] = c.start(ctx, p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *cluster) start(ctx context.Context, p *process) error {
	id, err := p.start(ctx)
	if err == nil {
		c.mu.Lock()
		c.names[id] = p.name
		c.mu.Unlock()
	}
	return err
}

// complete returns when the clients see every agent.
func (c *cluster) complete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	for c.seen() < len(c.nodes) {
		if !rest(ctx, 50*time.Millisecond) {
			return fmt.Errorf("the client sees %d of %d agents: %w", c.seen(), len(c.nodes), context.Cause(ctx))
		}
	}
	return nil
}

// seen counts the agents that all clients see.
func (c *cluster) seen() int {
	count := func(n *node.Node) (agents int) {
		for _, m := range n.Members() {
			if len(m.Roles) > 0 {
				agents++
			}
		}
		return agents
	}
	if c.outcast == nil {
		return count(c.client)
	}
	return min(count(c.client), count(c.outcast))
}

// rest waits and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// died is told that an agent ended and nobody ended it. That is a complaint,
// and the agent is started again, as an operator would see to.
func (c *cluster) died(name string, how error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shattered {
		return
	}
	c.mishapLocked("agent %s ended by itself: %v", name, how)
	c.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), upTimeout)
		defer cancel()
		if rest(ctx, time.Second) {
			_ = c.start(ctx, c.node(name)) // if it ends again we are told again
		}
	})
}

func (c *cluster) mishap(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mishapLocked(format, args...)
}

const mostMishaps = 50

func (c *cluster) mishapLocked(format string, args ...any) {
	if len(c.mishaps) < mostMishaps {
		c.mishaps = append(c.mishaps, fmt.Sprintf(format, args...))
		say("!! %s", c.mishaps[len(c.mishaps)-1])
	}
}

func (c *cluster) node(name string) *process {
	i := slices.IndexFunc(c.nodes, func(p *process) bool { return p.name == name })
	return c.nodes[i]
}

// leader returns the node that leads, or any server if it can't be told.
func (c *cluster) leader() *process {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	m, err := c.client.Leader(ctx)
	if err != nil {
		return c.nodes[0]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.node(c.names[m.ID])
}

// conducts returns the nodes that conduct runs that are watched, and the runs.
func (c *cluster) conducts() map[*process]map[job.RunID]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[*process]map[job.RunID]uint64{}
	for run, m := range c.masters {
		name, ok := c.names[m.id]
		if !ok {
			continue
		}
		p := c.node(name)
		if all[p] == nil {
			all[p] = map[job.RunID]uint64{}
		}
		all[p][run] = m.epoch
	}
	return all
}

// heard takes note of who conducts a run; over forgets it.
func (c *cluster) heard(r *job.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.masters[r.ID] = conducted{r.Master, r.Epoch}
}

func (c *cluster) over(id job.RunID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.masters, id)
}

// breaks takes note that something is done to nodes from now on.
func (c *cluster) breaks(f verdict.Fault, nodes ...*process) int {
	f.Masters = map[job.RunID]uint64{}
	all, leader := c.conducts(), c.leader()
	for _, p := range nodes {
		f.Nodes = append(f.Nodes, p.name)
		f.Leader = f.Leader || p == leader
		maps.Copy(f.Masters, all[p])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.Began = time.Now().Round(0)
	c.faults = append(c.faults, f)
	return len(c.faults) - 1
}

// mends takes note that it is no more.
func (c *cluster) mends(fault int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults[fault].Ended = time.Now().Round(0)
}

// heal undoes everything that can be broken.
func (c *cluster) heal(ctx context.Context) error {
	var errs []error
	if host.Isolated() {
		errs = append(errs, c.world.Heal())
	}
	for _, p := range c.nodes {
		p.resume()
		if p.disk != nil {
			errs = append(errs, p.disk.Release())
		}
	}
	errs = append(errs, c.startAll(ctx), c.complete(ctx))
	return errors.Join(errs...)
}

// close ends everything. What is on disk stays.
func (c *cluster) close() {
	c.mu.Lock()
	c.shattered = true
	c.mu.Unlock()
	c.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, n := range []*node.Node{c.client, c.outcast} {
		if n != nil {
			_ = n.Stop(ctx) // it holds nothing
		}
	}
	var wg sync.WaitGroup
	for _, p := range c.nodes {
		wg.Go(func() {
			p.resume()
			_ = p.end(syscall.SIGTERM, 5*time.Second) // it is killed then
		})
	}
	wg.Wait()
}

// remove removes the files, or keeps them where they can be looked at when the
// disks are gone.
func (c *cluster) remove(keep bool) error {
	var errs []error
	for _, p := range c.nodes {
		if p.disk == nil {
			continue
		}
		if keep {
			errs = append(errs, os.CopyFS(filepath.Join(p.dir, "disk"), os.DirFS(p.data())))
		}
		errs = append(errs, p.disk.Close())
	}
	if c.world != nil {
		errs = append(errs, c.world.Close())
	}
	if keep {
		say("data, logs and ledgers are in %s", c.dir)
	} else {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// say tells people what goes on.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05.000")}, args...)...)
}
