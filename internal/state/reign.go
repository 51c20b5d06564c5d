package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
)

// reign is one time that this server leads.
type reign struct {
	term    uint64          // of the election that it began with
	ctx     context.Context // ends when it leads no more; the reign's own life
	end     context.CancelCauseFunc
	ready   chan struct{} // closed when everything recorded before was carried out
	failed  chan struct{} // closed when that can't be
	err     error         // why, once failed is closed
	stalled chan struct{} // closed when it ends because the disk does not answer
	version atomic.Int32  // of the commands that all servers understand; zero until that is known
	said    chan struct{} // closed when all servers have said which
	sayOnce sync.Once
}

func (r *reign) haveSaid() { r.sayOnce.Do(func() { close(r.said) }) }

func (r *reign) isReady() bool {
	select {
	case <-r.ready:
		return r.ctx.Err() == nil
	default:
		return false
	}
}

// throne is who leads, as far as this server knows.
type throne struct {
	mu      sync.Mutex
	elected bool          // raft says that this server leads; guarded by mu
	term    uint64        // since which term; guarded by mu
	stuck   bool          // the disk does not answer; guarded by mu
	closed  bool          // guarded by mu
	reign   *reign        // nil if this server does not lead; guarded by mu
	turned  chan struct{} // closed and replaced with reign; guarded by mu
	leader  string        // guarded by mu
	changed chan struct{} // closed and replaced with leader; guarded by mu
}

func newThrone() *throne {
	return &throne{turned: make(chan struct{}), changed: make(chan struct{})}
}

// now returns the reign there is, or nil, and what is closed at the next turn.
func (t *throne) now() (*reign, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reign, t.turned
}

// turn takes note of a change and returns the reign that begins with it, if
// one does.
func (t *throne) turn(note func(t *throne)) *reign {
	t.mu.Lock()
	defer t.mu.Unlock()
	note(t)
	leads := t.elected && !t.stuck && !t.closed
	switch {
	case leads && t.reign == nil:
		r := &reign{term: t.term, ready: make(chan struct{}), failed: make(chan struct{}), stalled: make(chan struct{}), said: make(chan struct{})}
		r.ctx, r.end = context.WithCancelCause(context.Background())
		t.setLocked(r)
		return r
	case !leads && t.reign != nil:
		cause := ErrNotLeader
		if t.closed {
			cause = ErrClosed
		}
		if t.stuck {
			close(t.reign.stalled)
		}
		t.reign.end(cause)
		t.setLocked(nil)
	}
	return nil
}

func (t *throne) setLocked(r *reign) {
	t.reign = r
	close(t.turned)
	t.turned = make(chan struct{})
}

// look asks who leads and takes note. Asking and noting are one step, so that
// of two who look at once the one that knows less does not come last.
func (t *throne) look(who func() string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := who()
	if id == t.leader {
		return
	}
	t.leader = id
	close(t.changed)
	t.changed = make(chan struct{})
}

// Leader returns the ID of the server that leads, as far as this one knows, or
// "" if it knows none.
func (s *State) Leader() string {
	s.throne.mu.Lock()
	defer s.throne.mu.Unlock()
	return s.throne.leader
}

// LeaderChanged returns a channel that is closed when Leader changes next. Who
// waits takes it first and then asks for the leader.
func (s *State) LeaderChanged() <-chan struct{} {
	s.throne.mu.Lock()
	defer s.throne.mu.Unlock()
	return s.throne.changed
}

// Lead calls do each time this server has become the leader and has carried
// out everything that was recorded before. The context of do ends, with cause
// ErrNotLeader, when this server leads no more; the next do comes after the
// last has returned. Lead returns when ctx ends or the state closes, after do
// has returned.
func (s *State) Lead(ctx context.Context, do func(ctx context.Context)) {
	for {
		r, turned := s.throne.now()
		if r == nil {
			select {
			case <-turned:
				continue
			case <-s.closing:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-r.ready:
			s.rule(ctx, r, do)
		case <-r.ctx.Done():
		case <-ctx.Done():
		}
		select {
		case <-turned: // the reign that is over
		case <-s.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

// WaitLead returns when this server leads and has carried out everything that
// was recorded before, or why it can't though it was elected, such as
// ErrBroken.
func (s *State) WaitLead(ctx context.Context) error {
	for {
		r, turned := s.throne.now()
		if r == nil {
			r = &reign{} // which is never ready
		}
		select {
		case <-r.ready:
			return nil
		case <-r.failed:
			return r.err
		case <-turned:
		case <-s.closing:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("state: wait for leadership: %w", context.Cause(ctx))
		}
	}
}

// rule calls do for one reign.
func (s *State) rule(ctx context.Context, r *reign, do func(ctx context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })()
	if r.ctx.Err() == nil && ctx.Err() == nil {
		do(ctx)
	}
}

// watchRaft follows what raft says of this server until over is closed. Raft
// waits for it, so it only takes note.
func (s *State) watchRaft(elected <-chan bool, over <-chan struct{}) {
	for {
		select {
		case leads := <-elected:
			// Raft waits here before it goes on to another election.
			term := cmp.Or(s.elected.Load(), s.raft.CurrentTerm())
			s.turn(func(t *throne) { t.elected, t.term = leads, term })
		case <-s.dog.turned:
			// A lone voter goes on to lead: nobody else can.
			stuck := s.dog.stuck.Load() && !s.alone()
			s.turn(func(t *throne) { t.stuck = stuck })
		case <-over:
			return
		}
	}
}

// turn takes note of a change of who leads and of what follows from it.
func (s *State) turn(note func(t *throne)) {
	if r := s.throne.turn(note); r != nil && !s.begin(func() { s.enthrone(r) }) {
		r.end(ErrClosed)
	}
	s.refreshLeader()
}

// refreshLeader asks raft who leads.
func (s *State) refreshLeader() {
	if s.raft == nil {
		return
	}
	s.throne.look(func() string {
		_, id := s.raft.LeaderWithID()
		if id == s.id && s.dog.stuck.Load() {
			return ""
		}
		return string(id)
	})
}

// enthrone makes a reign ready: everything that was recorded before is carried
// out, and the cluster has an ID.
func (s *State) enthrone(r *reign) {
	for {
		err := s.crown(r)
		switch {
		case r.ctx.Err() != nil:
			return
		case err == nil:
			s.log.Info("this server leads the state", slog.Uint64("term", s.raft.CurrentTerm()))
			close(r.ready)
			return
		case errors.Is(err, ErrBroken):
			r.err = fmt.Errorf("state: this server was elected and can't lead: %w", err)
			close(r.failed)
			return
		}
		s.log.Warn("this server was elected and is not ready to lead", telemetry.Err(err))
		select {
		case <-time.After(enthroneAgain):
		case <-r.ctx.Done():
			return
		}
	}
}

// enthroneAgain is how long a server that was elected waits before it tries
// again to be ready.
const enthroneAgain = time.Second

func (s *State) crown(r *reign) error {
	if err := s.raft.Barrier(0).Error(); err != nil {
		return answered(err)
	}
	if err := s.fsm.failure(); err != nil {
		return err
	}
	if err := s.name(r); err != nil {
		return err
	}
	if !s.alone() {
		return nil
	}
	// Whoever staged anything here has lost its leader. With several servers it
	// may go on with this one, and Sweep sees to what nobody comes for.
	return s.tidy(r.ctx)
}

// name gives the cluster its ID. On a full disk that can wait.
func (s *State) name(r *reign) error {
	if s.fsm.cluster.Load() == nil {
		_, founders := s.identity.get()
		id := mint(founders, string(s.id), s.raft.CurrentTerm(), s.now())
		if _, err := s.propose(r.ctx, &wire.FoundCluster{Cluster: id}); errors.Is(err, ErrFull) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return s.identity.adopt(r.ctx, string(s.id), s.Cluster(), "")
}

// leading returns the reign there is, or ErrNotLeader.
func (s *State) leading() (*reign, error) {
	r, _ := s.throne.now()
	if r == nil {
		return nil, s.notLeader()
	}
	return r, nil
}

// notLeader says who leads instead.
func (s *State) notLeader() error {
	if s.isClosing() {
		return ErrClosed
	}
	if id := s.Leader(); id != "" && id != string(s.id) {
		return fmt.Errorf("%w: %q does", ErrNotLeader, id)
	}
	return ErrNotLeader
}

// ask waits for an answer of raft's. Raft answers only while it runs, so Close
// waits for whoever asks.
func (s *State) ask(ctx context.Context, question func() raft.Future) error {
	answer := make(chan error, 1)
	if !s.begin(func() { answer <- question().Error() }) {
		return ErrClosed
	}
	select {
	case err := <-answer:
		return answered(err)
	case <-ctx.Done():
		return fmt.Errorf("state: wait for raft: %w", context.Cause(ctx))
	}
}
