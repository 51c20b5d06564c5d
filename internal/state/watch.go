package state

import (
	"sync"

	"github.com/musterhq/muster/pkg/job"
)

// hub tells those who watch a run of its changes.
type hub struct {
	mu       sync.Mutex
	watching map[job.RunID]map[*watcher]bool // guarded by mu
	closed   bool                            // guarded by mu
}

// A watcher is one who watches. Its channel holds the latest value that was
// not received yet.
type watcher struct {
	mu   sync.Mutex
	ch   chan job.Run // closed by end
	seen bool         // guarded by mu
	over bool         // guarded by mu
}

func newHub() *hub { return &hub{watching: map[job.RunID]map[*watcher]bool{}} }

// watch returns a watcher of id, which is over already if the hub is closed.
func (h *hub) watch(id job.RunID) *watcher {
	w := &watcher{ch: make(chan job.Run, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		w.end()
		return w
	}
	if h.watching[id] == nil {
		h.watching[id] = map[*watcher]bool{}
	}
	h.watching[id][w] = true
	return w
}

func (h *hub) leave(id job.RunID, w *watcher) {
	h.mu.Lock()
	delete(h.watching[id], w)
	if len(h.watching[id]) == 0 {
		delete(h.watching, id)
	}
	h.mu.Unlock()
	w.end()
}

// publish offers the run that load returns to all who watch id.
func (h *hub) publish(id job.RunID, load func() (job.Run, error)) error {
	h.mu.Lock()
	ws := make([]*watcher, 0, len(h.watching[id]))
	for w := range h.watching[id] {
		ws = append(ws, w)
	}
	h.mu.Unlock()
	if len(ws) == 0 {
		return nil
	}
	run, err := load()
	if err != nil {
		return err
	}
	for _, w := range ws {
		w.offer(run, true)
	}
	return nil
}

// watched returns the runs that somebody watches.
func (h *hub) watched() []job.RunID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]job.RunID, 0, len(h.watching))
	for id := range h.watching {
		ids = append(ids, id)
	}
	return ids
}

func (h *hub) close() {
	h.mu.Lock()
	all := h.watching
	h.watching, h.closed = nil, true
	h.mu.Unlock()
	for _, ws := range all {
		for w := range ws {
			w.end()
		}
	}
}

// offer replaces what was not received yet. What is not a change, but how
// things were at the beginning, gives way to any change.
func (w *watcher) offer(run job.Run, change bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.seen && !change {
		return
	}
	w.seen = true
	select { // neither blocks: only those who hold mu send
	case <-w.ch:
	default:
	}
	w.ch <- run
}

func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.over = true
		close(w.ch)
	}
}
