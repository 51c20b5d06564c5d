package node

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/pkg/job"
)

// TestALaterTermCountsMoreThanWhoTellsOfIt feeds what servers tell of who
// leads.
func TestALaterTermCountsMoreThanWhoTellsOfIt(t *testing.T) {
	l := newLeaders(&Node{ctx: t.Context()})
	for _, c := range []struct {
		id   string
		term uint64
		want string
	}{
		{"a", 3, "a"},
		{"b", 2, "a"}, // it has not heard yet
		{"", 3, "a"},  // nor has it
		{"", 4, ""},   // there is an election
		{"a", 3, ""},
		{"b", 4, "b"},
		{"c", 4, "b"}, // can't be
	} {
		l.learn(c.id, c.term)
		if got, _, _ := l.now(); got != c.want {
			t.Errorf("told that %q leads in term %d: got %q, want %q", c.id, c.term, got, c.want)
		}
	}
}

// TestAReignEndsWithTheNextLeaderAndNotWithADoubt has a leader doubted that is
// only slow: what others ask of it goes on.
func TestAReignEndsWithTheNextLeaderAndNotWithADoubt(t *testing.T) {
	l := newLeaders(&Node{ctx: t.Context()})
	l.learn("a", 1)
	_, reign, _ := l.now()
	l.doubt("b")
	l.doubt("a")
	if id, _, _ := l.now(); id != "" || reign.Err() != nil {
		t.Fatalf("in doubt: got leader %q, reign %v", id, reign.Err())
	}
	l.learn("a", 1)
	if id, again, _ := l.now(); id != "a" || reign.Err() != nil || again != reign {
		t.Fatalf("beyond doubt: got leader %q, reign %v, want the same to go on", id, reign.Err())
	}
	l.learn("b", 2)
	if !errors.Is(context.Cause(reign), errMoved) {
		t.Errorf("the reign ended with %v, want %v", context.Cause(reign), errMoved)
	}
}

// TestACallThatALeaderHeldForLongIsMadeAgain loses the session with a leader
// that was asked longer ago than a call waits for there to be one.
func TestACallThatALeaderHeldForLongIsMadeAgain(t *testing.T) {
	nodes := servers(t, 1, nil)
	l, calls := nodes[0].leaders, 0
	l.patience = 100 * time.Millisecond
	err := l.try(t.Context(), func(ctx context.Context, _ string) error {
		if calls++; calls == 1 {
			held, cancel := context.WithTimeout(ctx, 2*l.patience)
			defer cancel()
			<-held.Done()
			return transport.ErrBroken
		}
		return nil
	})
	if err != nil || calls != 2 {
		t.Errorf("got %v after %d calls, want it made again", err, calls)
	}
}

// TestAMinoritySaysWhichServersAreMissing kills two of three.
func TestAMinoritySaysWhichServersAreMissing(t *testing.T) {
	nodes := servers(t, 3, nil)
	leads(t, nodes)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, n := range nodes[1:] {
		_ = n.Stop(over)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	_, err := nodes[0].Submit(ctx, job.Spec{Processor: "echo", Input: job.Values("x")})
	if !errors.Is(err, ErrNoLeader) {
		t.Fatalf("got %v, want %v", err, ErrNoLeader)
	}
	for _, text := range []string{"server n0 knows none", "server n1 is", "server n2 is"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want %q in it", err, text)
		}
	}
}

// TestALeaderThatIsStoppedHandsItsLeadershipOver stops it before the others
// have to find out.
func TestALeaderThatIsStoppedHandsItsLeadershipOver(t *testing.T) {
	log := newLines()
	nodes := servers(t, 3, func(_ int, cfg *Config) { cfg.Logger = slog.New(log) })
	old, _ := leads(t, nodes)
	if err := old.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log.count("leadership is handed over") != 1 || log.count("leadership could not be handed over") != 0 {
		t.Error("it did not hand its leadership over")
	}
	for _, n := range nodes {
		if n == old {
			continue
		}
		if m, err := n.Leader(t.Context()); err != nil || m.ID == old.id {
			t.Errorf("%s says that %s leads, %v", n.Name(), m.Name, err)
		}
	}
}

// TestOnlyAnotherLeaderIsNews has one that does not answer doubted and named
// again, as servers do that have not noticed.
func TestOnlyAnotherLeaderIsNews(t *testing.T) {
	l := newLeaders(&Node{ctx: context.Background()})
	defer func() { l.abdicate(nil) }()
	for _, c := range []struct {
		name string
		do   func()
		news bool
	}{
		{"the first", func() { l.learn("a", 1) }, true},
		{"doubted and named again", func() { l.doubt("a"); l.learn("a", 1) }, false},
		{"doubted", func() { l.doubt("a") }, false},
		{"another", func() { l.learn("b", 2) }, true},
		{"nobody in a later term", func() { l.learn("", 3) }, false},
		{"elected again", func() { l.learn("b", 4) }, true},
	} {
		_, _, changed := l.now()
		c.do()
		news := false
		select {
		case <-changed:
			news = true
		default:
		}
		if news != c.news {
			t.Errorf("%s: news is %v, want %v", c.name, news, c.news)
		}
	}
}
