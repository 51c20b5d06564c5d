package membership

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config says who a node is and where it meets the others. The zero value is a
// node alone on a free loopback port, with an ID made up for this life.
type Config struct {
	// Self is what the others learn about this node. ID must be a name of at
	// most 64 visible ASCII characters without "/". Empty means the one kept
	// in Dir, or without Dir one that is made up. Addr and Incarnation are
	// filled in by Start, and the host of an RPC on all addresses.
	Self Member
	// Cluster names the cluster. Nodes of clusters with different names never
	// meet, even if they dial each other by mistake. At most 200 bytes.
	Cluster string
	// Bind is the host:port where gossip is received, packets and streams on
	// the same port. Port 0 or -1 picks a free one. Empty means "127.0.0.1:0".
	Bind string
	// Advertise is the host or host:port that others dial, if that is not
	// where this node binds, as behind a port mapping. Empty means the bound
	// address; if that is all interfaces, the machine's private address.
	Advertise string
	// Seeds are gossip addresses of nodes that may already be in the cluster.
	// One that answers is enough. This node's own address may be among them,
	// so that all nodes can be given the same list; such a node may start
	// before any of the others.
	Seeds []string
	// Lonely lets Start succeed although no seed answered; the node then keeps
	// trying in the background.
	Lonely bool
	// Keys encrypt gossip: 16, 24 or 32 bytes each. All decrypt, the first
	// encrypts, so keys can be rotated. None means that anybody who reaches
	// the port can read, join and lie.
	Keys [][]byte
	// Dir is a directory in which the last known members and the number of
	// this life are kept, so that a node finds back to its cluster although
	// its seeds are gone. Empty means nowhere.
	Dir string
	// Network is where to listen and dial. Nil means the machine's.
	Network Network
	// Logger is told who joins, leaves and is refused. Nil means
	// slog.Default().
	Logger *slog.Logger

	// ProbeInterval is the time between two probes of some member; all other
	// periods of gossip but GossipInterval grow with it. Smaller finds the
	// dead faster and accuses the slow sooner. Zero means 500 ms.
	ProbeInterval time.Duration
	// ProbeTimeout is how long a probe waits for the direct answer before it
	// asks others to try. Zero means 200 ms, or a third of ProbeInterval if
	// that is less.
	ProbeTimeout time.Duration
	// GossipInterval is the time between two rounds of gossip. Zero means
	// 100 ms.
	GossipInterval time.Duration
	// SuspicionMult is how many probe intervals a suspect has to object before
	// it counts as dead, more in large clusters. Zero means 3.
	SuspicionMult int
	// RejoinInterval is how often, give or take a quarter, seeds and last
	// known members that are not here are dialled: at first 32 times as often,
	// then, while they do not answer, ever more rarely, down to a sixth. Zero
	// means 10 s.
	RejoinInterval time.Duration
}

const (
	maxCluster = 200
	maxSeeds   = 256
)

// withDefaults returns c with every zero that has a meaning replaced by it.
func (c Config) withDefaults() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.ProbeInterval, 500*time.Millisecond)
	or(&c.ProbeTimeout, min(200*time.Millisecond, c.ProbeInterval/3))
	or(&c.GossipInterval, 100*time.Millisecond)
	or(&c.RejoinInterval, 10*time.Second)
	if c.SuspicionMult == 0 {
		c.SuspicionMult = 3
	}
	if c.Bind == "" {
		c.Bind = "127.0.0.1:0"
	}
	if c.Network == nil {
		c.Network = machine{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Self = c.Self.clone()
	return c
}

// check returns what is wrong with c, all of it at once.
func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("membership: "+format, args...))
	}
	if c.Self.ID != "" {
		if err := checkID(c.Self.ID); err != nil {
			errs = append(errs, err)
		}
	}
	if len(c.Cluster) > maxCluster {
		bad("Cluster is %d bytes long: want at most %d", len(c.Cluster), maxCluster)
	}
	for i, k := range c.Keys {
		if n := len(k); n != 16 && n != 24 && n != 32 {
			bad("Keys[%d] is %d bytes long: want 16, 24 or 32", i, n)
		}
	}
	if len(c.Seeds) > maxSeeds {
		bad("%d Seeds: want at most %d, one that answers is enough", len(c.Seeds), maxSeeds)
	}
	for _, s := range c.Seeds {
		if _, _, err := hostPort(s); err != nil {
			bad("seed %q: want host:port, as in \"10.0.0.1:7946\"", s)
		}
	}
	for name, d := range map[string]time.Duration{
		"ProbeInterval": c.ProbeInterval, "ProbeTimeout": c.ProbeTimeout,
		"GossipInterval": c.GossipInterval, "RejoinInterval": c.RejoinInterval,
	} {
		if d < time.Millisecond {
			bad("%s %v: want at least 1ms, or zero for the default", name, d)
		}
	}
	if c.SuspicionMult < 0 {
		bad("SuspicionMult %d: want a positive number, or zero for the default", c.SuspicionMult)
	}
	return errors.Join(errs...)
}

// checkID returns why id cannot be the ID of a node.
func checkID(id string) error {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, bad) {
		return fmt.Errorf("membership: ID %q: want 1 to %d visible ASCII characters without \"/\"", clip(id), maxID)
	}
	return nil
}

// clip cuts s to what an error or a log line can bear.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
