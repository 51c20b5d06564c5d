package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/node"
)

const (
	startTimeout = 30 * time.Second // of a pool, until each node knows all
	stopTimeout  = 30 * time.Second // of each node
)

// startPool starts nodes whose data is under dir, and returns when each knows
// what all can do.
func startPool(ctx context.Context, o Options, dir string, trial Trial) (pool []*node.Node, err error) {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("pool of %d nodes: %w", o.Nodes, err), stopPool(ctx, pool))
		}
	}()
	configured, _ := trial.(Configured)
	processors := trial.Processors()
	for i := range o.Nodes {
		name := fmt.Sprintf("n%d", i)
		cfg := node.Config{
			Name: name, Cluster: "benchmark", Dir: filepath.Join(dir, name), Processors: processors,
			Slots: o.Slots, Memory: o.Memory, Logger: o.Logger,
		}
		if o.Replicas > 1 && i < o.Replicas {
			cfg.Servers = o.Replicas
		}
		if i > 0 {
			cfg.Join = []string{pool[0].Gossip()}
		}
		if configured != nil {
			configured.Configure(&cfg)
		}
		n, err := node.Start(starting, cfg)
		if err != nil {
			return pool, err
		}
		pool = append(pool, n)
	}
	for _, n := range pool {
		if err := n.WaitMembers(starting, len(pool)); err != nil {
			return pool, err
		}
		if err := awaitVoters(starting, n, o.Replicas); err != nil {
			return pool, err
		}
	}
	return pool, nil
}

// awaitVoters returns when the node knows who leads, which is nobody before
// there are as many servers as there are to be.
func awaitVoters(ctx context.Context, n *node.Node, replicas int) error {
	if replicas == 1 {
		return nil
	}
	_, err := n.Leader(ctx)
	return err
}

// stopPool stops the nodes, the first one, which holds the state, last, also when ctx
// has ended.
func stopPool(ctx context.Context, pool []*node.Node) error {
	var errs []error
	for _, n := range slices.Backward(pool) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		if err := n.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop node %s: %w", n.Name(), err))
		}
		cancel()
	}
	return errors.Join(errs...)
}
