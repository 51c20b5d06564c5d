package node

import (
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/membership"
)

// skew is how far this node's wall clock is from the leader's. It is shown and
// warned about; nothing is decided by it.
type skew struct {
	mu     sync.Mutex
	ahead  time.Duration // of the leader's; guarded by mu
	within time.Duration // how far off that may be; guarded by mu
	warned bool          // guarded by mu
}

// muchSkew is how far apart clocks may be. Beyond it what people read in logs of
// two nodes is in the wrong order, and fires are noticeably early or late when
// another node comes to lead.
const muchSkew = time.Second

// measure takes in that the leader's clock said theirs at some time between
// asked, by this node's clock, and as long after it as the answer took. It
// reports whether it has become known that the clocks are too far apart, or
// that they are not any more.
func (s *skew) measure(asked time.Time, took time.Duration, theirs time.Time) (much, changed bool) {
	half := took / 2
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead, s.within = asked.Round(0).Add(half).Sub(theirs), half
	much = s.ahead.Abs() > muchSkew+s.within
	if !much && s.warned && s.ahead.Abs()+s.within > muchSkew { // it may still be
		return true, false
	}
	changed = much != s.warned
	s.warned = much
	return much, changed
}

// last returns what was measured last.
func (s *skew) last() (ahead, within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ahead, s.within
}

// heed measures the skew and tells if it has become too large, or is not any
// more.
func (n *Node) heed(asked time.Time, took time.Duration, theirs time.Time) {
	much, changed := n.skew.measure(asked, took, theirs)
	ahead, _ := n.skew.last()
	switch {
	case changed && much:
		n.log.Warn("this node's clock is far from the leader's: have both follow a time server", slog.Duration("ahead", ahead.Round(time.Millisecond)))
	case changed:
		n.log.Info("this node's clock is near the leader's again", slog.Duration("ahead", ahead.Round(time.Millisecond)))
	}
}

// About is what a member of the pool tells of itself.
type About struct {
	membership.Member
	// CPU is how many cores it has, Memory and Disk how many bytes are free.
	CPU          int
	Memory, Disk int64
	// Running and Queued are the attempts that it executes and has, Abandoned
	// those that ignored their cancellation, and Masters how many runs it
	// conducts.
	Running, Queued, Abandoned, Masters int
	// Ahead is how far its wall clock is ahead of the leader's, as it was
	// measured last, and Within how far off that may be.
	Ahead, Within time.Duration
}

// Nodes returns what the members of the pool tell of themselves, this node
// included, in the order of their IDs. What they do at the moment is a few
// seconds old at most where this node gives them work, and else as of when they
// were met.
func (n *Node) Nodes() []About {
	n.peers.refresh()
	all := n.peers.list()
	out := make([]About, 0, len(all))
	for i := range all {
		p := &all[i]
		a, member := &p.about, p.member
		if now, ok := n.members.Member(member.ID); ok {
			member = now // it may say that it drains, a moment before all are told
		}
		out = append(out, About{
			Member: member, CPU: a.CPU, Memory: a.Memory, Disk: a.Disk,
			Running: a.Running, Queued: a.Queued, Abandoned: a.Abandoned, Masters: a.Masters,
			Ahead: a.Ahead, Within: a.Within,
		})
	}
	return out
}
