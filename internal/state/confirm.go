package state

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/wire"
)

// Confirm returns nil if this server leads at this moment and ctx has not
// ended. A read that began in a context of Lead's, and is confirmed after in
// the same, saw everything that was acknowledged before it began.
func (s *State) Confirm(ctx context.Context) error {
	r, err := s.leading()
	if err != nil {
		return err
	}
	return s.confirm(ctx, r)
}

// Read runs read and returns nil only if read saw everything that was
// acknowledged before. Read may be run in vain.
func (s *State) Read(ctx context.Context, read func() error) error {
	r, err := s.leading()
	if err != nil {
		return err
	}
	select {
	case <-r.ready:
	case <-r.ctx.Done():
		return s.notLeader()
	case <-ctx.Done():
		return fmt.Errorf("state: wait for the leader to be ready: %w", context.Cause(ctx))
	}
	if err := read(); err != nil {
		return err
	}
	return s.confirm(ctx, r)
}

// confirm returns nil if r was not over when it was called.
func (s *State) confirm(ctx context.Context, r *reign) error {
	if !r.isReady() {
		return s.notLeader()
	}
	if !s.alone() {
		if err := s.confirmed(ctx, r); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("state: confirm that this server leads: %w", context.Cause(ctx))
	case r.ctx.Err() != nil:
		return s.notLeader()
	}
	return nil
}

// confirmations is those who wait for a round of questions. All who come
// before a round begins share it, and none who comes later: an answer tells
// nothing of what was after its question. Raft's own check takes answers to
// questions that were asked before, which a process that was paused for long
// may find waiting for it.
type confirmations struct {
	mu      sync.Mutex
	next    *round // that has not begun; guarded by mu
	running bool   // guarded by mu
}

// round is one round of questions.
type round struct {
	reign *reign
	done  chan struct{}
	err   error // once done is closed
}

// confirmed takes part in a round.
func (s *State) confirmed(ctx context.Context, r *reign) error {
	c := &s.confirmations
	c.mu.Lock()
	if c.next == nil || c.next.reign != r {
		if c.next != nil { // of a reign that is over
			c.next.err = s.notLeader()
			close(c.next.done)
		}
		c.next = &round{reign: r, done: make(chan struct{})}
	}
	mine := c.next
	if !c.running {
		c.running = s.begin(s.runRounds)
		if !c.running {
			c.next = nil
			c.mu.Unlock()
			return ErrClosed
		}
	}
	c.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return fmt.Errorf("state: confirm that this server leads: %w", context.Cause(ctx))
	}
}

// runRounds runs rounds as long as somebody waits for one.
func (s *State) runRounds() {
	c := &s.confirmations
	for {
		c.mu.Lock()
		now := c.next
		c.next = nil
		if now == nil {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		now.err = s.askVoters(now.reign)
		close(now.done)
	}
}

// askVoters returns nil if a majority of the voters says, asked from now on,
// that there is no later leader than this server. ErrNotLeader says that some know
// of a later term, ErrUnavailable that too few answer.
func (s *State) askVoters(r *reign) error {
	var voters []string
	for _, v := range s.configuration() {
		if v.Suffrage == raft.Voter && v.ID != s.id {
			voters = append(voters, string(v.ID))
		}
	}
	need := (len(voters) + 1) / 2 // beside this server
	if !s.votes() {
		need = len(voters)/2 + 1
	}
	answers := make(chan uint64, len(voters)) // the term of each, zero if it does not answer
	for _, id := range voters {
		if !s.begin(func() { answers <- s.link.term(id, r.term) }) {
			return ErrClosed
		}
	}
	later := false
	for left := len(voters); need > 0; left-- {
		if left < need {
			if later || r.ctx.Err() != nil {
				return s.notLeader()
			}
			return fmt.Errorf("%w: a majority of the voters does not answer", ErrUnavailable)
		}
		select {
		case term := <-answers:
			if later = later || term > r.term; term == r.term {
				need--
			}
		case <-r.ctx.Done():
			return s.notLeader()
		}
	}
	return nil
}

// term returns the term that a server is in: that in which this server leads, if it
// knows no leader after it, or a later one. Zero says that it does not answer.
func (l *link) term(id string, led uint64) uint64 {
	a, err := l.ask(id, &wire.RaftRequest{Kind: wire.RaftAppend, Protocol: int(raft.ProtocolVersionMax), Term: led}, shortWait)
	if err != nil || !a.Granted && a.Term <= led {
		return 0
	}
	return a.Term
}
