package node

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Gossip finds a node that hangs or is cut off within two to four seconds. The
// nodes that this one's work depends on it looks at more closely: those that
// work for the runs it conducts and, if it leads, the masters of runs. One of
// these that has said nothing for a while is asked. Others are left alone, so
// that an idle cluster is idle.

const (
	// attendEvery is how often this node looks who has said nothing.
	attendEvery = 250 * time.Millisecond
	// silence is after how long without a word somebody is asked. Nodes let
	// their leader hear of them as often.
	silence = renewEvery
)

// attend asks those that this node depends on and has not heard of.
func (n *Node) attend() {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range n.relied() {
			// Without a session nobody knows: a leader that is new has none with
			// the masters that it took over.
			switch quiet, ok := n.transport.Silent(id); {
			case ok && quiet > 3*silence:
				n.peers.doubt(id, curt)
			case !ok || quiet > silence:
				n.peers.doubt(id, patient)
			}
		}
	}
}

// relied returns the members that this node depends on.
func (n *Node) relied() []string {
	ids := n.masters.works.list()
	if n.server != nil {
		if l, err := n.server.lead(); err == nil {
			ids = append(ids, l.mastersAt()...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// works is who works for the runs that this node conducts.
type works struct {
	mu   sync.Mutex
	runs map[string]int // by member; guarded by mu
}

func newWorks() *works { return &works{runs: map[string]int{}} }

// begin notes that a member works for one more run, and end that it does for
// one less.
func (w *works) begin(member string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs[member]++
}

func (w *works) end(member string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs[member]--; w.runs[member] < 1 {
		delete(w.runs, member)
	}
}

func (w *works) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.runs))
}
