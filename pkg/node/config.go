package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/trigger"
)

// Config says how a node runs. The zero value is a cluster of one node on
// loopback, with a temporary data directory.
type Config struct {
	// Name is the node's name, for people. Empty means the host's name.
	Name string

	// Dir is where the node keeps its identity, its share of the state and the
	// pairs it works on. Empty means a temporary directory that is removed by
	// Stop, with everything in it.
	Dir string

	// Cluster is the name of the cluster. Nodes of differently named clusters
	// never mix. Empty means "muster".
	Cluster string

	// Join lists gossip addresses of nodes that may already be in the cluster.
	// Empty starts a cluster, or continues the one that Dir holds the state
	// of.
	Join []string

	// Servers is how many nodes are to hold the state of the cluster: 1, 3 or
	// 5, the same number on each of them. With 3 any one of them may be lost,
	// with 5 any two. A new cluster begins when as many are in the pool. Zero
	// means that a node without Join holds it alone, and that one with Join
	// holds none of it and only works.
	Servers int

	// JoinTimeout is how long Start tries to reach any of Join before it gives
	// up. Zero means 15 s; a negative value means that Start does not wait and
	// the node keeps trying.
	JoinTimeout time.Duration

	// Gossip and RPC are the addresses to listen on: Gossip, UDP and TCP, for
	// membership, RPC, TCP, for everything else. Empty means a free port on
	// 127.0.0.1; so does a port of 0 or -1 on the address given. Others learn
	// by gossip which it was.
	Gossip, RPC string

	// Advertise is the host by which other nodes reach this one, if that is
	// not the one it listens on, as behind a mapping of addresses. Empty means
	// that one or, if it listens on all, the machine's private address.
	Advertise string

	// Keys encrypt gossip: 16, 24 or 32 bytes each. The first encrypts, all
	// decrypt, so that a key can be replaced node by node. Empty means that
	// gossip is neither encrypted nor authenticated.
	Keys [][]byte

	// TLS are the certificates by which nodes know each other. With it all
	// that they say to each other, except for gossip, is encrypted, and who
	// has no certificate of the cluster's authority is refused. All nodes of a
	// cluster have one, or none has.
	TLS TLS

	// Insecure allows addresses beyond loopback without TLS and Keys: whoever
	// reaches the ports can run the processors then.
	Insecure bool

	// Slots is how many attempts the node executes at a time. Zero means
	// runtime.GOMAXPROCS(0). More than that helps processors that wait for
	// others rather than compute.
	Slots int

	// Client makes the node one that only submits: it executes no attempts and
	// conducts no runs.
	Client bool

	// Tags describe the node to jobs that are picky; see job.Placement.
	Tags []string

	// Processors are what the node can run, by name.
	Processors mapreduce.Registry

	// Memory bounds the bytes that the node holds in memory of the pairs
	// between Map and Reduce. What is over goes to disk. Zero means 256 MiB.
	Memory int64

	// LogSpace bounds the bytes on the disk of a server for what runs log, of
	// which each server has all. The oldest lines make room for new ones; one run
	// has at most a quarter of it, and 64 MiB. Zero means 1 GiB.
	LogSpace int64

	// Grace is how long an attempt that is cancelled may take to return before
	// it is abandoned. Zero means 10 s.
	Grace time.Duration

	// FenceAfter is how long a node that finds no leader goes on with the
	// attempts it executes. Then it cancels them, with the cause
	// mapreduce.ErrFenced: if it was cut off, others have begun them anew.
	// More saves work when the leader is away for a while; less ends earlier
	// what counts for nothing. Zero means 30 s.
	FenceAfter time.Duration

	// MaxRuns bounds how many runs go on in the cluster at a time; those over
	// it wait their turn, on disk. Of fires that are due together up to half as
	// many are recorded ahead of their instant; the others are late by as long as
	// that takes. More takes memory, of the leader and of masters. Zero means
	// 10,000.
	MaxRuns int

	// MaxQueued bounds how many runs wait in the cluster; those over it are
	// refused. Zero means 10,000,000.
	MaxQueued int

	// AuditRecords bounds how many records of who changed what the cluster
	// keeps, and AuditFor how old they get: the oldest go first. Zero means
	// 100,000 and 90 days. What counts is the configuration of the leader.
	AuditRecords int
	AuditFor     time.Duration

	// Calendars are those that schedules may name. Every node that may lead
	// needs the same.
	Calendars trigger.Calendars

	// Logger receives the node's log. Nil means slog.Default.
	Logger *slog.Logger

	// TracerProvider and MeterProvider are where spans and measurements go.
	// Nil means the global ones of OpenTelemetry, which drop them unless the
	// program has set others.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// Network is what the node speaks through. Nil means the machine's own;
	// package nodetest puts a simulated one here. One that has a method
	// Now() time.Time is the node's wall clock as well.
	Network Network
}

// TLS are files in PEM. They are looked at again when they change, so that a
// certificate is renewed without a restart.
type TLS struct {
	// CA has the authorities whose certificates are taken.
	CA string
	// Cert is the node's own certificate, and Key the key of it. It must be
	// good for servers and for clients, and for the name
	// "node.muster.internal"; muster tls makes such.
	Cert, Key string
}

// Network is what a node needs of a network. The addresses it takes and gives
// are hosts with ports.
type Network interface {
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
	ListenPacket(addr string) (net.PacketConn, error)
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if c.Name == "" {
		c.Name = "node"
	}
	if c.Cluster == "" {
		c.Cluster = "muster"
	}
	if c.JoinTimeout == 0 {
		c.JoinTimeout = 15 * time.Second
	}
	if c.FenceAfter == 0 {
		c.FenceAfter = 30 * time.Second
	}
	if c.MaxRuns == 0 {
		c.MaxRuns = 10_000
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = 10_000_000
	}
	if c.AuditRecords == 0 {
		c.AuditRecords = 100_000
	}
	if c.AuditFor == 0 {
		c.AuditFor = 90 * 24 * time.Hour
	}
	if c.Slots == 0 {
		c.Slots = runtime.GOMAXPROCS(0)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Processors == nil {
		c.Processors = mapreduce.Registry{}
	}
	c.Gossip = listenOn(c.Gossip)
	c.RPC = listenOn(c.RPC)
	return c
}

// listenOn puts in what is not said of an address.
func listenOn(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	switch {
	case addr == "":
		return "127.0.0.1:0"
	case err == nil && port == "-1":
		return net.JoinHostPort(host, "0")
	}
	return addr
}

// Validate returns what Start would refuse c for before it does anything: the
// first field whose value can't be, the value, and what would be right.
func (c Config) Validate() error { return c.withDefaults().validate() }

// maxCluster bounds the name of a cluster, in bytes: it is in every packet.
const maxCluster = 200

func (c Config) validate() error {
	if len(c.Cluster) > maxCluster {
		return fmt.Errorf("node: Cluster %.20q... has %d bytes: want at most %d", c.Cluster, len(c.Cluster), maxCluster)
	}
	if c.Slots < 0 {
		return fmt.Errorf("node: Slots %d: want at least 1, or 0 for one per core", c.Slots)
	}
	if c.Client && len(c.Join) == 0 {
		return fmt.Errorf("node: Client is set and Join is empty: name a node of the cluster to submit to")
	}
	switch c.Servers {
	case 0, 1, 3, 5:
	default:
		return fmt.Errorf("node: Servers %d: want 1, 3 or 5, or 0 for a node that holds the state alone or not at all", c.Servers)
	}
	if c.Client && c.Servers > 0 {
		return fmt.Errorf("node: Client is set and Servers is %d: a client holds no state; leave one of them out", c.Servers)
	}
	if c.FenceAfter < 0 {
		return fmt.Errorf("node: FenceAfter %v: want a positive duration, or 0 for 30s", c.FenceAfter)
	}
	if c.MaxRuns < 0 {
		return fmt.Errorf("node: MaxRuns %d: want at least 1, or 0 for 10000", c.MaxRuns)
	}
	if c.MaxQueued < 0 {
		return fmt.Errorf("node: MaxQueued %d: want at least 1, or 0 for 10000000", c.MaxQueued)
	}
	if c.AuditRecords < 0 {
		return fmt.Errorf("node: AuditRecords %d: want at least 1, or 0 for 100000", c.AuditRecords)
	}
	if c.AuditFor < 0 {
		return fmt.Errorf("node: AuditFor %v: want a positive duration, or 0 for 90 days", c.AuditFor)
	}
	if c.Memory < 0 {
		return fmt.Errorf("node: Memory %d: want a number of bytes, or 0 for 256 MiB", c.Memory)
	}
	if c.LogSpace != 0 && c.LogSpace < 1<<20 {
		return fmt.Errorf("node: LogSpace %d: want at least 1 MiB, or 0 for 1 GiB", c.LogSpace)
	}
	if c.Grace < 0 {
		return fmt.Errorf("node: Grace %v: want a positive duration, or 0 for 10s", c.Grace)
	}
	if err := c.Processors.Validate(); err != nil {
		return fmt.Errorf("node: Processors: %w", err)
	}
	for i, k := range c.Keys {
		if n := len(k); n != 16 && n != 24 && n != 32 {
			return fmt.Errorf("node: Keys[%d] has %d bytes: want 16, 24 or 32", i, n)
		}
	}
	if t := c.TLS; t != (TLS{}) && (t.CA == "" || t.Cert == "" || t.Key == "") {
		return fmt.Errorf("node: TLS has CA %q, Cert %q and Key %q: want all three, or none", t.CA, t.Cert, t.Key)
	}
	return c.validateAddrs()
}

// exposed says what a node that others can reach lacks.
func (c Config) exposed() string {
	switch {
	case c.TLS == (TLS{}) && len(c.Keys) == 0:
		return "neither RPC nor gossip is encrypted: set TLS and Keys"
	case c.TLS == (TLS{}):
		return "RPC is not encrypted: set TLS"
	case len(c.Keys) == 0:
		return "gossip is not encrypted: set Keys"
	}
	return ""
}

func (c Config) validateAddrs() error {
	for _, a := range []struct{ field, addr string }{{"Gossip", c.Gossip}, {"RPC", c.RPC}} {
		host, err := checkAddr(a.addr, 0)
		if err != nil {
			return fmt.Errorf("node: %s %q: %w", a.field, a.addr, err)
		}
		if lacks := c.exposed(); lacks != "" && !c.Insecure && c.Network == nil && !loopback(host) {
			return fmt.Errorf("node: %s %q is reachable from other machines and %s, listen on 127.0.0.1, or set Insecure if the network is yours alone", a.field, a.addr, lacks)
		}
	}
	if c.Gossip == c.RPC && !strings.HasSuffix(c.RPC, ":0") {
		return fmt.Errorf("node: Gossip and RPC are both %q: give each a port of its own, or port 0 for a free one", c.RPC)
	}
	for _, a := range c.Join {
		if _, err := checkAddr(a, 1); err != nil {
			return fmt.Errorf("node: Join %q: %w", a, err)
		}
	}
	return nil
}

// checkAddr returns the host of addr, whose port must be a number that is not
// below least.
func checkAddr(addr string, least int) (host string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", errors.New("want host:port, as in 127.0.0.1:7946")
	}
	if n, err := strconv.Atoi(port); err != nil || n < least || n > 65535 {
		return "", fmt.Errorf("port %q: want a number from %d to 65535", port, least)
	}
	return host, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
