//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/benchmarks/chaos/work"
	"github.com/musterhq/muster/pkg/node"
)

// agent is a process of the cluster: a node that can do the work of package
// work, as any program could embed it. It says on standard output when it is
// up, stops in peace on SIGTERM, and ends when its standard input does, for
// then whoever started it is gone.
func agent(args []string) int {
	if err := serve(args); err != nil {
		fmt.Fprintf(os.Stderr, "agent: %v\n", err)
		return 1
	}
	return 0
}

func serve(args []string) (err error) {
	cfg := node.Config{JoinTimeout: -1, Insecure: true}
	f := flag.NewFlagSet("agent", flag.ContinueOnError)
	f.StringVar(&cfg.Name, "name", "", "name of the node")
	f.StringVar(&cfg.Dir, "dir", "", "data directory")
	f.StringVar(&cfg.Gossip, "gossip", "", "address for membership")
	f.StringVar(&cfg.RPC, "rpc", "", "address for everything else")
	f.Func("join", "gossip address of another node; repeat for more", func(a string) error {
		cfg.Join = append(cfg.Join, a)
		return nil
	})
	f.IntVar(&cfg.Slots, "slots", 0, "attempts at a time")
	f.IntVar(&cfg.Servers, "servers", 0, "how many nodes hold the state, of which this is one; 0 makes it a worker")
	f.DurationVar(&cfg.FenceAfter, "fence", 0, "how long attempts go on without a leader")
	notes := f.String("ledger", "", "directory for the ledger")
	grace := f.Duration("grace", 20*time.Second, "how long a stop waits for what is in progress")
	var level slog.Level
	f.TextVar(&level, "log", level, "least level of log lines")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := ledger.Open(*notes, cfg.Name)
	if err != nil {
		return err
	}
	defer l.Close()
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	cfg.Processors = work.Registry(l)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, sayUp, n.ID())
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.Background(), *grace)
	defer cancel()
	return n.Stop(stopping)
}

// sayUp is what an agent says on its standard output when it is up, with its ID.
const sayUp = "up"
