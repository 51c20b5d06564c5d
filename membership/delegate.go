package membership

import (
	"fmt"
	"log/slog"

	"github.com/hashicorp/memberlist"
)

// A delegate is what the gossip library calls. It calls while it holds its
// locks, so nothing here blocks, logs or calls back: changes go into the table
// and everything else into a queue for the keeper.
type delegate struct{ l *List }

func (d delegate) NodeMeta(int) []byte {
	d.l.mu.Lock()
	defer d.l.mu.Unlock()
	return d.l.meta
}

func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// NotifyAlive refuses what is no node of ours before it gets into the list.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	_, err := d.member(n)
	if err != nil {
		d.l.refuse(refusal{"it is no muster node, or of another release", err.Error() + " (from " + n.Address() + ")"})
	}
	return err
}

func (d delegate) NotifyJoin(n *memberlist.Node) {
	if m, err := d.member(n); err == nil {
		d.l.alive(m)
	}
}

func (d delegate) NotifyUpdate(n *memberlist.Node) { d.NotifyJoin(n) }

func (d delegate) NotifyLeave(n *memberlist.Node) {
	if id, incarnation, err := parseLife(n.Name); err == nil {
		d.l.dead(id, incarnation)
	}
}

// NotifyConflict hears that one life is said to be at two addresses. A life is
// at one only, so somebody lies or two nodes share even their start time.
func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	name, one, two := existing.Name, existing.Address(), other.Address()
	d.l.note(func() {
		d.l.log.Error("one node at two addresses, the first one stays",
			slog.String("member", name), slog.String("addr", one), slog.String("other_addr", two))
	})
}

// member reads what a node says about itself.
func (d delegate) member(n *memberlist.Node) (Member, error) {
	id, incarnation, err := parseLife(n.Name)
	if err != nil {
		return Member{}, err
	}
	m := Member{ID: id, Incarnation: incarnation, Addr: n.Address()}
	named, err := decodeMeta(n.Meta, &m)
	if err != nil {
		return Member{}, err
	}
	if named != "" {
		if _, _, err := hostPort(named); err != nil || d.l.names.alias(named) != m.Addr {
			return Member{}, fmt.Errorf("%w: the address %q is not where the node is", errMeta, clip(named))
		}
		m.Addr = named
	}
	return m, nil
}
