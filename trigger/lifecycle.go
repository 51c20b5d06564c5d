package trigger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lifecycle is due when something happens to a node: mode 12.
type Lifecycle struct {
	on       Happening
	scope    Scope
	debounce time.Duration
}

// Happening is what happens to a node.
type Happening string

// What may happen to a node, and to the cluster.
const (
	NodeStarts  Happening = "start"  // the process has begun
	NodeJoins   Happening = "join"   // the others see it
	NodeLeaves  Happening = "leave"  // the others see it no more
	NodeLeads   Happening = "leader" // it has become the leader
	ClusterForm Happening = "form"   // the first leader of a new cluster
)

// opposites undo what waits for its debounce.
var opposites = map[Happening]Happening{NodeJoins: NodeLeaves, NodeLeaves: NodeJoins}

// Scope is how often a happening fires.
type Scope string

// The scopes.
const (
	// ScopeEach fires each time, for the node it happens to.
	ScopeEach Scope = "each"
	// ScopeIncarnation fires once for each life of a node.
	ScopeIncarnation Scope = "incarnation"
	// ScopeCluster fires once in the life of the cluster.
	ScopeCluster Scope = "cluster"
)

// Scope is how often a happening fires.
func (l Lifecycle) Scope() Scope { return l.scope }

// Mode returns ModeLifecycle.
func (Lifecycle) Mode() Mode { return ModeLifecycle }

// Next returns false: nobody knows what happens next.
func (Lifecycle) Next(time.Time) (Fire, bool) { return Fire{}, false }

// String is as in "lifecycle join each debounce 30s".
func (l Lifecycle) String() string {
	text := "lifecycle " + string(l.on) + " " + string(l.scope)
	if l.debounce > 0 {
		text += " debounce " + span(l.debounce)
	}
	return text
}

// Validate returns what can't be.
func (l Lifecycle) Validate() error {
	switch l.on {
	case NodeStarts, NodeJoins, NodeLeaves, NodeLeads, ClusterForm:
	default:
		return fmt.Errorf("trigger: lifecycle %q: want start, join, leave, leader or form", l.on)
	}
	switch l.scope {
	case ScopeEach, ScopeIncarnation, ScopeCluster:
	default:
		return fmt.Errorf("trigger: lifecycle %s %q: want each, incarnation or cluster", l.on, l.scope)
	}
	if l.debounce < 0 || l.debounce > 24*time.Hour {
		return fmt.Errorf("trigger: lifecycle debounce %s: want at most 24h", span(l.debounce))
	}
	return nil
}

func parseLifecycle(text string) (Trigger, error) {
	w := words(strings.ToLower(text))
	l := Lifecycle{on: Happening(w.next()), scope: ScopeEach}
	if len(w.rest) > 0 && w.rest[0] != "debounce" {
		l.scope = Scope(w.next())
	}
	if w.accept("debounce") {
		var err error
		if l.debounce, err = parseSpan(w.next()); err != nil {
			return nil, fmt.Errorf("trigger: lifecycle debounce %w", err)
		}
	}
	if err := w.end(); err != nil {
		return nil, fmt.Errorf("trigger: lifecycle: %w", err)
	}
	return l, l.Validate()
}

// Happened is something that has happened to a node.
type Happened struct {
	What Happening
	// Node is the node's ID, Called its name, and Incarnation which of its
	// lives it is in.
	Node, Called string
	Incarnation  uint64
}

// LifecycleState is what a lifecycle trigger remembers, of at most 10,000
// nodes. The zero value is that of one that has seen nothing.
type LifecycleState struct {
	// Fired is whether it has fired at all.
	Fired bool `msgpack:"f,omitempty"`
	// Lives is the last incarnation of each node that fired, plus one.
	Lives map[string]uint64 `msgpack:"l,omitempty"`
	// Waiting is when the fire of a node is due, unless the opposite happens
	// before.
	Waiting map[string]LifecycleWait `msgpack:"w,omitempty"`
}

// LifecycleWait is a fire that waits for its debounce.
type LifecycleWait struct {
	Called      string    `msgpack:"n,omitempty"`
	Incarnation uint64    `msgpack:"i"`
	Due         time.Time `msgpack:"d"`
}

// Step takes in what has happened, or with nil looks at the time, and returns
// for which nodes there is to be a run, and when to call it again without a
// happening; zero means not at all. It changes s and nothing else.
func (l Lifecycle) Step(s *LifecycleState, h *Happened, now time.Time) (fires []Happened, wake time.Time) {
	if h != nil {
		switch {
		case h.What == opposites[l.on]:
			delete(s.Waiting, h.Node)
		case h.What != l.on || l.settled(s, h.Node, h.Incarnation):
		case l.debounce == 0 || len(s.Waiting) >= maxKeys: // rather early than lost
			fires = l.fire(s, fires, *h)
		default:
			if s.Waiting == nil {
				s.Waiting = map[string]LifecycleWait{}
			}
			s.Waiting[h.Node] = LifecycleWait{h.Called, h.Incarnation, now.Add(l.debounce)}
		}
	}
	var due []string
	for node, w := range s.Waiting {
		if !w.Due.After(now) {
			due = append(due, node)
		} else if wake.IsZero() || w.Due.Before(wake) {
			wake = w.Due
		}
	}
	slices.Sort(due)
	for _, node := range due {
		w := s.Waiting[node]
		delete(s.Waiting, node)
		if !l.settled(s, node, w.Incarnation) {
			fires = l.fire(s, fires, Happened{What: l.on, Node: node, Called: w.Called, Incarnation: w.Incarnation})
		}
	}
	return fires, wake
}

// settled returns whether the scope has no fire left for a life of a node.
func (l Lifecycle) settled(s *LifecycleState, node string, incarnation uint64) bool {
	switch l.scope {
	case ScopeCluster:
		return s.Fired
	case ScopeIncarnation:
		return incarnation < s.Lives[node]
	}
	return false
}

func (l Lifecycle) fire(s *LifecycleState, fires []Happened, h Happened) []Happened {
	s.Fired = true
	if l.scope == ScopeIncarnation {
		if s.Lives == nil {
			s.Lives = map[string]uint64{}
		}
		if _, there := s.Lives[h.Node]; there || len(s.Lives) < maxKeys {
			s.Lives[h.Node] = h.Incarnation + 1
		}
	}
	return append(fires, h)
}
