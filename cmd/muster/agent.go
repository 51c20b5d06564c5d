package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

// nodeFlags are the flags of every verb that is a node.
type nodeFlags struct {
	cfg  node.Config
	keys []string
	tls  string
	log  string
}

func (f *nodeFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.cfg.Name, "name", "", "name of the node, for people (default: the host's name)")
	s.StringVar(&f.cfg.Cluster, "cluster", "muster", "name of the cluster; nodes of others are refused")
	s.StringSliceVar(&f.cfg.Join, "join", nil, "gossip address of a node of the cluster; repeat for more")
	s.StringVar(&f.cfg.Gossip, "gossip", "127.0.0.1:0", "address for membership, UDP and TCP; port 0 or -1 picks a free one")
	s.StringVar(&f.cfg.RPC, "rpc", "127.0.0.1:0", "address for everything else, TCP; port 0 or -1 picks a free one")
	s.StringVar(&f.cfg.Advertise, "advertise", "", "host by which other nodes reach this one, if that is not where it listens")
	s.StringSliceVar(&f.keys, "key", nil, "key that encrypts gossip, 32, 48 or 64 hex digits; the first encrypts, all decrypt; --tls brings its own")
	s.StringVar(&f.tls, "tls", "", "directory with the node's certificate and the keys of gossip; see muster tls")
	s.BoolVar(&f.cfg.Insecure, "insecure", false, "listen beyond loopback without certificates and keys")
	s.StringVar(&f.log, "log", "info", "least level of log lines: debug, info, warn or error")
	settable(s, "cluster", "join", "tls", "key", "insecure") // a verb's name and addresses are not those of an agent
}

// config puts what the flags say into a node's configuration.
func (f *nodeFlags) config() (node.Config, error) {
	cfg := f.cfg
	if err := f.trust(&cfg); err != nil {
		return cfg, err
	}
	for _, k := range f.keys {
		b, err := hex.DecodeString(k)
		if err != nil {
			return cfg, fmt.Errorf("--key: want hex digits: %w: %w", err, errUsage)
		}
		cfg.Keys = append(cfg.Keys, b)
	}
	var err error
	if cfg.Logger, err = logger(f.log); err != nil {
		return cfg, err
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%w: %w", err, errUsage)
	}
	return cfg, nil
}

func logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log %q: want debug, info, warn or error: %w", level, errUsage)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

func agentCommand() *cobra.Command {
	var f nodeFlags
	var watch watchFlags
	var web httpFlags
	var grace time.Duration
	c := &cobra.Command{
		Use:   "agent",
		Short: "run a node until it is interrupted",
		Long: `Agent runs a node until it is interrupted, then lets what it works on come to
its end, for at most --grace. Without --join it starts a cluster, or goes on
with the one in --dir. With --servers 3 on three of them, any one may be lost:
the others go on. It can run the processors wordcount, index, fanout and
sleep; to run your own, start a node in your program.`,
		Example: `  muster agent --name a --servers 3 --gossip 127.0.0.1:7946 --dir ./a
  muster agent --name b --servers 3 --join 127.0.0.1:7946 --dir ./b
  muster agent --name c --servers 3 --join 127.0.0.1:7946 --dir ./c
  muster submit fanout --join 127.0.0.1:7946 --params '{"tasks":100000}'`,
		Args:        args(0, 0),
		Annotations: map[string]string{settingsKey: "all"},
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config()
			if err != nil {
				return err
			}
			if grace < 0 {
				return fmt.Errorf("--grace %v: want a positive duration: %w", grace, errUsage)
			}
			if err := web.check(f.tls != "", f.cfg.Insecure); err != nil {
				return err
			}
			cfg.Processors = processors()
			w, err := watch.begin(c.Context(), &cfg, web.addr != none)
			if err != nil {
				return err
			}
			n, err := node.Start(c.Context(), cfg)
			if err != nil {
				return errors.Join(err, w.stop(c.Context()))
			}
			w.node.Store(n)
			s, err := web.serve(c.Context(), n, w.exporters.metrics(), cfg.Logger)
			if err != nil {
				w.node.Store(nil)
				return errors.Join(err, n.Stop(c.Context()), w.stop(c.Context()))
			}
			if s != nil {
				fmt.Fprintf(os.Stderr, "\n%s\n", web.says(s, n.Gossip(), f.tls))
			}
			fmt.Fprintf(os.Stderr, "\nnode %s is up. Join it from elsewhere with\n  muster agent --join %s\nand give it work with\n  muster submit fanout --join %s --params '{\"tasks\":100000}'\n\n", n.Name(), n.Gossip(), n.Gossip())
			<-c.Context().Done()
			w.node.Store(nil)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), grace)
			defer cancel()
			err = errors.Join(s.stop(ctx), n.Stop(ctx))
			return errors.Join(err, w.stop(ctx))
		},
	}
	f.add(c)
	watch.add(c)
	web.add(c)
	c.Flags().StringVar(&f.cfg.Dir, "dir", "", "data directory (default: a temporary one, removed at the end)")
	c.Flags().IntVar(&f.cfg.Servers, "servers", 0, "how many nodes hold the state: 1, 3 or 5, the same on each of them (default: this node alone without --join, else others)")
	c.Flags().IntVar(&f.cfg.Slots, "slots", 0, "attempts at a time (default: one per core)")
	c.Flags().IntVar(&f.cfg.MaxRuns, "max-runs", 0, "runs that go on in the cluster at a time, as the one that leads says (default: 10000)")
	c.Flags().IntVar(&f.cfg.MaxQueued, "max-queued", 0, "runs that may wait in it; those over it are refused (default: 10000000)")
	c.Flags().StringSliceVar(&f.cfg.Tags, "tag", nil, "tag that jobs may ask for; repeat for more")
	c.Flags().Int64Var(&f.cfg.LogSpace, "log-space", 0, "bytes on a server's disk for what runs log (default: 1 GiB)")
	c.Flags().Int64Var(&f.cfg.Memory, "memory", 0, "bytes of pairs to hold in memory (default: 256 MiB)")
	c.Flags().IntVar(&f.cfg.AuditRecords, "audit-records", 0, "records of who changed what that the cluster keeps (default: 100000)")
	c.Flags().DurationVar(&f.cfg.AuditFor, "audit-for", 0, "how long it keeps them (default: 2160h, 90 days)")
	c.Flags().DurationVar(&grace, "grace", 30*time.Second, "how long a stop waits for what is in progress")
	return c
}
