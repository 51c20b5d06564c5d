package node

import (
	"sync"
	"time"
)

// skew is how far this node's wall clock is from the leader's. It is shown and
// warned about; nothing is decided by it.
type skew struct {
	mu     sync.Mutex
	ahead  time.Duration // of the leader's; guarded by mu
	within time.Duration // how far off that may be; guarded by mu
}

// measure takes in that the leader's clock said theirs at some time between
// asked, by this node's clock, and as long after it as the answer took.
func (s *skew) measure(asked time.Time, took time.Duration, theirs time.Time) {
	half := took / 2
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead, s.within = asked.Round(0).Add(half).Sub(theirs), half
}
