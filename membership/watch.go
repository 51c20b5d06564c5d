package membership

import "sync"

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

// news is what a reader must learn about one ID.
type news struct {
	left bool    // a life has ended since
	now  *Member // nil if nobody lives under the ID
}

// tellLocked adds e to what the reader must learn. It never blocks.
func (w *watcher) tellLocked(e Event) {
	n, waiting := w.pending[e.Member.ID]
	if !waiting {
		w.order = append(w.order, e.Member.ID)
	}
	if e.Kind == Left {
		n = news{left: true}
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
// never misses that a life ended: Left comes before the next Joined of that
// ID. The reader must call stop when it has had enough. The channel is closed
// after stop, and when the list is closed.
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
		if known && n.left {
			if !send(Left, old) {
				return
			}
			delete(told, id)
			known = false
		}
		switch {
		case n.now == nil: // came and went unseen
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
