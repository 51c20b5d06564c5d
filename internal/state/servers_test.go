package state

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/transport/transporttest"
)

// servers are those of one cluster, or of several, on a network in memory.
type servers struct {
	t   testing.TB
	net *simnet.Net
	dir string
	cfg Config // what all have in common

	each    func(id string, cfg *Config)      // what one has of its own
	network func(id string) transport.Network // nil is net

	mu   sync.Mutex
	addr map[string]string  // guarded by mu
	up   map[string]*server // guarded by mu
}

// server is one life of a server.
type server struct {
	*State
	trans *transport.Transport
}

// simulated runs f in a bubble, where time passes only while nothing happens.
// It has one processor: with several the runtime of Go 1.26 lets two of them
// fire timers of a bubble in one context of the race detector, which crashes.
func simulated(t *testing.T, f func(t *testing.T, c *servers)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	transporttest.Bubble(t, func(t *testing.T) { f(t, newServers(t)) })
}

func newServers(t testing.TB) *servers {
	c := &servers{
		t: t, net: simnet.New(1), dir: t.TempDir(),
		cfg: Config{
			Now: time.Now, Reserve: -1,
			StableAfter: time.Second, ReplaceAfter: 30 * time.Second, ForgetAfter: 2 * time.Minute,
		},
		addr: map[string]string{}, up: map[string]*server{},
	}
	t.Cleanup(func() {
		c.net.Heal()
		for _, id := range c.ids() {
			c.stop(id)
		}
	})
	return c
}

func (c *servers) ids() (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.up {
		ids = append(ids, id)
	}
	return ids
}

// get returns a server that is up, or nil.
func (c *servers) get(id string) *server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up[id]
}

func (c *servers) resolve(id string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.addr[id]
	return addr, ok
}

// start starts a server, at another address than in its life before.
func (c *servers) start(id string) *server {
	c.t.Helper()
	var network transport.Network = c.net.Host(id)
	if c.network != nil {
		network = c.network(id)
	}
	trans, err := transport.Listen(transport.Config{
		ID: id, Network: network, Resolve: c.resolve, Logger: discard,
		DialTimeout: time.Second, KeepAlive: 300 * time.Millisecond,
	})
	must(c.t, err)
	c.mu.Lock()
	c.addr[id] = trans.Addr()
	c.mu.Unlock()
	cfg := c.cfg
	cfg.Dir, cfg.ID, cfg.Transport = filepath.Join(c.dir, id), id, trans
	if c.each != nil {
		c.each(id, &cfg)
	}
	st, err := Open(c.t.Context(), cfg)
	must(c.t, err)
	s := &server{st, trans}
	c.mu.Lock()
	c.up[id] = s
	c.mu.Unlock()
	return s
}

// stop ends a server as an operator would.
func (c *servers) stop(id string) {
	c.t.Helper()
	c.mu.Lock()
	s := c.up[id]
	delete(c.up, id)
	c.mu.Unlock()
	if s == nil {
		return
	}
	must(c.t, s.State.Close())
	_ = s.trans.Close() // a crash may have closed what it listened on
}

// kill ends a server without a word to the others.
func (c *servers) kill(id string) {
	c.t.Helper()
	c.net.Host(id).Crash()
	c.net.Isolate(id)
	c.stop(id)
	c.net.Heal()
}

// wipe removes all that a server has on disk.
func (c *servers) wipe(id string) {
	c.t.Helper()
	must(c.t, os.RemoveAll(filepath.Join(c.dir, id)))
}

// found starts servers with these IDs and makes a cluster of them.
func (c *servers) found(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		c.start(id)
	}
	for _, id := range ids {
		must(c.t, c.up[id].Bootstrap(ids...))
	}
}

// leader waits for one that leads, among the servers with these IDs or all.
func (c *servers) leader(among ...string) *server {
	c.t.Helper()
	if len(among) == 0 {
		among = c.ids()
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	first := make(chan *server, len(among))
	var wg sync.WaitGroup
	for _, id := range among {
		s := c.get(id)
		wg.Go(func() {
			if s.WaitLead(ctx) == nil {
				first <- s
			}
		})
	}
	select {
	case s := <-first:
		cancel()
		wg.Wait()
		return s
	case <-ctx.Done():
		wg.Wait()
		for _, id := range among {
			c.t.Logf("%s: %+v %v", id, c.up[id].Status(), c.up[id].Servers())
		}
		c.t.Fatal("nobody leads")
		return nil
	}
}

// others returns the IDs of those that are up, but not that of s.
func (c *servers) others(s *server) (ids []string) {
	for _, id := range c.ids() {
		if id != string(s.id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// same waits until all have what s has, which may go on to record what a leader
// does by itself.
func (c *servers) same(s *server) {
	c.t.Helper()
	for _, id := range c.ids() {
		o := c.get(id)
		c.await(o, "it has what the leader has", func() bool { return contents(c.t, o.kv) == contents(c.t, s.kv) })
	}
}

// await waits for something to become so at a server.
func (c *servers) await(s *server, what string, so func() bool) {
	c.t.Helper()
	for range 2000 {
		if so() {
			return
		}
		pass(10 * time.Millisecond)
	}
	c.t.Fatalf("server %s: not so: %s: %+v", s.id, what, s.Status())
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// rest is pass for one of several goroutines.
func rest(d time.Duration) { time.Sleep(d) }
