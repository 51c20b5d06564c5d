package state

import (
	"slices"
	"sync"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// hub tells those who watch a run of its changes.
type hub struct {
	feed feed // of all that changes

	mu       sync.Mutex
	watching map[job.RunID]map[*watcher]bool // guarded by mu
	ends     map[job.RunID][]*Ends           // who waits for the end of each; guarded by mu
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

func newHub() *hub {
	return &hub{watching: map[job.RunID]map[*watcher]bool{}, ends: map[job.RunID][]*Ends{}}
}

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

// await has e told when a run has ended.
func (h *hub) await(id job.RunID, e *Ends) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.ends[id] = append(h.ends[id], e)
	}
}

func (h *hub) forget(id job.RunID, e *Ends) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.DeleteFunc(h.ends[id], func(o *Ends) bool { return o == e })
	if h.ends[id] = all; len(all) == 0 {
		delete(h.ends, id)
	}
}

// publish offers the run that load returns to all who watch id, and tells those
// who wait for its end if it has ended, as st says.
func (h *hub) publish(id job.RunID, st *wire.RunStatus, load func() (job.Run, error)) error {
	h.mu.Lock()
	if st.State.Done() {
		h.tellLocked(plainEnd(id, st))
	}
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

// watchedIn returns the runs of a lot that somebody watches.
func (h *hub) watchedIn(lot job.RunID) (ids []job.RunID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.watching {
		if in, _, ok := lotOf(id); ok && in == lot {
			ids = append(ids, id)
		}
	}
	return ids
}

// isIdle reports whether nobody watches any run, or waits for its end.
func (h *hub) isIdle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watching)+len(h.ends) == 0
}

// tell tells those who wait for the end of a run, and reports whether somebody
// watches it beside.
func (h *hub) tell(end End) (watched bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tellLocked(end)
	return len(h.watching[end.ID]) > 0
}

func (h *hub) tellLocked(end End) {
	if all, ok := h.ends[end.ID]; ok {
		for _, e := range all {
			e.tell(end)
		}
		delete(h.ends, end.ID)
	}
}

// watched returns the runs that somebody watches.
func (h *hub) watched() []job.RunID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]job.RunID, 0, len(h.watching)+len(h.ends))
	for id := range h.watching {
		ids = append(ids, id)
	}
	for id := range h.ends {
		if h.watching[id] == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (h *hub) close() {
	h.mu.Lock()
	all := h.watching
	h.watching, h.ends, h.closed = nil, nil, true
	h.mu.Unlock()
	h.feed.close()
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
