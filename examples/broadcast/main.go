// Command broadcast brings a new table of prices to every node of a cluster.
// One step fetches the table, then a task on each of three nodes puts it in
// place of the old one, and a last step checks that all of them have the same.
//
//	go run ./examples/broadcast
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// table is the prices that are valid together.
type table struct {
	Version int
	Prices  map[string]float64
}

// refresh is the processor. Each node has one of its own, with the table that
// the node's other code works with.
type refresh struct {
	table atomic.Pointer[table]
	fetch func() *table
}

// Before runs once, on one node. All nodes get what it returns, so they agree
// even if the source changes in the meantime.
func (r *refresh) Before(context.Context, *mapreduce.Task) (any, error) {
	return r.fetch(), nil
}

// report is what each node says of itself.
type report struct {
	Node    string
	Was, Is int // versions
	Changed int // prices
}

// Process runs once on each node. A second attempt would put the same table in
// its place again.
func (r *refresh) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	var fresh table
	if err := t.DecodeBefore(&fresh); err != nil {
		return nil, err
	}
	old := r.table.Swap(&fresh)
	if old == nil {
		old = &table{}
	}
	said := report{Node: t.Node, Was: old.Version, Is: fresh.Version}
	for item, price := range fresh.Prices {
		if old.Prices[item] != price {
			said.Changed++
		}
	}
	return said, nil
}

// Reduce runs once, after the last node, and sees what each returned.
func (r *refresh) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	var all []report
	for result := range results {
		var one report
		if err := result.Decode(&one); err != nil {
			return nil, err
		}
		if len(all) > 0 && one.Is != all[0].Is {
			return nil, fmt.Errorf("broadcast: %s has version %d and %s has %d", one.Node, one.Is, all[0].Node, all[0].Is)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b report) int { return strings.Compare(a.Node, b.Node) })
	return all, nil
}

// run refreshes the prices of three nodes twice.
func run(ctx context.Context, w io.Writer) (err error) {
	var source atomic.Pointer[table] // stands for a database or a web service
	nodes, err := pool(ctx, source.Load, "a", "b", "c")
	defer func() { err = errors.Join(err, stop(ctx, nodes)) }()
	if err != nil {
		return err
	}
	for version, quince := range []float64{0.90, 0.85} {
		source.Store(&table{version + 1, map[string]float64{"apple": 0.40, "pear": 0.50, "quince": quince}})
		r, err := nodes[0].Submit(ctx, job.Spec{Processor: "refresh", Mode: job.Broadcast})
		if err != nil {
			return err
		}
		out, err := r.Wait(ctx)
		if err != nil {
			return err
		}
		all, err := mapreduce.Value[[]report](ctx, out)
		if err != nil {
			return err
		}
		for _, one := range all {
			fmt.Fprintf(w, "node %s: version %d to %d, %d prices changed\n", one.Node, one.Was, one.Is, one.Changed)
		}
	}
	return nil
}

// pool starts a node for each name. All but the first are told where the
// first one is, and learn of the others by gossip.
func pool(ctx context.Context, fetch func() *table, names ...string) (nodes []*node.Node, err error) {
	for _, name := range names {
		cfg := node.Config{Name: name, Cluster: "broadcast", Processors: mapreduce.Registry{"refresh": &refresh{fetch: fetch}}}
		if len(nodes) > 0 {
			cfg.Join = []string{nodes[0].Gossip()}
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
	}
	for _, n := range nodes { // any of them may conduct the run, and must know where it goes
		if err := n.WaitMembers(ctx, len(nodes)); err != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

// stop stops the nodes, the one that the others joined last.
func stop(ctx context.Context, nodes []*node.Node) (err error) {
	for _, n := range slices.Backward(nodes) {
		err = errors.Join(err, n.Stop(ctx))
	}
	return err
}

func main() {
	slog.SetLogLoggerLevel(slog.LevelWarn)
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	done()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
