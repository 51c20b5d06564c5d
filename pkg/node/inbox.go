package node

import "sync"

// inbox is what waits to be done by one goroutine. It never makes who puts
// something in wait; what must not pile up waits for its answer.
type inbox struct {
	ready bell // rung if there is something

	mu     sync.Mutex
	funcs  []func() // guarded by mu
	closed bool     // guarded by mu
}

func newInbox() *inbox { return &inbox{ready: newBell()} }

// put adds f and reports whether somebody will come for it.
func (in *inbox) put(f func()) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	in.funcs = append(in.funcs, f)
	in.ready.ring()
	return true
}

// take returns what is there and leaves nothing.
func (in *inbox) take() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	fs := in.funcs
	in.funcs = nil
	return fs
}

// close makes put refuse.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
}
