package state

import (
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/wire"
)

func TestCommandsWaitForTheServerThatKnowsLeast(t *testing.T) {
	servers := []raft.Server{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	latest := wire.MaxCommandVersion
	for name, c := range map[string]struct {
		said map[string]int
		want int
	}{
		"all new":            {map[string]int{"b": latest, "c": latest}, latest},
		"newer than this":    {map[string]int{"b": latest + 1, "c": latest + 1}, latest},
		"one says nothing":   {map[string]int{"b": latest}, firstVersion},
		"one of before that": {map[string]int{"b": latest, "c": 0}, firstVersion},
	} {
		if got := leastVersion(servers, "a", c.said); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestCommandThatSomeServerMayNotKnowIsRefused(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		r, err := s.leading()
		must(t, err)
		must(t, s.understood(r, firstVersion))
		refused(t, s.understood(r, firstVersion+1), ErrUnavailable)
		_, err = s.Tend(t.Context(), nil, 3) // and so it asks
		must(t, err)
		if got := r.version.Load(); got != wire.MaxCommandVersion {
			t.Errorf("all understand version %d, want %d", got, wire.MaxCommandVersion)
		}
		r.version.Store(firstVersion) // as if nobody had been asked: it is recorded
		must(t, s.understood(r, firstVersion+1))
		c.kill(string(s.id))
		next := c.leader()
		r, err = next.leading()
		must(t, err)
		must(t, next.understood(r, firstVersion+1))
	})
}

func TestServerAloneUnderstandsItself(t *testing.T) {
	s := open(t, t.TempDir())
	r, err := s.leading()
	must(t, err)
	must(t, s.understood(r, firstVersion+1))
}

// TestWhatIsNewWaitsUntilServersHaveSaidWhatTheyUnderstand proposes what is new to
// a cluster that was just founded.
func TestWhatIsNewWaitsUntilServersHaveSaidWhatTheyUnderstand(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		r, err := s.leading()
		must(t, err)
		began := s.now()
		refused(t, s.untilUnderstood(t.Context(), r, firstVersion+1), ErrUnavailable)
		if waited := s.now().Sub(began); waited != saidWithin {
			t.Errorf("it was refused after %v, want %v: nobody has asked", waited, saidWithin)
		}
		done := make(chan error)
		go func() { done <- s.untilUnderstood(t.Context(), r, firstVersion+1) }()
		synctest.Wait()
		_, err = s.Tend(t.Context(), nil, 3)
		must(t, err)
		must(t, <-done)
	})
}
