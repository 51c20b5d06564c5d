package node_test

import (
	"context"
	"errors"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/node"
)

// TestStartRefusesWhatCanNotBe names the field, the value and the remedy
// before anything has been done.
func TestStartRefusesWhatCanNotBe(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		name  string
		cfg   node.Config
		texts string // separated by "|"
	}{
		{"slots", node.Config{Slots: -1}, "Slots -1|at least 1, or 0 for one per core"},
		{"log space", node.Config{LogSpace: 1}, "LogSpace 1|at least 1 MiB|or 0 for 1 GiB"},
		{"memory", node.Config{Memory: -1}, "Memory -1|or 0 for 256 MiB"},
		{"grace", node.Config{Grace: -time.Second}, "Grace -1s|or 0 for 10s"},
		{"client alone", node.Config{Client: true}, "Client is set and Join is empty|name a node"},
		{"key", node.Config{Keys: [][]byte{make([]byte, 5)}}, "Keys[0] has 5 bytes|16, 24 or 32"},
		{"cluster", node.Config{Cluster: strings.Repeat("c", 201)}, "Cluster|201 bytes|at most 200"},
		{"address without a port", node.Config{Gossip: "localhost"}, `Gossip "localhost"|want host:port, as in 127.0.0.1:7946`},
		{"port by name", node.Config{RPC: "127.0.0.1:http"}, `RPC "127.0.0.1:http"|port "http"|0 to 65535`},
		{"port too high", node.Config{Gossip: "127.0.0.1:65536"}, `Gossip "127.0.0.1:65536"|0 to 65535`},
		{"one port for both", node.Config{Gossip: "127.0.0.1:7946", RPC: "127.0.0.1:7946"}, `Gossip and RPC are both "127.0.0.1:7946"|a port of its own`},
		{"all interfaces", node.Config{RPC: "0.0.0.0:0"}, `RPC "0.0.0.0:0"|reachable from other machines|127.0.0.1|Insecure`},
		{"seed without a port", node.Config{Join: []string{"10.0.0.1"}}, `Join "10.0.0.1"|want host:port`},
		{"seed on port 0", node.Config{Join: []string{"10.0.0.1:0"}}, `Join "10.0.0.1:0"|1 to 65535`},
		{"processor name", node.Config{Processors: mapreduce.Registry{"a b": echo}}, `Processors|"a b"|are possible`},
		{"nil processor", node.Config{Processors: mapreduce.Registry{"none": nil}}, `Processors|"none"|nil`},
		{"keyed processor that can't be", node.Config{Processors: mapreduce.Registry{"odd": mapreduce.Of(oddKeys{})}}, `Processors|"odd"|key type`},
	} {
		t.Run(c.name, func(t *testing.T) {
			says(t, c.cfg.Validate(), strings.Split(c.texts, "|")...)
			c.cfg.Logger = quiet
			n, err := node.Start(t.Context(), c.cfg)
			if n != nil {
				t.Error("got a node")
			}
			if err == nil || err.Error() != c.cfg.Validate().Error() {
				t.Errorf("Start says %v and Validate %v, want the same", err, c.cfg.Validate())
			}
		})
	}
	leavesNothing(t)
}

// oddKeys has keys that have no order.
type oddKeys struct{}

func (oddKeys) Map(context.Context, string, func(map[string]int, int)) error { return nil }
func (oddKeys) Reduce(context.Context, map[string]int, iter.Seq[int]) (int, error) {
	return 0, nil
}

// leavesNothing checks that no node has left its temporary directory.
func leavesNothing(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %q left in the directory for temporary files, %v, want nothing", left, err)
	}
}

// refused starts a node that should not come up, and checks what that says and
// that nothing is left of it. A node that looks for others is given more time
// if that was not enough to get an answer.
func refused(t *testing.T, cfg node.Config, texts ...string) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	cfg.Logger = quiet
	for cfg.JoinTimeout = 200 * time.Millisecond; ; cfg.JoinTimeout *= 4 {
		n, err := node.Start(t.Context(), cfg)
		if err == nil {
			t.Errorf("the node came up, want an error that says %q", texts)
			_ = n.Stop(t.Context())
			return
		}
		i := slices.IndexFunc(texts, func(text string) bool { return !strings.Contains(err.Error(), text) })
		if i < 0 {
			break
		}
		if !strings.Contains(err.Error(), "no answer yet") {
			t.Errorf("got the error %q, want %q in it", err, texts[i])
			break
		}
	}
	goleak.VerifyNone(t, before)
}

// TestAStartThatFailsSaysWhyAndLeavesNothing is about what only turns out when
// it is tried.
func TestAStartThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	up := start(t, node.Config{Name: "up", Dir: t.TempDir(), Logger: quiet})
	t.Setenv("TMPDIR", temp)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("RPC port in use", func(t *testing.T) {
		refused(t, node.Config{RPC: taken.Addr().String()}, taken.Addr().String(), "address already in use", "port 0 for a free one")
	})
	t.Run("gossip port in use", func(t *testing.T) {
		refused(t, node.Config{Gossip: up.Gossip()}, up.Gossip(), "address already in use", "choose a free port")
	})
	t.Run("directory is a file", func(t *testing.T) {
		refused(t, node.Config{Dir: file}, "Dir ", file, "not a directory", "name a directory that can be written")
	})
	t.Run("nobody at the seed", func(t *testing.T) {
		refused(t, node.Config{Join: []string{"127.0.0.1:1"}},
			"127.0.0.1:1", "connection refused", "start that node or correct the address")
	})
	t.Run("another cluster", func(t *testing.T) {
		refused(t, node.Config{Cluster: "theirs", Join: []string{up.Gossip()}},
			up.Gossip(), `another cluster than "theirs"`)
	})
	t.Run("a key that the others do not have", func(t *testing.T) {
		refused(t, node.Config{Keys: [][]byte{make([]byte, 16)}, Join: []string{up.Gossip()}},
			up.Gossip(), "give all nodes the same Keys")
	})
	t.Run("long name", func(t *testing.T) {
		refused(t, node.Config{Name: strings.Repeat("n", 600)}, "shorten Name", "at most 512")
	})
	t.Run("its time is over", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("no patience"))
		if _, err := node.Start(ctx, node.Config{Logger: quiet, Join: []string{"127.0.0.1:1"}}); err == nil {
			t.Error("a start whose context is over returned a node")
		}
		goleak.VerifyNone(t, before)
	})
	leavesNothing(t)
	if got := len(up.Members()); got != 1 {
		t.Errorf("the node that was up sees %d members, want itself", got)
	}
}

// TestADirectoryHasOneNode starts a second node in the directory of a first,
// which goes on.
func TestADirectoryHasOneNode(t *testing.T) {
	dir := t.TempDir()
	first := start(t, node.Config{Dir: dir, Logger: quiet, Processors: mapreduce.Registry{"echo": echo}})
	refused(t, node.Config{Dir: dir}, dir, "in use")
	stillWorks(t, first)
}

// TestNodesComeAndGoWithoutATrace starts and stops a node twenty times.
func TestNodesComeAndGoWithoutATrace(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	before := goleak.IgnoreCurrent()
	for range 20 {
		n, err := node.Start(t.Context(), node.Config{Logger: quiet, Processors: mapreduce.Registry{"echo": echo}})
		if err != nil {
			t.Fatal(err)
		}
		stillWorks(t, n)
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	goleak.VerifyNone(t, before)
	leavesNothing(t)
}

// TestADirectoryHasOneWorker starts a second node in the directory of one that
// has joined a cluster and does not hold the state.
func TestADirectoryHasOneWorker(t *testing.T) {
	up, dir := start(t, node.Config{Name: "up", Logger: quiet}), t.TempDir()
	start(t, node.Config{Name: "worker", Dir: dir, Logger: quiet, Join: []string{up.Gossip()}})
	n, err := node.Start(t.Context(), node.Config{Name: "another", Dir: dir, Logger: quiet, Join: []string{up.Gossip()}})
	if err == nil {
		_ = n.Stop(t.Context())
	}
	says(t, err, "Dir ", dir, "in use", "a directory of its own")
}

// TestAStartSaysWhatWentWrongInOneLine is about errors that come from further
// down.
func TestAStartSaysWhatWentWrongInOneLine(t *testing.T) {
	up := start(t, node.Config{Logger: quiet, Dir: t.TempDir()})
	for _, cfg := range []node.Config{
		{Join: []string{"127.0.0.1:1", "127.0.0.1:2"}, JoinTimeout: 100 * time.Millisecond},
		{RPC: up.Members()[0].RPC},
		{Gossip: up.Gossip()},
		{Dir: "/dev/null"},
	} {
		cfg.Logger = quiet
		_, err := node.Start(t.Context(), cfg)
		says(t, err)
	}
}
