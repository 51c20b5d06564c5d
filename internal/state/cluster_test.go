package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
func simulated(t *testing.T, f func(t *testing.T, c *servers)) {
	t.Helper()
	transporttest.Bubble(t, func(t *testing.T) { f(t, newServers(t)) })
}

func newServers(t testing.TB) *servers {
	c := &servers{
		t: t, net: simnet.New(1), dir: t.TempDir(),
		cfg:  Config{Now: time.Now, Reserve: -1, StableAfter: time.Nanosecond},
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

func (c *servers) resolve(id string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.addr[id]
	return addr, ok
}

// start starts a server, at another address than in its life before.
func (c *servers) start(id string) *server {
	c.t.Helper()
	trans, err := transport.Listen(transport.Config{
		ID: id, Network: c.net.Host(id), Resolve: c.resolve, Logger: discard,
		DialTimeout: time.Second, KeepAlive: 300 * time.Millisecond,
	})
	must(c.t, err)
	c.mu.Lock()
	c.addr[id] = trans.Addr()
	c.mu.Unlock()
	cfg := c.cfg
	cfg.Dir, cfg.ID, cfg.Transport = filepath.Join(c.dir, id), id, trans
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
		s := c.up[id]
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

// same waits until all have carried out what s has, and compares.
func (c *servers) same(s *server) {
	c.t.Helper()
	want := contents(c.t, s.kv)
	for _, id := range c.ids() {
		o := c.up[id]
		c.await(o, "it has what the leader has", func() bool { return contents(c.t, o.kv) == want })
	}
}

// await waits for something to become so at a server.
func (c *servers) await(s *server, what string, so func() bool) {
	c.t.Helper()
	for range 2000 {
		if so() {
			return
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	c.t.Fatalf("server %s: not so: %s: %+v", s.id, what, s.Status())
}

func TestThreeServersElectAndReplicate(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1", []byte("in"))
		must(t, s.Append(t.Context(), id, 1, 1, blobs("x", "y")))
		c.same(s)
		for _, id := range c.ids() {
			if got := c.up[id].Cluster(); got == "" || got != s.Cluster() {
				t.Errorf("server %s is part of cluster %q, want %q", id, got, s.Cluster())
			}
			if got := c.up[id].Leader(); got != string(s.id) {
				t.Errorf("server %s follows %q, want %q", id, got, s.id)
			}
			if got := len(c.up[id].Servers()); got != 3 {
				t.Errorf("server %s knows %d servers, want 3", id, got)
			}
		}
		follower := c.up[c.others(s)[0]]
		refused(t, follower.Append(t.Context(), id, 1, 3, blobs("z")), ErrNotLeader)
		refused(t, follower.Confirm(t.Context()), ErrNotLeader)
		must(t, s.Confirm(t.Context()))
	})
}

func TestLeaderThatIsKilledIsSucceeded(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		for i := range uint64(10) {
			must(t, s.Append(t.Context(), id, 1, i, blobs(fmt.Sprint(i))))
		}
		c.kill(string(s.id))
		next := c.leader()
		if got := journal(t, next.State, id, 0); len(got) != 10 {
			t.Fatalf("got %d entries, want 10", len(got))
		}
		must(t, next.Append(t.Context(), id, 1, 10, blobs("after")))
		c.start(string(s.id))
		c.same(next)
	})
}

func TestLeaderThatIsCutOffAcknowledgesNothing(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		c.net.Isolate(string(s.id))
		lost := make(chan error, 1)
		go func() { lost <- s.Append(t.Context(), id, 1, 0, blobs("lost")) }()
		next := c.leader(c.others(s)...)
		must(t, next.Append(t.Context(), id, 1, 0, blobs("kept")))
		if err := <-lost; !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrNotLeader) {
			t.Fatalf("got %v from a leader that was cut off", err)
		}
		refused(t, s.Append(t.Context(), id, 1, 0, blobs("lost")), ErrNotLeader)
		refused(t, s.Confirm(t.Context()), ErrNotLeader)
		c.net.Heal()
		c.same(next)
		if got := journal(t, s.State, id, 0); len(got) != 1 || got[0] != "kept" {
			t.Fatalf("got journal %q, want only what was acknowledged", got)
		}
	})
}

func TestServerThatIsAddedGetsEverythingAndThenAVote(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		s := c.start("a")
		must(t, s.Bootstrap())
		c.leader()
		id := created(t, s.State, "d/j@1", []byte("in"))
		b, e := c.start("b"), c.start("c")
		if !b.Empty() || !e.Empty() {
			t.Fatal("a new server is not empty")
		}
		alive := []Candidate{{ID: "a"}, {ID: "b"}, {ID: "c"}}
		c.tend(s, alive, 3, 3)
		if b.Empty() || b.Cluster() != s.Cluster() {
			t.Fatalf("a server that was added is empty, or of cluster %q", b.Cluster())
		}
		must(t, s.Append(t.Context(), id, 1, 1, blobs("x")))
		c.same(s)
		refused(t, b.Bootstrap("b"), ErrExists)
		c.kill("a")
		next := c.leader()
		must(t, next.Append(t.Context(), id, 1, 2, blobs("y")))
	})
}

// tend has s tend the servers until there are so many voters.
func (c *servers) tend(s *server, alive []Candidate, voters, want int) {
	c.t.Helper()
	c.await(s, fmt.Sprintf("there are %d voters", want), func() bool {
		if _, err := s.Tend(c.t.Context(), alive, voters); err != nil {
			c.t.Fatal(err)
		}
		n := 0
		for _, v := range s.Servers() {
			if v.Voter {
				n++
			}
		}
		return n == want
	})
}
