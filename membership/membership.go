// Package membership says who is here: the gossip pool of the nodes of one
// cluster.
//
// Every node spreads what it is (name, roles, slots, the address of its
// transport) by gossip, watches the others, and tells those who Watch when one
// joins, changes or leaves. Views of different nodes agree in the end, not at
// every moment; a member that died is noticed within seconds, and now and then
// one is taken for dead that was only slow. So gossip hints and never decides:
// what a departure means for a run is the master's business, who leads is the
// replicated state's, and authority comes from the transport, since anybody
// who holds the gossip key can speak for anybody.
//
// What holds when things fail: a node that returns, with whatever address, is
// told from its former life by its Incarnation and is back at once; nodes that
// a partition parted find each other again however long it lasted, because
// every node keeps dialling its seeds and the members it last knew; what comes
// from other clusters, or speaks another version of the protocol, is refused
// and leaves no trace but a line in the log.
package membership

import (
	"context"
	"net"
	"slices"
)

// A Member is what the cluster knows of one node. The slices of a Member that
// this package hands out are shared and must not be modified.
type Member struct {
	// ID tells the node from all others and stays the same when it restarts
	// or moves to another address. See Identity.
	ID string
	// Name is for people and need not be unique.
	Name string
	// Addr is the host:port of the node's gossip, as others dial it.
	Addr string
	// RPC is the host:port of the node's transport. Where it listens on all
	// addresses, the host is that of Addr.
	RPC string
	// Roles say what the node is for, as in "server" or "worker".
	Roles []string
	// Tags are words by which placement chooses nodes.
	Tags []string
	// Slots is how many attempts the node executes at a time.
	Slots int
	// Version is the release of the software that the node runs.
	Version string
	// Incarnation differs between two lives of one ID and is higher in the
	// later one, so that a restarted node is told from the one before.
	Incarnation uint64
}

// Has reports whether role is one of m's roles.
func (m Member) Has(role string) bool { return slices.Contains(m.Roles, role) }

// same reports whether nothing of m and o differs.
func (m Member) same(o Member) bool {
	return m.ID == o.ID && m.Incarnation == o.Incarnation && m.Addr == o.Addr &&
		m.Name == o.Name && m.RPC == o.RPC && m.Slots == o.Slots && m.Version == o.Version &&
		slices.Equal(m.Roles, o.Roles) && slices.Equal(m.Tags, o.Tags)
}

// clone returns m with slices of its own.
func (m Member) clone() Member {
	m.Roles, m.Tags = slices.Clone(m.Roles), slices.Clone(m.Tags)
	return m
}

// EventKind says what an Event is about.
type EventKind int

// The kinds of events.
const (
	// Joined says that a member is there that was not before.
	Joined EventKind = iota + 1
	// Left says that a member is gone: it said goodbye, it was found dead, or
	// another life of the same ID took its place.
	Left
	// Changed says that a member told something new about itself.
	Changed
)

// String returns the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Left:
		return "left"
	case Changed:
		return "changed"
	}
	return "unknown"
}

// An Event is one change of the list.
type Event struct {
	// Kind says what happened.
	Kind EventKind
	// Member is the member as it is now or, if it Left, as it was last known.
	Member Member
}

// A Network is where a List listens and dials: the machine's, or a simulated
// one in tests. Addresses are host:port; a host need not be an IP address, if
// the network knows it by name.
type Network interface {
	// Listen listens for streams at addr. Port 0 picks a free one.
	Listen(addr string) (net.Listener, error)
	// Dial opens a stream to addr.
	Dial(ctx context.Context, addr string) (net.Conn, error)
	// ListenPacket listens for packets at addr.
	ListenPacket(addr string) (net.PacketConn, error)
}
