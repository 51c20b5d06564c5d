package node

import "time"

const (
	// manyDue is from how many runs on that have not been executed there is a rush,
	// and fewDue how many end it: their reports may be what waits for an answer.
	manyDue = 16 << 10
	fewDue  = 2 * maxTogether
	// rushWithin is how long one lasts at most, rushPause how long nothing is reported
	// until it is over, and rushBytes how much is to be recorded by then.
	rushWithin = time.Second
	rushPause  = 50 * time.Millisecond
	rushBytes  = bundledBytes / 2
)

// rush is a time in which very many runs are due that have not been executed yet.
// It is them that are late, so that the record of those that have been waits. Who
// reports them waits with it, which a worker does for bundledBytes at most.
type rush struct {
	until time.Time
	pause *time.Timer
	over  bool
}

// rushLocked reports whether there is a rush.
func (c *crowd) rushLocked() bool {
	due, quick := c.m.standby.coming(), false
	for _, queue := range c.waiting {
		due += len(queue)
	}
	for _, p := range c.places {
		due += p.out
		quick = quick || p.window >= fewDue
	}
	switch {
	case c.rush != nil && (due < fewDue || c.rush.over && len(c.ended) == 0):
		c.rush.pause.Stop()
		c.rush = nil
	case due >= manyDue && quick && c.rush == nil: // where tasks take longer a record is not what they wait for
		now := &rush{until: time.Now().Add(rushWithin)}
		now.pause = time.AfterFunc(rushPause, func() {
			c.with(func() {
				now.over = true
				c.recordLocked()
			})
		})
		c.rush = now
	}
	return c.rush != nil && !c.rush.over && c.endedBytes < rushBytes
}

// goOn notes that something was reported.
func (r *rush) goOn() {
	if r != nil && !r.over {
		r.pause.Reset(min(rushPause, time.Until(r.until)))
	}
}
