package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
)

// ErrNoLeader says that no node could be found that leads the cluster, because
// too few of those that hold the state are up, or this node is cut off from
// them. Unless the error says otherwise nothing was recorded.
var ErrNoLeader error = &coded{"no-leader", "node: no leader"}

const (
	// patience is how long a call waits for there to be a leader, which is
	// several times what an election takes.
	patience = 10 * time.Second
	// lookTimeout bounds how long one server is asked who leads.
	lookTimeout = time.Second
)

// errMoved is why a call to a leader ends when there is another.
var errMoved = errors.New("node: there is another leader")

// leaders is what this node knows of who leads: one node in each term, and a
// later term counts more than an earlier one, whoever tells of it.
type leaders struct {
	n        *Node
	patience time.Duration

	mu       sync.Mutex
	id       string          // "" if nobody is known to lead; guarded by mu
	term     uint64          // the latest heard of; guarded by mu
	known    reigned         // who was known last, though doubted since; guarded by mu
	changed  chan struct{}   // closed when another is known than was; guarded by mu
	last     string          // who was the last that was known to; guarded by mu
	reign    context.Context // ends when there is another than last; guarded by mu
	abdicate context.CancelCauseFunc
	looking  *looking // under way, or nil; guarded by mu
	why      error    // why nobody was found the last time; guarded by mu
}

// reigned is who leads in a term.
type reigned struct {
	id   string
	term uint64
}

// looking is a search for the leader that several may wait for.
type looking struct {
	done chan struct{}
	why  error // why nobody was found; set before done is closed
}

func newLeaders(n *Node) *leaders {
	l := &leaders{n: n, patience: patience, changed: make(chan struct{})}
	l.reign, l.abdicate = context.WithCancelCause(n.ctx)
	return l
}

// learn takes note that id leads in term, or that nobody does.
func (l *leaders) learn(id string, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if term < l.term || term == l.term && (id == "" || l.id != "") {
		return
	}
	l.term = term
	l.setLocked(id)
}

// doubt forgets that id leads: it did not answer, or said that it does not.
func (l *leaders) doubt(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == id {
		l.setLocked("")
	}
}

// setLocked takes note of who leads. While nobody is known to, the reign of
// the last one goes on: it may only be slow.
func (l *leaders) setLocked(id string) {
	if l.id == id {
		return
	}
	if id != "" && id != l.last {
		l.abdicate(errMoved)
		l.reign, l.abdicate = context.WithCancelCause(l.n.ctx)
		l.last = id
	}
	l.id = id
	// A leader that is doubted and named again is no news: two callers that it
	// does not answer would wake each other without end.
	if now := (reigned{id, l.term}); id != "" && now != l.known {
		l.known = now
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// now returns who leads as far as is known, a context that ends when another
// node does, and a channel that is closed when somebody is known who was not:
// another node, or in a later term.
func (l *leaders) now() (id string, reign context.Context, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.reign, l.changed
}

// find returns the leader. If it is not known it asks the servers of the pool.
func (l *leaders) find(ctx context.Context) (id string, reign context.Context, err error) {
	if id, reign, _ := l.now(); id != "" {
		return id, reign, nil
	}
	k := l.look()
	select {
	case <-k.done:
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	case <-l.n.ctx.Done():
		return "", nil, context.Cause(l.n.ctx)
	}
	if id, reign, _ := l.now(); id != "" {
		return id, reign, nil
	}
	return "", nil, k.why
}

// noneYet says that no leader was found before the caller gave up, and what was
// the last that the servers said.
func (l *leaders) noneYet(gaveUp error, unsure bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	why := l.why
	if why == nil {
		why = errors.New("the servers have not answered yet")
	}
	return fmt.Errorf("%w: %w; %s: %w", ErrNoLeader, why, recorded(unsure), gaveUp)
}

// look begins to ask all servers who leads, unless that is under way.
func (l *leaders) look() *looking {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looking != nil {
		return l.looking
	}
	k := &looking{done: make(chan struct{})}
	l.looking = k
	l.n.wg.Go(func() {
		k.why = l.ask()
		l.mu.Lock()
		l.looking, l.why = nil, k.why
		l.mu.Unlock()
		close(k.done)
	})
	return k
}

// ask asks each server of the pool who leads, and returns as soon as one knows
// that, or with what they said.
func (l *leaders) ask() error {
	servers := l.n.servers()
	if len(servers) == 0 {
		return errors.New("no member of the pool holds the state: start one that was started without Join or with Servers, or correct Join")
	}
	ctx, cancel := context.WithTimeout(l.n.ctx, lookTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	said := map[string]string{}   // by ID
	voters := map[string]string{} // names by ID
	for _, m := range servers {
		wg.Go(func() {
			s, err := call[wire.Standing](ctx, l.n, m.ID, wire.MethodStanding, wire.Nothing{})
			if err == nil && s.Leader != "" {
				l.learn(s.Leader, s.Term)
				if id, _, _ := l.now(); id != "" {
					cancel() // the others need not answer any more
				}
			}
			mu.Lock()
			defer mu.Unlock()
			said[m.ID] = fmt.Sprintf("server %s %s", cmp.Or(m.Name, m.ID), about(&s, err))
			maps.Copy(voters, s.Voters)
		})
	}
	wg.Wait()
	for id, name := range voters {
		if said[id] == "" {
			said[id] = fmt.Sprintf("server %s is not in the pool", name)
		}
	}
	return errors.New(strings.Join(slices.Sorted(maps.Values(said)), ", "))
}

// about says what a server knows of who leads.
func about(s *wire.Standing, err error) string {
	switch {
	case err != nil:
		return "is out of reach"
	case s.Leader != "":
		return "names one that does not answer"
	}
	return cmp.Or(s.Waiting, "knows none")
}

// Leader returns the member that leads the cluster, as it says itself. It is
// for people and tools: by the time it is known another may lead, and nothing
// that is asked of the cluster needs it. While there is none Leader waits; it
// gives up with ErrNoLeader, or when ctx ends.
func (n *Node) Leader(ctx context.Context) (m membership.Member, err error) {
	err = n.leaders.try(ctx, func(ctx context.Context, leader string) error {
		s, err := call[wire.Standing](ctx, n, leader, wire.MethodStanding, wire.Nothing{})
		if err == nil && s.Leader != leader {
			return state.ErrNotLeader
		}
		m = membership.Member{ID: leader}
		if known, ok := n.members.Member(leader); ok {
			m = known
		}
		return err
	})
	if err != nil {
		return membership.Member{}, plain(err)
	}
	return m, nil
}

// servers returns the members that hold the state or are to, by ID.
func (n *Node) servers() []membership.Member {
	return slices.DeleteFunc(n.members.Members(), func(m membership.Member) bool { return !m.Has(roleServer) })
}

// lead calls a method of the leader. While there is none, or it goes away
// before it has answered, lead looks for the next and asks that one: what is
// asked of a leader may be asked twice. It gives up with ErrNoLeader.
func lead[Resp, Req any](ctx context.Context, n *Node, method string, req Req) (resp Resp, err error) {
	err = n.leaders.try(ctx, func(ctx context.Context, leader string) error {
		var err error
		resp, err = call[Resp](ctx, n, leader, method, req)
		return err
	})
	return resp, err
}

// try does something with the leader, and again with the next one if it was
// the wrong node or is gone.
func (l *leaders) try(ctx context.Context, do func(ctx context.Context, leader string) error) error {
	alone, unsure := time.Now(), false
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		leader, reign, err := l.find(ctx)
		if err == nil {
			began := time.Now()
			if err = under(ctx, reign, func(ctx context.Context) error { return do(ctx, leader) }); !l.elsewhere(ctx, reign, err) {
				return err
			}
			l.doubt(leader)
			if !is(err, state.ErrNotLeader) && !errors.Is(err, transport.ErrUnreachable) {
				unsure = true
				if time.Since(began) > wait {
					alone = time.Now() // it was there until now
				}
			}
		}
		switch {
		case l.n.ctx.Err() != nil:
			return err
		case ctx.Err() != nil && leader == "":
			return l.noneYet(context.Cause(ctx), unsure)
		case ctx.Err() != nil:
			return err
		case time.Since(alone) > l.patience:
			return l.gaveUp(err, unsure)
		}
		_, _, changed := l.now()
		select {
		case <-changed:
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (l *leaders) gaveUp(why error, unsure bool) error {
	return fmt.Errorf("%w within %v: %w; %s", ErrNoLeader, l.patience, plain(why), recorded(unsure))
}

// recorded says what became of what was asked for.
func recorded(unsure bool) string {
	if unsure {
		return "it may have been recorded all the same: asking again is safe"
	}
	return "nothing was recorded"
}

// under calls do with ctx, cancelled also when reign ends.
func under(ctx, reign context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(reign, func() { cancel(context.Cause(reign)) })
	defer stop()
	return do(ctx)
}

// elsewhere reports whether err says that the node asked is not, or no longer,
// the one to ask.
func (l *leaders) elsewhere(ctx, reign context.Context, err error) bool {
	switch {
	case err == nil || ctx.Err() != nil || l.n.ctx.Err() != nil:
		return false
	case reign.Err() != nil && errors.Is(err, context.Canceled):
		return true
	}
	return is(err, state.ErrNotLeader) || is(err, state.ErrUncertain) || is(err, state.ErrClosed) || broken(err) || is(err, ErrStopped)
}

// Leads reports whether this node leads the cluster at this moment, as far as
// it knows.
func (n *Node) Leads() bool { return n.server != nil && n.server.leads() }
