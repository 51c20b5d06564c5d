package side

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
)

// A ledger makes the payloads of tasks and sees that each task is executed
// once, with its payload as it was.
type ledger struct {
	pad  string // what follows the number
	done []atomic.Bool
	left atomic.Int64
	over chan struct{} // closed when none is left
}

// digits is how long the number of a task is in its payload.
const digits = 8

// newLedger is about n tasks with payloads of size bytes, or just a number if
// that is more. They are text, since some sides take nothing else, and random,
// so that nobody saves by compressing them.
func newLedger(n, size int) *ledger {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	rng, pad := rand.New(rand.NewPCG(1, 4)), make([]byte, max(size-digits, 0))
	for i := range pad {
		pad[i] = letters[rng.IntN(len(letters))]
	}
	l := &ledger{pad: string(pad), done: make([]atomic.Bool, n), over: make(chan struct{})}
	l.left.Store(int64(n))
	return l
}

// payload appends the payload of task i.
func (l *ledger) payload(dst []byte, i int) []byte {
	return append(fmt.Appendf(dst, "%0*d", digits, i), l.pad...)
}

// tick notes that a task is being executed, and returns its number.
func (l *ledger) tick(payload string) (int, error) {
	if len(payload) != digits+len(l.pad) || payload[digits:] != l.pad {
		return 0, fmt.Errorf("ledger: a payload of %d bytes that are not those of any task", len(payload))
	}
	i, err := strconv.Atoi(payload[:digits])
	if err != nil || i < 0 || i >= len(l.done) {
		return 0, fmt.Errorf("ledger: task number %q: want 0 to %d", payload[:digits], len(l.done)-1)
	}
	if l.done[i].Swap(true) {
		return 0, fmt.Errorf("ledger: task %d is executed a second time", i)
	}
	if l.left.Add(-1) == 0 {
		close(l.over)
	}
	return i, nil
}

// check returns an error unless each task was executed.
func (l *ledger) check() error {
	if n := l.left.Load(); n != 0 {
		return fmt.Errorf("ledger: %d of %d tasks were not executed", n, len(l.done))
	}
	return nil
}

// spread calls each with the numbers from 0 to n-1, callers at a time, until
// one fails.
func spread(ctx context.Context, n, callers int, each func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var calling sync.WaitGroup
	for range min(callers, n) {
		calling.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := each(ctx, i); err != nil {
					cancel(fmt.Errorf("task %d: %w", i, err))
				}
			}
		})
	}
	calling.Wait()
	return context.Cause(ctx)
}
