package node

import "testing"

// TestANodeThatWasGivenUpIsToldOnce renews the lease of lives that the leader
// has given up, of those it has not, and of a node of which it never heard.
func TestANodeThatWasGivenUpIsToldOnce(t *testing.T) {
	l := newLeases()
	l.renew("a", 7)
	l.giveUp("a", 7)
	l.renew("b", 7)
	l.giveUp("b", 7)
	l.giveUp("c", anyLife)
	for _, c := range []struct {
		node   string
		life   uint64
		fenced bool
	}{
		{"a", 7, true},
		{"a", 7, false}, // it knows
		{"b", 8, false}, // it was started again and has nothing from before
		{"c", 3, true},
		{"c", 3, false},
		{"d", 1, false},
	} {
		if got := l.renew(c.node, c.life); got != c.fenced {
			t.Errorf("node %s in life %d: fenced is %v, want %v", c.node, c.life, got, c.fenced)
		}
	}
}
