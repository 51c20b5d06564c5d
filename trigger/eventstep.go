package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"
)

// EventState is what the rules of an event trigger remember. The zero value is
// that of a trigger that has seen nothing. It is bounded: of each map the
// oldest entry goes when there are too many.
type EventState struct {
	// Seen is until when an event counts as one that was there before, by key.
	Seen map[string]time.Time `msgpack:"s,omitempty"`
	// Windows are the events that Throttle let by in the current period, by key.
	Windows map[string]EventWindow `msgpack:"w,omitempty"`
	// Waiting are events that wait for others, by key.
	Waiting map[string]EventGroup `msgpack:"g,omitempty"`
}

// EventWindow counts events since a moment.
type EventWindow struct {
	Since time.Time `msgpack:"t"`
	Count int       `msgpack:"n"`
}

// EventGroup is events that will make one run.
type EventGroup struct {
	// Seqs are the events of a batch; of a debounced group it is the last one.
	Seqs []uint64 `msgpack:"i"`
	// Count is how many events there were.
	Count int `msgpack:"n"`
	// First and Last are when the first and the last arrived.
	First time.Time `msgpack:"f"`
	Last  time.Time `msgpack:"l"`
}

// EventFire is a run that events make.
type EventFire struct {
	// Key is what the events have in common under Debounce. Else it is empty.
	Key string
	// Seqs are the events the run is given, by their Seq. Its identity is that
	// of the first.
	Seqs []uint64
	// Count is how many events it stands for.
	Count int
}

// Refused is why an event makes no run.
type Refused string

// The reasons why an event makes no run.
const (
	RefusedName      Refused = "name"      // it is another event
	RefusedFilter    Refused = "filter"    // the filter is not true of it, or fails
	RefusedDuplicate Refused = "duplicate" // it was there before
	RefusedThrottled Refused = "throttled" // there were too many in the period
)

// EventOutcome is what follows from an event, or from the passing of time.
type EventOutcome struct {
	// Fires are runs to be made.
	Fires []EventFire
	// Refused is why the event makes no run. Empty means that it does, now or
	// later.
	Refused Refused
	// Dropped are events that waited, by their Seq, and that no run is given
	// any more: another has taken their place.
	Dropped []uint64
	// Wake is when to call Step again, without an event. Zero means not at all.
	Wake time.Time
}

// The most entries of each map of an EventState.
const maxKeys = 10_000

// Step takes an event in, or with none looks at the time, and returns what
// follows. It changes s, and nothing else; a clock that is put back delays and
// repeats nothing. An error is that of an expression, and means that the event
// was refused.
func (e Event) Step(s *EventState, a *Arrival, now time.Time) (EventOutcome, error) {
	return e.StepWithin(s, a, now, math.MaxInt)
}

// StepWithin is Step for one who can make at most so many runs because of the
// time that has passed; Wake is not after now if there are more.
func (e Event) StepWithin(s *EventState, a *Arrival, now time.Time, most int) (out EventOutcome, err error) {
	if a != nil {
		if out.Refused, err = e.admit(s, a, now); out.Refused == "" {
			if err = e.gather(s, a, now, &out); err != nil {
				out.Refused = RefusedFilter
			}
		}
	}
	fires, wake := e.due(s, now, most-len(out.Fires))
	out.Fires, out.Wake = append(out.Fires, fires...), wake
	return out, err
}

// admit applies the filter, Dedupe and Throttle.
func (e Event) admit(s *EventState, a *Arrival, now time.Time) (Refused, error) {
	if a.Name != e.name {
		return RefusedName, nil
	}
	if e.where.text != "" {
		if ok, err := e.where.Match(*a); err != nil || !ok {
			return RefusedFilter, err
		}
	}
	if e.dedupe.period > 0 {
		key, err := e.dedupe.key.Key(*a)
		if err != nil {
			return RefusedFilter, err
		}
		key = short(key)
		if until, ok := s.Seen[key]; ok && now.Before(until) {
			return RefusedDuplicate, nil
		}
		s.Seen = keep(s.Seen, key, now.Add(e.dedupe.period), func(t time.Time) time.Time { return t }, now)
	}
	if e.throttle.period > 0 {
		key, err := e.throttle.key.Key(*a)
		if err != nil {
			return RefusedFilter, err
		}
		key = short(key)
		w := s.Windows[key]
		if w.Count == 0 || !now.Before(w.Since.Add(e.throttle.period)) {
			w = EventWindow{Since: now}
		}
		if w.Count >= e.throttle.n {
			return RefusedThrottled, nil
		}
		w.Count++
		s.Windows = keep(s.Windows, key, w, func(w EventWindow) time.Time { return w.Since.Add(e.throttle.period) }, now)
	}
	return "", nil
}

// keep puts an entry into a map that holds at most maxKeys. When it is full,
// what is over by now goes, and else what would be over first.
func keep[V any](m map[string]V, key string, v V, over func(V) time.Time, now time.Time) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	if _, there := m[key]; !there && len(m) >= maxKeys {
		first := ""
		for k, v := range m {
			if !over(v).After(now) {
				delete(m, k)
			} else if first == "" || over(v).Before(over(m[first])) || over(v).Equal(over(m[first])) && k < first {
				first = k
			}
		}
		if len(m) >= maxKeys {
			delete(m, first)
		}
	}
	m[key] = v
	return m
}

// gather fires at once, or puts the event with others that wait.
func (e Event) gather(s *EventState, a *Arrival, now time.Time, out *EventOutcome) error {
	key := ""
	switch {
	case e.debounce.period > 0:
		var err error
		if key, err = e.debounce.key.Key(*a); err != nil {
			return err
		}
		key = short(key)
	case e.batch.period == 0:
		out.Fires = append(out.Fires, EventFire{Seqs: []uint64{a.Seq}, Count: 1})
		return nil
	}
	if s.Waiting == nil {
		s.Waiting = map[string]EventGroup{}
	}
	g, there := s.Waiting[key]
	if !there {
		if g.First = now; len(s.Waiting) >= maxKeys { // rather early than lost
			out.Fires = append(out.Fires, s.fire(s.oldest()))
		}
	}
	g.Last = now
	g.Count++
	if e.debounce.period > 0 {
		out.Dropped = append(out.Dropped, g.Seqs...)
		g.Seqs = []uint64{a.Seq}
	} else {
		g.Seqs = append(g.Seqs, a.Seq)
	}
	s.Waiting[key] = g
	if e.batch.period > 0 && g.Count >= e.batch.n {
		out.Fires = append(out.Fires, s.fire(key))
	}
	return nil
}

// longKey is the length above which a key is remembered by its hash: what is
// remembered is written down with every step.
const longKey = 40

func short(key string) string {
	if len(key) <= longKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

func (s *EventState) oldest() (key string) {
	found := false
	for k, g := range s.Waiting {
		if old := s.Waiting[key]; !found || g.First.Before(old.First) || g.First.Equal(old.First) && k < key {
			key, found = k, true
		}
	}
	return key
}

// fire takes a group out.
func (s *EventState) fire(key string) EventFire {
	g := s.Waiting[key]
	delete(s.Waiting, key)
	return EventFire{Key: key, Seqs: g.Seqs, Count: g.Count}
}

// due fires the groups whose time has come, the oldest first and at most so
// many, and returns when the next one's comes.
func (e Event) due(s *EventState, now time.Time, most int) (fires []EventFire, wake time.Time) {
	for {
		var first string
		var at time.Time
		for key, g := range s.Waiting {
			end := g.First.Add(e.batch.period)
			if e.debounce.period > 0 {
				end = g.Last.Add(e.debounce.period)
				if most := g.First.Add(e.debounce.most); most.Before(end) {
					end = most
				}
			}
			if at.IsZero() || end.Before(at) || end.Equal(at) && key < first {
				first, at = key, end
			}
		}
		if at.IsZero() || at.After(now) || len(fires) >= most {
			return fires, at
		}
		fires = append(fires, s.fire(first))
	}
}

// String is the fire in short, for logs.
func (f EventFire) String() string { return fmt.Sprintf("%d events, %v", f.Count, f.Seqs) }
