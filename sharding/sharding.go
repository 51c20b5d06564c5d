// Package sharding says what goes where: which partition a key belongs to,
// how files are cut into map inputs, which member owns a key, and which
// members get the next tasks of a run.
//
// It is pure: everything here is a function of its arguments, and no result
// depends on the order in which members are listed. Two nodes that agree on
// the members agree on every owner without talking to each other, whatever
// their architecture and whichever Go release built them: ownership is worked
// out in integers, because floating point rounds differently from one machine
// to the next.
//
// The package does not know who is alive; it is told. When a member is lost,
// asking again with those that are left moves what the lost one had and
// nothing else.
package sharding

import "math"

// Member is what placement knows of a node. Members are told apart by ID; a
// list of members holds each ID once.
type Member struct {
	// ID is the node's stable identity, Name what people call it.
	ID, Name string
	// Slots is how many attempts the member executes at a time. It is the
	// member's weight: one with twice the slots owns twice the keys. A member
	// without slots comes after all that have some.
	Slots int
	// Tags are free words that jobs may ask for.
	Tags []string
	// CPU is the number of cores.
	CPU int
	// Memory and Disk are what is free, in bytes.
	Memory, Disk int64
	// Load is how many tasks the member has, of all runs, as it last told.
	Load int
}

// weight is the member's share of the keys and of the work. It fits 32 bits,
// so that products with it fit 128.
func (m *Member) weight() uint64 {
	return uint64(min(max(m.Slots, 1), math.MaxInt32))
}
