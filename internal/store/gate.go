package store

import "sync"

// gate lets readers and writers in while the store is open, and lets one that
// must be alone wait until all of them have left.
type gate struct {
	mu     sync.Mutex
	free   sync.Cond // signals that inside or alone has changed
	inside int       // guarded by mu
	alone  bool      // guarded by mu
	closed bool      // guarded by mu
}

func newGate() *gate {
	g := &gate{}
	g.free.L = &g.mu
	return g
}

// enter reports whether the caller is let in, and must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.alone && !g.closed {
		g.free.Wait()
	}
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 {
		g.free.Broadcast()
	}
}

// exclude runs f while nobody is inside.
func (g *gate) exclude(f func() error) error {
	g.mu.Lock()
	for g.alone && !g.closed {
		g.free.Wait()
	}
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	g.alone = true
	for g.inside > 0 {
		g.free.Wait()
	}
	g.mu.Unlock()

	err := f()

	g.mu.Lock()
	g.alone = false
	g.free.Broadcast()
	g.mu.Unlock()
	return err
}

// close lets nobody in any more and returns when all have left. It reports
// whether it was the first to close.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	g.free.Broadcast()
	for g.inside > 0 || g.alone {
		g.free.Wait()
	}
	return first
}
