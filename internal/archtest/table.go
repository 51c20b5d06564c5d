// Package archtest says who may import whom, and fails when the code says
// otherwise.
//
// The tables in this file are policy. When a rule fails, move the code, not
// the table; a change of a table comes alone, with its reason. The rules look
// at every Go file of the module whatever its build tags, so that an arrow
// cannot hide behind an operating system.
package archtest

const module = "github.com/musterhq/muster"

// A room is a package, with the packages below its directory, and what it may
// import of the house. Public packages are written in full; those of internal
// too. A "*" is all rooms above this one in the table.
type room struct {
	dir   string
	needs string
	why   string // no more than that
}

// streets are rooms whose inner packages anybody may import who may import
// the room; of all others only the package in the room's own directory is
// open to the rest of the house.
var streets = []string{"benchmarks", "examples"}

// rooms reads from the ground up: a room needs only rooms above its own line,
// so every arrow of the house points upward here, and there are no circles.
var rooms = []room{
	{"internal/codec", "", "it turns values into bytes and knows none of them"},
	{"internal/telemetry", "", "it is names, for all to use"},
	{"internal/lifecycle", "", "it starts and stops parts without knowing them"},
	{"internal/store", "", "it keeps bytes and knows nothing of their meaning"},
	{"internal/transport", "", "it carries bytes and knows nothing of their meaning"},
	{"internal/inyaml", "", "it writes values as YAML and knows none of them"},
	{"internal/certs", "", "who a node is to others is settled before anything is said"},

	{"trigger", "", "when is a question of its own"},
	{"sharding", "", "where is a question of its own: it is told who is there"},
	{"membership", "", "who is a question of its own"},

	{"mapreduce", "internal/codec", "what users write has no runtime in sight"},
	{"pkg/job", "trigger", "it is words and their rules, and nothing that acts"},
	{"internal/roll", "pkg/job", "it keeps things by the IDs of runs, and knows nothing else of either"},
	{"internal/access", "pkg/job", "who may do what is a matter of rules: who keeps and carries them is not its business"},
	{"internal/simnet", "internal/transport", "it is a network in memory, and no more than that"},
	{"internal/wire", "pkg/job internal/codec", "it is messages: who sends them is not its business"},

	// The story. These do not know each other: the node carries events and
	// effects between them. Only a worker has a shuffle.
	{"internal/state", "pkg/job internal/store internal/transport internal/wire internal/telemetry", "the replicated truth records; it does not act"},
	{"internal/scheduler", "pkg/job trigger internal/roll", "it says what is due; the node sees to it"},
	{"internal/master", "pkg/job sharding trigger", "it is a pure machine: the node brings its events and carries out its effects"},
	{"internal/shuffle", "pkg/job internal/store internal/transport internal/wire internal/telemetry", "it moves pairs and does not know who maps or reduces"},
	{"internal/runlog", "pkg/job internal/store internal/wire internal/telemetry", "it keeps lines and does not know who writes, carries or reads them"},
	{"internal/worker", "pkg/job mapreduce sharding internal/roll internal/shuffle internal/telemetry", "it executes attempts; the node brings them and takes the reports away"},

	{"pkg/node", "*", "it wires what is above it"},

	// What is said over HTTP stands on no node: who embeds one links a server
	// only with the gateway.
	{"pkg/api", "pkg/job trigger", "it is what is said over HTTP, for both ends"},
	{"internal/httpapi", "pkg/api pkg/job trigger internal/access internal/inyaml internal/telemetry", "it translates; what it asks of a node it declares as an interface"},
	{"pkg/gateway", "pkg/api pkg/job trigger mapreduce pkg/node internal/httpapi", "it puts the HTTP API before a node, for who wants that"},
	{"pkg/client", "pkg/api pkg/job trigger", "a program that only talks to a cluster links no node, and no server"},
	{"pkg/nodetest", "pkg/node pkg/job mapreduce membership internal/simnet", "it builds clusters as any user could, on a simulated network"},

	{"benchmarks", "trigger sharding membership mapreduce pkg/job pkg/node pkg/api pkg/client pkg/nodetest", "a benchmark uses what users have, so that they can repeat it"},
	{"examples", "trigger sharding membership mapreduce pkg/job pkg/node pkg/api pkg/client pkg/gateway", "an example shows what users can write"},
	{"cmd/muster", "*", "it puts the program together"},
	{"internal/archtest", "", "it reads the house and is no part of it"},
}

// A door is a library, with the modules and packages below its path, and the
// rooms that may import it.
type door struct {
	library string
	rooms   string // "*" is all, "tests" is all tests
	why     string
}

// doors has every library of the house. The longest path that fits counts.
var doors = []door{
	{"github.com/gorhill/cronexpr", "trigger", "it panics and loops on what its fence in trigger keeps out"},
	{"github.com/teambition/rrule-go", "trigger", "it searches for ever, and reads a clock, unless its fence in trigger sees to it"},
	{"github.com/expr-lang/expr", "trigger", "what users write is compiled and bounded in one place"},
	{"github.com/hashicorp/memberlist", "membership", "gossip only hints, and membership says so once"},
	{"github.com/hashicorp/raft", "internal/state", "there is one replicated state"},
	{"github.com/hashicorp/go-hclog", "internal/state", "raft logs through it"},
	{"github.com/dgraph-io/badger", "internal/store", "its surprises are kept from the rest of the house"},
	{"go.etcd.io/bbolt", "internal/store", "the log on disk may change its form"},
	{"github.com/hashicorp/yamux", "internal/transport", "sessions, deadlines and limits belong together"},
	{"github.com/vmihailenco/msgpack", "internal/codec", "it must never see bytes that codec has not checked"},
	{"github.com/panjf2000/ants", "internal/worker", "attempts are all that needs a pool"},
	{"github.com/bmatcuk/doublestar", "pkg/node", "which files a glob means is settled once, when a run is planned"},
	{"github.com/spf13/cobra", "cmd/muster", "flags are the binary's"},
	{"github.com/spf13/pflag", "cmd/muster", "flags are the binary's, and cobra's are of it"},
	{"github.com/danielgtaylor/huma", "internal/httpapi", "who embeds a node and mounts no API links none of it"},
	{"go.yaml.in/yaml", "internal/inyaml cmd/muster", "what values are in YAML is said once; the binary points at the line of a file that is wrong"},

	{"go.opentelemetry.io/otel/sdk", "cmd/muster", "an embedder brings an SDK of his own, or none"},
	{"go.opentelemetry.io/otel/exporters", "cmd/muster", "an embedder brings exporters of his own, or none"},
	{"github.com/prometheus/client_golang", "cmd/muster", "who scrapes an embedder's program is his own business"},
	{"go.opentelemetry.io/otel", "*", "the API is free for all: without an SDK it does nothing"},

	{"github.com/cespare/xxhash", "sharding internal/shuffle internal/store", "where a hash must be the same on every node and in every release"},
	{"github.com/klauspost/compress", "mapreduce internal/shuffle internal/transport", "what is read and what is moved may be compressed"},
	{"golang.org/x/sys", "internal/store pkg/node", "only those who touch disks and machines ask the kernel"},
	{"golang.org/x/net", "tests", "nettest says what a net.Conn promises; the product needs none of it"},
	{"github.com/anishathalye/porcupine", "tests", "it finds an order for what clients saw; the product needs none of it"},
	{"go.uber.org/goleak", "tests", "it looks for goroutines that outlived a test"},
}

// pure are the rooms whose results are functions of their arguments, which is
// why their tests need no cluster.
var pure = []string{"trigger", "sharding", "internal/master", "internal/access"}

// timeless are the rooms that must come to the same result when they do
// again what they did, years later and on another node.
var timeless = []string{"internal/state"}

// empty are names that say nothing of what is inside.
var empty = []string{"util", "utils", "helper", "helpers", "common", "types", "shared", "misc", "base"}
