package node

import (
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
)

// A bell wakes whoever waits for it, or is about to: one that was rung once or
// many times while nobody waited wakes the next one, once.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// whenDue does something over and over while the node leads: whenever a bell is
// rung, and when as much time is over as it returned. If that fails it is logged,
// and done again in a second.
func (l *leader) whenDue(do func() (next time.Duration, err error), what string, rung, orRung <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, err := do()
		if err != nil && l.ctx.Err() == nil {
			l.n.log.Error("what is due can't be done, and is tried again in a second", slog.String("what", what), telemetry.Err(err))
			next = time.Second
		}
		timer.Reset(next)
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		case <-rung:
		case <-orRung:
		}
	}
}
