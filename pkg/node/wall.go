package node

import "time"

// The wall clock says when something was and when something is due. It may be
// set, and differ from those of other nodes; so whatever is measured, such as a
// lease, is measured by time.Now of the one who measures, and only what is
// told or compared with what was told is asked of the wall clock. There a
// node may have one of its own: that of its Network.

// walled is a Network that has a wall clock too.
type walled interface{ Now() time.Time }

// wall returns the time by this node's wall clock.
func (n *Node) wall() time.Time {
	if c, ok := n.cfg.Network.(walled); ok {
		return c.Now()
	}
	return time.Now()
}
