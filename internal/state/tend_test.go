package state

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func candidates(ids ...string) (list []Candidate) {
	for _, id := range ids {
		list = append(list, Candidate{ID: id})
	}
	return list
}

// voters returns the IDs of those that vote, as s knows them.
func voters(s *server) (ids []string) {
	for _, v := range s.Servers() {
		if v.Voter {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// tend has s tend the servers, of which these are alive, until they vote.
func (c *servers) tend(s *server, alive []Candidate, wanted int, want ...string) {
	c.t.Helper()
	for range 120 {
		if slices.Equal(voters(s), want) {
			return
		}
		_, err := s.Tend(c.t.Context(), alive, wanted)
		must(c.t, err)
		pass(time.Second)
	}
	c.t.Fatalf("got voters %v, want %v", voters(s), want)
}

func TestServerThatIsAddedGetsEverythingAndThenAVote(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		s := c.start("a")
		must(t, s.Bootstrap())
		c.leader()
		id := created(t, s.State, "d/j@1", []byte("in"))
		b := c.start("b")
		if !b.Empty() {
			t.Fatal("a new server is not empty")
		}
		changed, err := s.Tend(t.Context(), candidates("a", "b"), 3)
		if err != nil || changed != `server "b" was added: it is alive` {
			t.Fatalf("got %q, %v", changed, err)
		}
		c.same(s)
		if b.Empty() || b.Cluster() != s.Cluster() || b.Status().Voter {
			t.Fatalf("a server that was added is %+v", b.Status())
		}
		refused(t, b.Bootstrap("b"), ErrExists)
		pass(2 * time.Second)
		for range 5 {
			if changed, err := s.Tend(t.Context(), candidates("a", "b"), 3); changed != "" || err != nil {
				t.Fatalf("got %q, %v: two voters bear no more than one", changed, err)
			}
		}
		c.start("c")
		c.tend(s, candidates("a", "b", "c"), 3, "a", "b", "c")
		must(t, s.Append(t.Context(), id, 1, 1, blobs("x")))
		c.same(s)
		c.kill("a")
		next := c.leader()
		must(t, next.Append(t.Context(), id, 1, 2, blobs("y")))
		refused(t, c.up[c.others(next)[0]].tendError(), ErrNotLeader)
	})
}

func (s *server) tendError() error {
	_, err := s.Tend(s.link.ctx, nil, 3)
	return err
}

// A voter that is missing keeps its vote for long, and loses it at once only
// to one that stands ready.
func TestDeadVoterIsReplacedInTime(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		dead := c.others(s)[0]
		id := created(t, s.State, "d/j@1")
		c.kill(dead)
		alive := candidates(c.ids()...)
		for range 8 {
			changed, err := s.Tend(t.Context(), alive, 3)
			if changed != "" || err != nil {
				t.Fatalf("got %q, %v", changed, err)
			}
			pass(10 * time.Second)
		}
		c.start("d")
		alive = append(alive, Candidate{ID: "d"})
		var want []string
		for _, a := range alive {
			want = append(want, a.ID)
		}
		slices.Sort(want)
		c.tend(s, alive, 3, want...)
		must(t, s.Append(t.Context(), id, 1, 0, blobs("x")))
		// Back from the dead, it is one more that stands ready.
		back := c.start(dead)
		alive = append(alive, Candidate{ID: dead})
		_, err := s.Tend(t.Context(), alive, 3)
		must(t, err)
		c.same(s)
		if back.Status().Voter {
			t.Error("a server that was replaced votes")
		}
	})
}

func TestDeadVoterIsForgottenAtLast(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		c.kill(c.others(s)[0])
		alive := candidates(c.ids()...)
		begin := time.Now()
		for len(voters(s)) == 3 {
			if time.Since(begin) > c.cfg.ForgetAfter+10*time.Second {
				t.Fatal("it is not forgotten")
			}
			_, err := s.Tend(t.Context(), alive, 3)
			must(t, err)
			pass(time.Second)
		}
		if took := time.Since(begin); took < c.cfg.ForgetAfter {
			t.Errorf("it is forgotten after %v", took)
		}
		created(t, s.State, "d/j@1")
	})
}

func TestServersThatAreTooManyLoseTheirVotes(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c", "d", "e")
		s := c.leader()
		for len(voters(s)) > 1 {
			want := len(voters(s)) - 1
			_, err := s.Tend(t.Context(), candidates(c.ids()...), 1)
			must(t, err)
			c.await(s, fmt.Sprintf("%d voters are left", want), func() bool { return len(voters(s)) == want })
		}
		created(t, s.State, "d/j@1")
		c.same(s) // they have the state still
	})
}

func TestServerLeavesForGood(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		others := c.others(s)
		must(t, s.Remove(t.Context(), "stranger"))
		pass(2 * time.Second)

		c.kill(others[0])
		pass(10 * time.Second)
		refused(t, s.Remove(t.Context(), others[1]), ErrNoQuorum)
		must(t, s.Remove(t.Context(), others[0])) // it is gone anyway
		refused(t, s.Remove(t.Context(), others[1]), nil)
		refused(t, s.Remove(t.Context(), string(s.id)), ErrNoQuorum)
		created(t, s.State, "d/j@1")
	})
}

func TestLeaderLeavesForGood(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		pass(2 * time.Second)
		refused(t, s.Remove(t.Context(), string(s.id)), ErrNotLeader)
		next := c.leader(c.others(s)...)
		pass(2 * time.Second)
		must(t, next.Remove(t.Context(), string(s.id)))
		c.stop(string(s.id))
		created(t, next.State, "d/j@1")
		if got := len(next.Servers()); got != 2 {
			t.Errorf("got %d servers, want 2", got)
		}
		c.same(next)
	})
}
