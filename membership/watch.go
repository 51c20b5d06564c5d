package membership

import (
	"slices"
	"sync"
)

// A watcher remembers, per member, what one reader has not been told yet. It
// grows with the number of members and not with the number of events, so a
// slow reader holds up nobody.
type watcher struct {
	pending map[string]news // guarded by List.mu
	order   []string        // the keys of pending, first come first; guarded by List.mu
	wake    chan struct{}   // holds a token when pending is not empty
	done    chan struct{}   // closed when the reader has had enough
	stop    func()
}

// maxEnded bounds how many ended lives of one ID wait for a slow reader.
const maxEnded = 8

// news is what a reader must learn about one ID.
type news struct {
	ended []Member // lives that are over, as last known, in order
	now   *Member  // nil if nobody lives under the ID
}

// tellLocked adds e to what the reader must learn. It never blocks.
func (w *watcher) tellLocked(e Event) {
	n, waiting := w.pending[e.Member.ID]
	if !waiting {
		w.order = append(w.order, e.Member.ID)
	}
	if e.Kind == Left {
		n.now = nil
		n.ended = slices.DeleteFunc(n.ended, func(m Member) bool { return m.Incarnation == e.Member.Incarnation })
		n.ended = append(n.ended[max(0, len(n.ended)-maxEnded+1):], e.Member)
	} else {
		n.now = &e.Member
	}
	w.pending[e.Member.ID] = n
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Watch returns a channel of changes. First come the present members, this
// node included, as Joined, then every change in order. If the reader is slow
// it learns the latest state of each member and not every one in between, but
// it learns of every life that Members has shown since, that it began and that
// it ended, and Left comes before the next Joined of an ID; only a node that
// was restarted more than eight times in between tells of the last eight. The
// reader must call stop when it has had enough. The channel is closed after
// stop, and when the list is closed.
func (l *List) Watch() (events <-chan Event, stop func()) {
	w := &watcher{
		pending: map[string]news{},
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	out := make(chan Event)
	gone := make(chan struct{})
	w.stop = sync.OnceFunc(func() {
		close(w.done)
		<-gone
		l.mu.Lock()
		delete(l.watchers, w)
		l.mu.Unlock()
	})

	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.table.members() {
		w.tellLocked(Event{Joined, m})
	}
	l.watchers[w] = struct{}{}
	if l.ctx.Err() != nil {
		// Closed: there is nobody left to wait for the goroutine.
		delete(l.watchers, w)
		close(out)
		close(gone)
		return out, w.stop
	}
	l.wg.Go(func() {
		defer close(gone)
		defer close(out)
		l.feed(w, out)
	})
	return out, w.stop
}

// feed tells w's reader until it or the list is done.
func (l *List) feed(w *watcher, out chan<- Event) {
	told := map[string]Member{}
	send := func(k EventKind, m Member) bool {
		select {
		case out <- Event{k, m}:
			return true
		case <-w.done:
		case <-l.ctx.Done():
		}
		return false
	}
	for {
		id, n, ok := l.next(w)
		if !ok {
			select {
			case <-w.wake:
				continue
			case <-w.done:
			case <-l.ctx.Done():
			}
			return
		}
		old, known := told[id]
		if known && len(n.ended) > 0 {
			// The life that the reader knows is among the ended ones.
			if !send(Left, old) {
				return
			}
			delete(told, id)
		}
		for _, m := range n.ended {
			if known && m.Incarnation == old.Incarnation {
				continue
			}
			if !send(Joined, m) || !send(Left, m) {
				return
			}
		}
		known = known && len(n.ended) == 0
		switch {
		case n.now == nil:
			continue
		case known && old.same(*n.now):
			continue
		case known:
			ok = send(Changed, *n.now)
		default:
			ok = send(Joined, *n.now)
		}
		if !ok {
			return
		}
		told[id] = *n.now
	}
}

// next takes what w's reader must learn first.
func (l *List) next(w *watcher) (id string, n news, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(w.order) == 0 {
		w.order = nil // lets go of the array that the taken ones were in
		return "", news{}, false
	}
	id = w.order[0]
	w.order = w.order[1:]
	n = w.pending[id]
	delete(w.pending, id)
	return id, n, true
}
