package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

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

func TestFiveServersBearTheLossOfTwo(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c", "d", "e")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		for i := range uint64(2) {
			must(t, s.Append(t.Context(), id, 1, i, blobs(fmt.Sprint(i))))
			c.kill(string(s.id))
			s = c.leader()
		}
		must(t, s.Append(t.Context(), id, 1, 2, blobs("2")))
		if got := journal(t, s.State, id, 0); len(got) != 3 {
			t.Fatalf("got journal %q, want three entries", got)
		}
		c.kill(string(s.id)) // one too many
		for _, left := range c.ids() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			if err := c.up[left].WaitLead(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("server %s leads a minority: %v", left, err)
			}
			cancel()
			refused(t, c.up[left].Append(t.Context(), id, 1, 3, blobs("3")), ErrNotLeader)
		}
	})
}

// TestServerThatIsBackCountsAtOnce cuts a server off for long, and loses
// another as soon as the first is back: what is left is a majority.
func TestServerThatIsBackCountsAtOnce(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		others := c.others(s)
		c.net.Isolate(others[0])
		must(t, s.Append(t.Context(), id, 1, 0, blobs("meanwhile")))
		pass(time.Minute)
		c.net.Heal()
		heard, _ := s.link.lastHeard(others[0])
		c.await(s, "the server answers again", func() bool {
			now, _ := s.link.lastHeard(others[0])
			return now.After(heard)
		})
		c.kill(others[1])
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, s.Append(ctx, id, 1, 1, blobs("afterwards")))
	})
}

func TestAllServersAreStoppedAndGoOn(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1", []byte("in"))
		cluster := s.Cluster()
		for range 3 {
			for _, id := range []string{"a", "b", "c"} {
				c.kill(id)
			}
			for _, id := range []string{"a", "b", "c"} {
				if c.start(id).Empty() {
					t.Fatalf("server %s came back empty", id)
				}
			}
			s = c.leader()
			if s.Cluster() != cluster {
				t.Fatalf("got cluster %q, want %q", s.Cluster(), cluster)
			}
			run, err := s.Run(id)
			must(t, err)
			run, err = s.Assign(t.Context(), id, run.Epoch, "next", "")
			must(t, err)
			must(t, s.Append(t.Context(), id, run.Epoch, run.Epoch-1, blobs("more")))
			c.same(s)
		}
	})
}

// A stop of the leader is no loss: the next one leads at once.
func TestLeaderThatClosesHandsOver(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		for range 3 {
			s := c.leader()
			begin := time.Now()
			c.stop(string(s.id))
			next := c.leader()
			if took := time.Since(begin); took >= heartbeat {
				t.Errorf("it took %v for another to lead: nothing was handed over", took)
			}
			created(t, next.State, "d/j@"+string(next.id)+fmt.Sprint(next.raft.CurrentTerm()))
			c.start(string(s.id))
			c.same(next)
		}
	})
}

func TestLeadershipIsTransferredToWhoAnswers(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		others := c.others(s)
		c.net.Isolate(others[0])
		pass(5 * time.Second)
		must(t, s.Transfer(t.Context()))
		next := c.leader(others[1])
		if got := s.Leader(); got != string(next.id) {
			t.Errorf("the server that led follows %q, want %q", got, next.id)
		}
		refused(t, s.Transfer(t.Context()), ErrNotLeader)
	})
}

func TestWhoLeadsIsToldToWhoWaits(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		o := c.up[c.others(s)[0]]
		c.await(o, "it knows the leader", func() bool { return o.Leader() == string(s.id) })
		seen := make(chan string)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(seen)
			for {
				changed := o.LeaderChanged()
				select {
				case seen <- o.Leader():
				case <-ctx.Done():
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
		}()
		if got := <-seen; got != string(s.id) {
			t.Fatalf("got leader %q, want %q", got, s.id)
		}
		must(t, s.Transfer(t.Context()))
		for id := range seen {
			if id != "" && id != string(s.id) {
				break
			}
		}
		cancel()
		for range seen { // until it has ended
		}
	})
}

// Whoever led does what a leader does no more, then the next does, and never
// two of one server at a time, however fast it goes.
func TestLeadIsCalledOnceForEachReign(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := &State{throne: newThrone(), closing: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var busy, calls atomic.Int32
	var wg sync.WaitGroup
	led := make(chan struct{}, 10_000)
	wg.Go(func() {
		s.Lead(ctx, func(ctx context.Context) {
			if busy.Add(1) != 1 {
				t.Error("two at a time")
			}
			calls.Add(1)
			led <- struct{}{}
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, ErrNotLeader) && !errors.Is(cause, context.Canceled) {
				t.Errorf("got cause %v, want %v", cause, ErrNotLeader)
			}
			busy.Add(-1)
		})
	})
	waited := int32(0)
	for range 1000 {
		r := s.throne.turn(func(t *throne) { t.elected = true })
		if chance.IntN(4) > 0 {
			close(r.ready)
			if chance.IntN(2) > 0 {
				<-led
				waited++
			}
		}
		s.throne.turn(func(t *throne) { t.elected = false })
		for len(led) > 0 {
			<-led
		}
	}
	r := s.throne.turn(func(t *throne) { t.elected = true })
	close(r.ready)
	for calls.Load() < waited || busy.Load() == 0 {
		<-led
	}
	cancel()
	wg.Wait()
	if busy.Load() != 0 {
		t.Error("Lead returned before what it called")
	}
}

func TestLeadershipThatMovesAboutLosesNothing(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for _, id := range c.ids() {
			s := c.up[id]
			wg.Go(func() {
				s.Lead(ctx, func(ctx context.Context) {
					// What was recorded before is there to be read, and more is taken.
					for ctx.Err() == nil {
						run := job.Run{ID: job.RunID(fmt.Sprintf("d/%s@%d", s.id, s.raft.LastIndex())), Master: "m"}
						if _, err := s.Create(ctx, run, nil); err != nil {
							if !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
								t.Errorf("got %v", err)
							}
							return
						}
						if _, err := s.Run(run.ID); err != nil {
							t.Errorf("what was acknowledged is not there: %v", err)
						}
						select {
						case <-time.After(time.Millisecond):
						case <-ctx.Done():
						}
					}
				})
			})
		}
		for range 50 {
			s := c.leader()
			pass(10 * time.Millisecond)
			_ = s.Transfer(t.Context()) // it may have lost it already
		}
		cancel()
		wg.Wait()
		c.same(c.leader())
	})
}

// A read that a former leader answers from what it has is found out.
func TestReadOfALeaderThatIsNoneIsRefused(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		must(t, s.Read(t.Context(), func() error { _, err := s.Run(id); return err }))
		c.net.Isolate(string(s.id))
		err := s.Read(t.Context(), func() error { _, err := s.Run(id); return err })
		refused(t, err, ErrNotLeader)
		next := c.leader(c.others(s)...)
		must(t, next.Read(t.Context(), func() error { _, err := next.Run(id); return err }))
	})
}

func TestStateClosesWhateverHappens(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		c.net.Isolate(string(s.id))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				err := s.Append(t.Context(), id, 1, 0, blobs("x"))
				if err == nil {
					t.Error("a minority acknowledged a write")
				}
				_ = s.Confirm(t.Context())
				_ = s.WaitLead(t.Context())
			})
		}
		synctest.Wait()
		begin := time.Now()
		c.stop(string(s.id))
		wg.Wait()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v to close", took)
		}
	})
}

func TestServerFarBehindGetsTheWholeState(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		away := c.others(s)[0]
		c.kill(away)
		entry := bytes.Repeat([]byte("x"), 800<<10)
		for i := range uint64(40) {
			must(t, s.Append(t.Context(), id, 1, i, [][]byte{entry}))
		}
		must(t, s.snapshot())
		if first := s.raftLog.First(); first < 10 {
			t.Fatalf("the log begins with entry %d: nothing was cut", first)
		}
		back := c.start(away)
		for i := range uint64(10) { // while it is sent
			must(t, s.Append(t.Context(), id, 1, 40+i, blobs("more")))
		}
		c.same(s)
		if metas, err := back.snaps.List(); err != nil || len(metas) != 1 {
			t.Fatalf("got %d snapshots, %v: it was not sent one", len(metas), err)
		}
		c.kill(away)
		c.start(away)
		must(t, s.Append(t.Context(), id, 1, 50, blobs("after")))
		c.same(s)
	})
}

// A server that dies when it has a snapshot from the leader and still its own
// short log has no gap in the log when it is back.
func TestLogBehindItsSnapshotIsCutAtOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	created(t, s, "d/j@1")
	must(t, s.snapshot())
	closed(t, s)
	log, err := store.OpenLog(filepath.Join(dir, "raft.db"), nil)
	must(t, err)
	must(t, log.DeleteRange(0, log.Last()))
	noop := newRaftLog(log, newWatchdog(time.Hour, discard))
	must(t, noop.StoreLogs([]*raft.Log{{Index: 1, Term: 1, Type: raft.LogNoop}, {Index: 2, Term: 1, Type: raft.LogNoop}}))
	must(t, log.Close())
	s = open(t, dir)
	created(t, s, "d/j@2")
}
