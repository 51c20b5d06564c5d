package membership

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// bare returns a list without gossip, fed by hand.
func bare(t *testing.T) *List {
	l := &List{
		company: make(chan struct{}), noted: make(chan struct{}, 1),
		moved: make(chan struct{}, 1), lost: make(chan struct{}, 1),
		watchers: map[*watcher]struct{}{},
	}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() { l.cancel(); l.wg.Wait() })
	return l
}

func life(id string, incarnation uint64) Member { return Member{ID: id, Incarnation: incarnation} }

func told(t *testing.T, events <-chan Event, n int) []string {
	t.Helper()
	var out []string
	for range n {
		e := <-events
		out = append(out, fmt.Sprintf("%s %s.%d %d", e.Kind, e.Member.ID, e.Member.Incarnation, e.Member.Slots))
	}
	return out
}

func TestWatchTellsThePresentFirstAndThenEveryChangeInOrder(t *testing.T) {
	l := bare(t)
	l.alive(life("b", 1))
	l.alive(life("a", 1))
	events, stop := l.Watch()
	defer stop()
	if got, want := told(t, events, 2), []string{"joined a.1 0", "joined b.1 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.alive(life("c", 1))
	l.dead("a", 1)
	b := life("b", 1)
	b.Slots = 5
	l.alive(b)
	if got, want := told(t, events, 3), []string{"joined c.1 0", "left a.1 0", "changed b.1 5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASlowWatcherSeesTheLatestAndEveryEndOfALife(t *testing.T) {
	l := bare(t)
	l.alive(life("a", 1))
	l.alive(life("b", 1))
	events, stop := l.Watch()
	defer stop()
	if got, want := told(t, events, 2), []string{"joined a.1 0", "joined b.1 0"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	// The watcher may have taken the first piece of news already, so the first
	// is one that nothing follows up.
	l.alive(life("first", 1))
	for i := range 100 { // a flaps and b grows
		l.dead("a", 1)
		l.alive(life("a", 1))
		b := life("b", 1)
		b.Slots = i + 1
		l.alive(b)
		l.alive(life("guest", uint64(i+1)))
		l.dead("guest", uint64(i+1))
	}
	want := []string{"joined first.1 0", "left a.1 0", "joined a.1 0", "changed b.1 100"}
	for i := 100 - maxEnded; i < 100; i++ {
		want = append(want, fmt.Sprintf("joined guest.%d 0", i+1), fmt.Sprintf("left guest.%d 0", i+1))
	}
	if got := told(t, events, len(want)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Who acts on Members after Watch must learn that a member of then is gone,
// even if the watcher had no time to say that it was there.
func TestALifeThatNobodyReadOfIsToldAllTheSame(t *testing.T) {
	l := bare(t)
	events, stop := l.Watch()
	defer stop()
	l.alive(life("first", 1)) // may be on its way already
	l.alive(life("a", 5))
	l.alive(life("a", 7))
	l.dead("a", 7)
	l.dead("a", 5)
	want := []string{"joined first.1 0", "joined a.7 0", "left a.7 0", "joined a.5 0", "left a.5 0"}
	if got := told(t, events, len(want)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever happens and however slowly it is read, what a watcher was told adds
// up to what is true, and no life joins twice without having left.
func TestWhatAWatcherWasToldAddsUp(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		l := bare(t)
		events, stop := l.Watch()
		seen := map[string]Member{}
		done := make(chan error, 1)
		go func() {
			for e := range events {
				old, here := seen[e.Member.ID]
				var err error
				switch {
				case e.Kind == Joined && here:
					err = fmt.Errorf("%s joined twice", e.Member.ID)
				case e.Kind == Left && (!here || old.Incarnation != e.Member.Incarnation):
					err = fmt.Errorf("%s.%d left, who was not here", e.Member.ID, e.Member.Incarnation)
				case e.Kind == Changed && (!here || old.Incarnation != e.Member.Incarnation):
					err = fmt.Errorf("%s.%d changed, who was not here", e.Member.ID, e.Member.Incarnation)
				}
				if err != nil {
					done <- err
					return
				}
				if e.Kind == Left {
					delete(seen, e.Member.ID)
				} else {
					seen[e.Member.ID] = e.Member
				}
				if e.Member.ID == "end" {
					break
				}
			}
			done <- nil
		}()
		for range 300 {
			m := life(string(rune('a'+rng.IntN(4))), 1+rng.Uint64N(3))
			if rng.IntN(2) == 0 {
				m.Slots = rng.IntN(3)
				l.alive(m)
			} else {
				l.dead(m.ID, m.Incarnation)
			}
		}
		l.alive(life("end", 1))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		stop()
		ms := l.Members()
		if len(ms) != len(seen) {
			t.Fatalf("told %v, true is %v", seen, ms)
		}
		for _, m := range ms {
			if !seen[m.ID].same(m) {
				t.Fatalf("told %v, true is %v", seen[m.ID], m)
			}
		}
	}
}

func TestWatchEndsWithStopOrWithTheList(t *testing.T) {
	l := bare(t)
	l.alive(life("a", 1))
	events, stop := l.Watch()
	stop()
	stop()
	for range events { // at most what was on its way
	}
	events, stop = l.Watch()
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	for range events {
	}
	stop()
	events, stop = l.Watch()
	if e, open := <-events; open {
		t.Errorf("got %v from a closed list", e)
	}
	stop()
}

func TestTheLatestLifeIsTheMember(t *testing.T) {
	var tab table
	check := func(got []Event, want string) {
		t.Helper()
		s := ""
		for _, e := range got {
			s += fmt.Sprintf("%s %d ", e.Kind, e.Member.Incarnation)
		}
		if s != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
	check(tab.put(life("a", 5)), "joined 5 ")
	check(tab.put(life("a", 5)), "")
	check(tab.put(life("a", 3)), "")
	check(tab.put(life("a", 7)), "left 5 joined 7 ")
	check(tab.drop("a", 5), "")
	check(tab.drop("a", 5), "")
	check(tab.drop("a", 7), "left 7 joined 3 ")
	check(tab.drop("a", 3), "left 3 ")
	check(tab.drop("b", 1), "")
	if n := len(tab.members()); n != 0 || len(tab.lives) != 0 {
		t.Errorf("%d members left over", n)
	}
}
