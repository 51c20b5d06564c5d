package scheduler

// ring goes round some things again and again, which it finds on its first
// way round, as far as it gets.
type ring[T any] struct {
	find  func() (T, bool, error) // the next that was not found yet
	parts []T
	at    int // of the last
	whole bool
}

// next returns the next of them, or false if there are none.
func (r *ring[T]) next() (part T, ok bool, err error) {
	if !r.whole {
		if part, ok, err = r.find(); ok && err == nil {
			r.parts = append(r.parts, part)
			r.at = len(r.parts) - 1
			return part, true, nil
		}
		if err != nil {
			return part, false, err
		}
		r.whole, r.at = true, len(r.parts)-1
	}
	if len(r.parts) == 0 {
		return part, false, nil
	}
	r.at = (r.at + 1) % len(r.parts)
	return r.parts[r.at], true, nil
}

// remove takes out the last that next returned.
func (r *ring[T]) remove() {
	r.parts = append(r.parts[:r.at], r.parts[r.at+1:]...)
	r.at--
}

// walk finds the jobs of a priority, or the lines of a job: those behind where
// it begins, then those before.
type walk struct {
	backlog Backlog
	whole   Place // the beginning of what it goes round
	of      func(Place) Place
	past    func(Place) Place
	at      Place
	end     Place
	again   bool // it is at those before
	over    bool
}

// round returns a walk through the places of which of returns whole, from one of
// them on. What is behind one that was found, past says.
func round(b Backlog, whole, from Place, of, past func(Place) Place) *walk {
	return &walk{backlog: b, whole: whole, of: of, past: past, at: from, end: from}
}

func (w *walk) next() (Place, bool, error) {
	for !w.over {
		p, ok, err := w.backlog.Line(w.at)
		if err != nil {
			return p, false, err
		}
		in := ok && w.of(p) == w.whole
		switch {
		case in && !(w.again && p.Compare(w.end) >= 0):
			w.at = w.past(p)
			return p, true, nil
		case w.again || w.end == w.whole:
			w.over = true
		default:
			w.again, w.at = true, w.whole
		}
	}
	return Place{}, false, nil
}
