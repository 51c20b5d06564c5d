package side

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/node"
)

const (
	startTimeout = 60 * time.Second // of a pool, until each node knows all
	stopTimeout  = 30 * time.Second // of each node
)

// withPool calls f with a pool of nodes on loopback, of which as many hold the
// state as w says, and stops them. All are in this process.
func withPool(ctx context.Context, w Work, processors mapreduce.Registry, f func(pool []*node.Node) error) (err error) {
	var pool []*node.Node
	defer func() {
		for _, n := range slices.Backward(pool) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			err = errors.Join(err, n.Stop(ctx))
			cancel()
		}
	}()
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	nodes := max(w.Nodes, w.Servers, 1)
	for i := range nodes {
		name := fmt.Sprintf("n%d", i)
		cfg := node.Config{
			Name: name, Cluster: "peers", Dir: filepath.Join(w.Dir, name), Processors: processors,
			Slots: max(w.Cores/nodes, 1), Memory: w.Memory / int64(nodes),
			Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		}
		if i < w.Servers && w.Servers > 1 {
			cfg.Servers = w.Servers
		}
		if i > 0 {
			cfg.Join = []string{pool[0].Gossip()}
		}
		n, err := node.Start(starting, cfg)
		if err != nil {
			return err
		}
		pool = append(pool, n)
	}
	for _, n := range pool {
		if err := n.WaitMembers(starting, nodes); err != nil {
			return err
		}
	}
	return f(pool)
}
