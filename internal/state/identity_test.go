package state

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever mixes two clusters up is told which, on both sides, and nothing of
// one gets into the other.
func TestTwoClustersAreNeverMerged(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		x := c.start("x")
		must(t, x.Bootstrap())
		must(t, x.WaitLead(t.Context()))
		created(t, x.State, "d/x@1")

		alive := []Candidate{{"a"}, {"b"}, {"c"}, {"x"}}
		_, err := s.Tend(t.Context(), alive, 3)
		refused(t, err, ErrOtherCluster)
		for _, name := range []string{s.Cluster(), x.Cluster(), `"x"`} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("got the error %q, want %s in it", err, name)
			}
		}
		changed, err := s.Tend(t.Context(), alive, 3)
		if changed != "" || err != nil {
			t.Errorf("got %q, %v, want it said once", changed, err)
		}

		// By force: raft itself is made to talk to it.
		must(t, s.carryOut(t.Context(), step{moveAdd, "x", "a mistake"}))
		pass(5 * time.Second)
		if _, err := x.Run("d/x@1"); err != nil || x.Cluster() == s.Cluster() {
			t.Fatalf("a server was taken over by another cluster: %v", err)
		}
		must(t, x.Confirm(t.Context()))
		must(t, s.Confirm(t.Context()))
	})
}

// A server that was away while all others began anew is not of their cluster.
func TestStaleServerIsRefused(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		old := s.Cluster()
		c.same(s)
		for _, id := range []string{"a", "b", "c"} {
			c.kill(id)
		}
		c.wipe("a")
		c.wipe("b")
		c.found("a", "b")
		s = c.leader()
		c.start("c")
		if _, err := s.Tend(t.Context(), []Candidate{{"a"}, {"b"}, {"c"}}, 3); !errors.Is(err, ErrOtherCluster) {
			t.Fatalf("got %v, want %v", err, ErrOtherCluster)
		}
		pass(10 * time.Second)
		if got := c.up["c"].Cluster(); got != old {
			t.Fatalf("got cluster %q, want %q", got, old)
		}
		must(t, s.Confirm(t.Context()))
	})
}

// Servers that were told of different founders make no cluster together, also
// before there is an ID to tell by.
func TestFoundersDecideUntilThereIsAnID(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		for _, id := range []string{"a", "b", "c"} {
			c.start(id)
		}
		must(t, c.up["a"].Bootstrap("a", "b"))
		must(t, c.up["c"].Bootstrap("b", "c"))
		s := c.leader("a", "c")
		pass(10 * time.Second)
		b := c.up["b"]
		if b.Cluster() != s.Cluster() {
			t.Fatalf("server b is of cluster %q, its leader of %q", b.Cluster(), s.Cluster())
		}
		other := c.up["a"]
		if other == s {
			other = c.up["c"]
		}
		if _, err := other.ruling(); err == nil {
			t.Fatalf("server %s leads with the vote of one that has another leader", other.id)
		}
		refused(t, b.Bootstrap("b"), ErrExists)
	})
}

// One server may found the cluster for all.
func TestServersThatAreEmptyTakePartWhenTheyAreNamed(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		for _, id := range []string{"a", "b", "c"} {
			c.start(id)
		}
		must(t, c.up["a"].Bootstrap("a", "b", "c"))
		s := c.leader()
		created(t, s.State, "d/j@1")
		c.same(s)
		refused(t, c.up["b"].Bootstrap("b"), ErrExists)
	})
}

func TestBootstrapIsChecked(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		s := c.start("a")
		refused(t, s.Bootstrap("b"), ErrInvalid)
		refused(t, s.Bootstrap("a", "b", "a"), ErrInvalid)
		refused(t, s.Bootstrap("a", ""), ErrInvalid)
		must(t, s.Bootstrap("a"))
		refused(t, s.Bootstrap("a"), ErrExists)
	})
	s, err := Open(t.Context(), config(t.TempDir()))
	must(t, err)
	defer closed(t, s)
	refused(t, s.Bootstrap("n1", "n2"), ErrInvalid)
}

func TestBootstrapThatACrashCutShortIsNone(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), config(dir))
	must(t, err)
	must(t, s.identity.adopt(t.Context(), "n1", "", digestOf([]string{"n1", "n2"})))
	must(t, s.stable.SetUint64(termKey, 1))
	closed(t, s)
	s = open(t, dir)
	created(t, s, "d/j@1")
}

// TestWhatIsKnownOfTheClusterDoesNotWaitForTheDisk asks a server whose disk has no
// room for what it has just been told.
func TestWhatIsKnownOfTheClusterDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := make(chan struct{})
		id := &identity{self: "a", turn: make(chan struct{}, 1), save: func(_, _ []byte) error { <-room; return nil }}
		adopted := make(chan error)
		go func() { adopted <- id.adopt(t.Context(), "b", "", "f") }()
		synctest.Wait() // it writes
		if cluster, founders := id.get(); cluster != "" || founders != "" {
			t.Errorf("got %q and %q, want what is on disk", cluster, founders)
		}
		must(t, id.check("b", "", "f"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		refused(t, id.adopt(ctx, "b", "", "f"), context.DeadlineExceeded)
		close(room)
		must(t, <-adopted)
		must(t, id.adopt(t.Context(), "b", "", "f"))
		refused(t, id.check("c", "", "g"), ErrOtherCluster)
	})
}
