package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
)

// ErrNoNode says that there is no member of the pool by the name that was given,
// or more than one.
var ErrNoNode error = &coded{"no-node", "node: no such member"}

// Drain makes the node called name, or with that ID, take no more work: it
// hands the runs that it conducts and its leadership to others, lets the
// attempts that it executes come to their end, and gives back the tasks that
// wait. It stays a member, and a voter if it is one, until it is stopped.
// Drain returns when nothing is executed on it any more, or when ctx ends; the
// draining goes on then. It lasts until Undrain, or until the node is started
// again.
func (n *Node) Drain(ctx context.Context, name string) error {
	return n.askDrain(ctx, "drain", name, wire.Drain{})
}

// Undrain makes a node take work again.
func (n *Node) Undrain(ctx context.Context, name string) error {
	return n.askDrain(ctx, "undrain", name, wire.Drain{Off: true})
}

func (n *Node) askDrain(ctx context.Context, what, name string, d wire.Drain) error {
	id, err := n.memberCalled(name)
	if err != nil {
		return err
	}
	if _, err = call[wire.Nothing](ctx, n, id, wire.MethodDrain, d); err != nil {
		return fmt.Errorf("node: %s %s: %w", what, name, plain(err))
	}
	return nil
}

// memberCalled returns the ID of the member with a name or an ID.
func (n *Node) memberCalled(name string) (id string, err error) {
	for _, m := range n.Members() {
		switch {
		case m.ID == name:
			return m.ID, nil
		case len(m.Roles) == 0: // it has no work, and may be named after the same host
		case m.Name == name && id != "":
			return "", fmt.Errorf("%w: two are called %q: give the ID of the one that is meant, %s or %s", ErrNoNode, name, id, m.ID)
		case m.Name == name:
			id = m.ID
		}
	}
	if id == "" {
		return "", fmt.Errorf("%w: no member of the pool is called %q: see Members for those there are", ErrNoNode, name)
	}
	return id, nil
}

// nameOf returns the name of a member for people, or its ID if it is not known.
func (n *Node) nameOf(id string) string {
	if m, ok := n.members.Member(id); ok && m.Name != "" {
		return m.Name
	}
	return n.peers.nameOf(id)
}

// serveDrain answers those who want this node to work less.
func (n *Node) serveDrain() {
	handle(n, wire.MethodDrain, func(ctx context.Context, from string, d wire.Drain) (none wire.Nothing, err error) {
		if d.Off {
			n.worker.Resume()
			err = n.setDraining(false)
		} else {
			err = n.giveUpWork(ctx)
		}
		n.witness(from, wire.MethodDrain, d, err)
		return none, err
	})
}

// giveUpWork hands over what can be handed over and waits for the rest.
func (n *Node) giveUpWork(ctx context.Context) error {
	if err := n.setDraining(true); err != nil {
		return err
	}
	if n.masters.handOver() {
		n.masters.wait(ctx) // they write, which nobody can while leadership is handed over
	}
	n.abdicate(ctx)
	err := n.worker.Rest(ctx)
	n.masters.wait(ctx)
	return err
}

// setDraining tells the pool whether the node takes work.
func (n *Node) setDraining(on bool) error {
	n.mu.Lock()
	changed := n.draining != on
	n.draining = on
	n.mu.Unlock()
	if !changed {
		return nil
	}
	n.log.Info("what this node does for the pool has changed", slog.Bool("draining", on))
	return n.members.Update(func(m *membership.Member) {
		m.Roles = slices.DeleteFunc(m.Roles, func(r string) bool { return r == roleDraining })
		if on {
			m.Roles = append(m.Roles, roleDraining)
		}
	})
}

// isDraining reports whether the node takes no more work.
func (n *Node) isDraining() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.draining || n.stopping
}

// othersWork reports whether there is another member that can take over.
func (n *Node) othersWork() bool {
	for _, p := range n.peers.list() {
		if p.member.ID != n.id && p.member.Has(roleWorker) && !p.member.Has(roleDraining) {
			return true
		}
	}
	return false
}
