// Command fanout adds up the primes below a number. One task cuts the numbers
// into blocks, each block cuts itself into pieces, and the pieces are worked
// on by three nodes, which find each other by gossip.
//
//	go run ./examples/fanout [NUMBER]
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
	"strconv"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// span is the numbers from From to below To: what a task works on.
type span struct{ From, To int }

// tally is what a piece returns, and the run as a whole.
type tally struct{ Primes, Sum int }

// primes adds up the primes below the run's Params.
type primes struct{}

const parts = 8 // that each level is cut into

// Process is every task of the run: the root, which has no name, and the
// levels that it and its blocks emit.
func (primes) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var s span
	if err := t.Decode(&s); err != nil {
		return nil, err
	}
	switch t.Name {
	case "":
		below, err := strconv.Atoi(t.Params)
		if err != nil {
			return nil, mapreduce.Permanent(fmt.Errorf("fanout: Params %q: want a number", t.Params))
		}
		return nil, emit(t, "block", span{0, below})
	case "block":
		return nil, emit(t, "piece", s)
	case "piece":
		return add(ctx, s)
	}
	return nil, mapreduce.Permanent(fmt.Errorf("fanout: no level is named %q", t.Name))
}

// emit makes a task of each part of s. They run once this attempt has
// succeeded.
func emit(t *mapreduce.Task, level string, s span) error {
	for i := range parts {
		part := span{s.From + (s.To-s.From)*i/parts, s.From + (s.To-s.From)*(i+1)/parts}
		if err := t.Emit(level, part); err != nil {
			return err
		}
	}
	return nil
}

func add(ctx context.Context, s span) (sum tally, err error) {
	for n := max(s.From, 2); n < s.To; n++ {
		if ctx.Err() != nil { // the run is stopped, or the node
			return sum, context.Cause(ctx)
		}
		prime := true
		for d := 2; prime && d*d <= n; d++ {
			prime = n%d != 0
		}
		if prime {
			sum.Primes++
			sum.Sum += n
		}
	}
	return sum, nil
}

// Reduce sees the result of every task. Those that only emitted returned
// nothing, which adds nothing.
func (primes) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	var all tally
	for r := range results {
		var one tally
		if err := r.Decode(&one); err != nil {
			return nil, err
		}
		all.Primes += one.Primes
		all.Sum += one.Sum
	}
	return all, nil
}

// run adds up the primes below the given number on three nodes.
func run(ctx context.Context, w io.Writer, below string) (err error) {
	nodes, err := pool(ctx, "a", "b", "c")
	defer func() { err = errors.Join(err, stop(ctx, nodes)) }()
	if err != nil {
		return err
	}
	r, err := nodes[0].Submit(ctx, job.Spec{Processor: "primes", Params: below})
	if err != nil {
		return err
	}
	out, err := r.Wait(ctx)
	if err != nil {
		return err
	}
	sum, err := mapreduce.Value[tally](ctx, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "the %d primes below %s add up to %d\n", sum.Primes, below, sum.Sum)

	p, err := r.Progress(ctx)
	for _, n := range nodes {
		fmt.Fprintf(w, "  node %s did %d of %d tasks\n", n.Name(), p.Members[n.ID()], p.Tasks)
	}
	return err
}

// pool starts a node for each name. All but the first are told where the
// first one is, and learn of the others by gossip.
func pool(ctx context.Context, names ...string) (nodes []*node.Node, err error) {
	for _, name := range names {
		cfg := node.Config{Name: name, Cluster: "fanout", Processors: mapreduce.Registry{"primes": primes{}}}
		if len(nodes) > 0 {
			cfg.Join = []string{nodes[0].Gossip()}
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nodes[0].WaitMembers(ctx, len(nodes))
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
	below := "1000000"
	if len(os.Args) > 1 {
		below = os.Args[1]
	}
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, below)
	done()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
