package trigger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before an attempt that follows a failure:
// Initial after the first failure, Factor times as long after each further
// one, never more than Max, and each wait shortened by a random share of at
// most Jitter, so that what failed together does not return together. The
// scheme is the exponential back-off of Ethernet, with the jitter of Brooker's
// "Exponential Backoff And Jitter".
//
// The zero value waits 100 ms, then 200 ms and so on up to 30 s, with a fifth
// of jitter.
type Backoff struct {
	// Initial is the wait after the first failure. Zero means 100 ms.
	Initial time.Duration `msgpack:"i,omitempty"`
	// Factor multiplies the wait after each further failure. Zero means 2; 1
	// keeps it constant.
	Factor float64 `msgpack:"f,omitempty"`
	// Max bounds the wait. Zero means 30 s.
	Max time.Duration `msgpack:"m,omitempty"`
	// Jitter is the largest share of a wait that chance may take off, from 0
	// to 1. Zero means 0.2; a negative value means none.
	Jitter float64 `msgpack:"j,omitempty"`
}

// After returns the wait after the given number of failures, which is at
// least one. A nil chance means no jitter.
func (b Backoff) After(failures int, chance *rand.Rand) time.Duration {
	b = b.withDefaults()
	wait := float64(b.Initial) * math.Pow(b.Factor, float64(max(failures, 1)-1))
	wait = min(wait, float64(b.Max))
	if chance != nil && b.Jitter > 0 {
		wait -= wait * b.Jitter * chance.Float64()
	}
	return time.Duration(wait)
}

func (b Backoff) withDefaults() Backoff {
	if b.Initial == 0 {
		b.Initial = 100 * time.Millisecond
	}
	if b.Factor == 0 {
		b.Factor = 2
	}
	if b.Max == 0 {
		b.Max = 30 * time.Second
	}
	if b.Jitter == 0 {
		b.Jitter = 0.2
	}
	b.Jitter = min(b.Jitter, 1)
	return b
}

// Validate returns an error that names the first field that can't be.
func (b Backoff) Validate() error {
	switch {
	case b.Initial < 0:
		return fmt.Errorf("trigger: Initial %v: want a positive duration, or 0 for 100ms", b.Initial)
	case b.Max < 0:
		return fmt.Errorf("trigger: Max %v: want a positive duration, or 0 for 30s", b.Max)
	case b.Factor != 0 && !(b.Factor >= 1):
		return fmt.Errorf("trigger: Factor %v: want at least 1, or 0 for 2", b.Factor)
	case !(b.Jitter <= 1):
		return fmt.Errorf("trigger: Jitter %v: want at most 1", b.Jitter)
	}
	return nil
}
