package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/pkg/node"
)

// quorum looks at whether somebody leads, and how many voters may yet be lost.
func (f *findings) quorum(c *node.Cluster, err error) {
	if err != nil {
		f.add("quorum", failed, "start the servers that are missing; if their disks are gone for good see docs/OPERATING.md, When most servers are lost", "%v", err)
		return
	}
	there, leader := 0, c.Leader
	for _, v := range c.Voters {
		if v.InPool {
			there++
		}
		if v.ID == c.Leader {
			leader = v.Name
		}
	}
	spare := there - len(c.Voters)/2 - 1
	if len(c.Why) > 0 {
		f.add("quorum", warning, "start the servers that are missing, or others in their place", "%s leads, %d of %d voters are there, and %d more may be lost: %s", leader, there, len(c.Voters), max(spare, 0), strings.Join(c.Why, "; "))
		return
	}
	f.add("quorum", healthy, "", "%s leads, and %d of %d voters may be lost", leader, spare, len(c.Voters))
}

// servers looks at how many hold the state.
func (f *findings) servers(all []node.About) {
	var names []string
	for _, m := range all {
		if m.Has("server") {
			names = append(names, m.Name)
		}
	}
	switch n := len(names); n {
	case 0:
		f.add("servers", failed, "start the nodes that hold the state, with their data directories", "no member of the pool holds the state")
	case 1:
		f.add("servers", warning, "give three nodes --servers 3 to bear the loss of one", "%s alone holds the state: if its disk is lost, all is", names[0])
	case 2, 4:
		f.add("servers", warning, "have 3 or 5: an even number bears no more losses than one less", "%d hold the state: %s", n, strings.Join(names, ", "))
	default:
		f.add("servers", healthy, "", "%d hold the state: %s", n, strings.Join(names, ", "))
	}
}

// versions looks for members that run another version.
func (f *findings) versions(all []node.About) {
	by := map[string][]string{node.Version: nil} // names
	for _, m := range all {
		by[m.Version] = append(by[m.Version], m.Name)
	}
	if len(by) == 1 {
		f.add("versions", healthy, "", "all are of version %s, as this program is", node.Version)
		return
	}
	var texts []string
	for version, names := range by {
		if len(names) > 0 {
			texts = append(texts, fmt.Sprintf("%s: %s", version, strings.Join(names, ", ")))
		}
	}
	slices.Sort(texts)
	f.add("versions", warning, "upgrade the others, one after another; what is new is used once all servers know it", "this program is %s, members are %s", node.Version, strings.Join(texts, "; "))
}

// muchSkew is how far a clock may be from the leader's.
const muchSkew = time.Second

// clocks looks for members whose clocks are wrong.
func (f *findings) clocks(all []node.About) {
	var off []string
	most := time.Duration(0)
	for _, m := range all {
		most = max(most, m.Ahead.Abs())
		if m.Ahead.Abs() > muchSkew+m.Within {
			off = append(off, fmt.Sprintf("%s by %v", m.Name, m.Ahead.Round(time.Millisecond)))
		}
	}
	if len(off) == 0 {
		f.add("clocks", healthy, "", "none is more than %v from the leader's", most.Round(time.Millisecond))
		return
	}
	f.add("clocks", failed, "have all machines follow a time server: fires come early or late by that when another leads", "ahead of the leader's: %s", strings.Join(off, ", "))
}

// dialTimeout bounds how long a member is dialled.
const dialTimeout = 2 * time.Second

// reached dials each member where it says it is reached.
func (f *findings) reached(ctx context.Context, all []node.About) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var not []string // guarded by mu
	for _, m := range all {
		wg.Go(func() {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", m.RPC)
			if err == nil {
				_ = c.Close()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			not = append(not, fmt.Sprintf("%s at %s: %v", m.Name, m.RPC, err))
		})
	}
	wg.Wait()
	if len(not) == 0 {
		f.add("addresses", healthy, "", "all members answer where they say they are")
		return
	}
	slices.Sort(not)
	f.add("addresses", failed, "open the port of --rpc between all nodes, or have the node say with --advertise where it is reached", "from here these are not reached: %s", strings.Join(not, "; "))
}

const (
	// leastDisk is below what any server refuses new work, tightDisk what may be
	// soon.
	leastDisk = 1 << 30
	tightDisk = 4 << 30
)

// disks looks for members whose disks are nearly full.
func (f *findings) disks(all []node.About) {
	var full, tight []string
	for _, m := range all {
		text := fmt.Sprintf("%s has %s", m.Name, bytesText(uint64(max(m.Disk, 0))))
		switch {
		case m.Disk == 0: // it can't tell
		case m.Disk < leastDisk:
			full = append(full, text)
		case m.Disk < tightDisk:
			tight = append(tight, text)
		}
	}
	const remedy = "free space where the data directory is: a server refuses new runs with less than 5 % or 1 GiB, whichever is more"
	switch {
	case len(full) > 0:
		f.add("disks", failed, remedy, "%s free", strings.Join(append(full, tight...), ", "))
	case len(tight) > 0:
		f.add("disks", warning, remedy, "%s free", strings.Join(tight, ", "))
	default:
		f.add("disks", healthy, "", "all members have room")
	}
}

// bytesText returns a number of bytes for people.
func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, prefix := float64(n)/unit, 0
	for ; size >= unit && prefix < 4; prefix++ {
		size /= unit
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTP"[prefix])
}
