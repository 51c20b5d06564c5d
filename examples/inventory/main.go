// Command inventory takes over the stock of twenty suppliers. It starts their
// web servers itself, and most of them are not reliable: they fail, are busy,
// hang up or do not answer, and one has closed for good. Three nodes ask them,
// a shard for each, try again what failed, and add what they are told to one
// stock. A second attempt is not a second effect there, so the stock is right
// however often it was asked for.
//
//	go run ./examples/inventory [-seed N]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// run opens the suppliers, takes over their stock on three nodes and prints
// how that went.
func run(ctx context.Context, w io.Writer, seed uint64) (err error) {
	suppliers, stock := market(seed, 20), newStock()
	defer closeAll(suppliers)
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Second}
	defer client.CloseIdleConnections()

	nodes, err := pool(ctx, &pull{client, stock}, "a", "b", "c")
	defer func() { err = errors.Join(err, stop(ctx, nodes)) }()
	if err != nil {
		return err
	}
	out, ended, err := takeStock(ctx, nodes[0], suppliers)
	if err != nil {
		return err
	}
	if err := summarize(ctx, w, suppliers, out, ended); err != nil {
		return err
	}
	units, repeats := stock.Found()
	fmt.Fprintf(w, "%d additions were made again and changed nothing\n", repeats)
	if err := check(suppliers, units); err != nil {
		return err
	}
	fmt.Fprintf(w, "checked against what the suppliers hold: equal, %d SKUs\n", len(units))
	return nil
}

// takeStock asks every supplier, and puts up with one that can't be asked.
func takeStock(ctx context.Context, n *node.Node, suppliers []*supplier) (out mapreduce.Output, ended job.Run, err error) {
	urls := make([]string, len(suppliers))
	for i, s := range suppliers {
		urls[i] = s.URL
	}
	params, err := json.Marshal(urls)
	if err != nil {
		return out, ended, err
	}
	r, err := n.Submit(ctx, job.Spec{
		Processor: "pull",
		Mode:      job.Sharded,
		Shards:    len(suppliers),
		Params:    string(params),
		Retry: job.Retry{
			Attempts: 8,
			Backoff:  trigger.Backoff{Initial: 50 * time.Millisecond, Max: 2 * time.Second},
		},
		Tolerate:   job.Tolerance{Count: 1},
		RunTimeout: time.Minute,
		NoBackups:  true, // a slow supplier is no faster when another node asks too
	})
	if err != nil {
		return out, ended, err
	}
	if out, err = r.Wait(ctx); err != nil {
		return out, ended, err
	}
	ended, err = r.Get(ctx)
	return out, ended, err
}

// summarize prints how it went with each supplier, and in all.
func summarize(ctx context.Context, w io.Writer, suppliers []*supplier, out mapreduce.Output, ended job.Run) error {
	var all taken
	for r, err := range mapreduce.Results(ctx, out) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "supplier %2d  %-15s  ", r.Task, suppliers[r.Task].trouble)
		if r.Err != "" {
			fmt.Fprintf(w, "failed: %s\n", r.Err)
			continue
		}
		var one taken
		if err := r.Decode(&one); err != nil {
			return err
		}
		fmt.Fprintf(w, "ok: %2d items, %4d units, attempts: %d\n", one.Items, one.Units, one.Attempts)
		all.Items += one.Items
		all.Units += one.Units
	}
	p := ended.Progress
	fmt.Fprintf(w, "%d suppliers ok, %d failed: %d items, %d units, %d attempts in %v\n", p.Done, p.Failed,
		all.Items, all.Units, p.Attempts, ended.Finished.Sub(ended.Created).Round(time.Millisecond))
	return nil
}

// check compares the stock with what the suppliers hold that can be asked.
func check(suppliers []*supplier, units map[string]int) error {
	want := map[string]int{}
	for _, s := range suppliers {
		if s.trouble != gone {
			for _, i := range s.items {
				want[i.SKU] += i.Units
			}
		}
	}
	if !maps.Equal(units, want) {
		return fmt.Errorf("inventory: the stock is not what the suppliers hold: %d SKUs, want %d", len(units), len(want))
	}
	return nil
}

// pool starts a node for each name. All but the first are told where the
// first one is, and learn of the others by gossip.
func pool(ctx context.Context, p mapreduce.Processor, names ...string) (nodes []*node.Node, err error) {
	for _, name := range names {
		// Most attempts wait for a supplier, so there may be more than cores.
		cfg := node.Config{Name: name, Cluster: "inventory", Slots: 8, Processors: mapreduce.Registry{"pull": p}}
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
	seed := flag.Uint64("seed", 1, "what the suppliers hold, and how their troubles fall, follows from it")
	flag.Parse()
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *seed)
	done()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
