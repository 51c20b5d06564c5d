package node

import (
	"context"
	"sync"

	"github.com/musterhq/muster/pkg/job"
)

// locks are held by run: who asks for one that is held waits for it, and nobody
// else does. The zero value is ready.
type locks struct {
	mu   sync.Mutex
	held map[job.RunID]chan struct{} // closed when it is released; guarded by mu
}

// lock takes the lock of a run, and returns what releases it.
func (k *locks) lock(ctx context.Context, id job.RunID) (release func(), err error) {
	for {
		released, mine := k.try(id)
		if mine {
			return func() { k.release(id) }, nil
		}
		select {
		case <-released:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try takes the lock of a run if nobody has it, and says when it is released
// else.
func (k *locks) try(id job.RunID) (released <-chan struct{}, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ch := k.held[id]; ch != nil {
		return ch, false
	}
	if k.held == nil {
		k.held = map[job.RunID]chan struct{}{}
	}
	k.held[id] = make(chan struct{})
	return nil, true
}

func (k *locks) release(id job.RunID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.held[id])
	delete(k.held, id)
}
