package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

// visit makes a verb of f, which joins the cluster as a client for as long as
// f takes. It is for what has to come before there are tokens, and for what is
// done on a machine of the cluster by whoever has its certificates: all others
// ask.
func visit(c *cobra.Command, f func(ctx context.Context, n *node.Node, args []string) error) *cobra.Command {
	var flags nodeFlags
	flags.add(c)
	_ = c.Flags().Set("log", "warn")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(flags.cfg.Join) == 0 {
			return fmt.Errorf("--join is missing: name the gossip address of a node of the cluster: %w", errUsage)
		}
		cfg, err := flags.config()
		if err != nil {
			return err
		}
		cfg.Client, cfg.Name = true, cmp.Or(cfg.Name, visitor())
		n, err := node.Start(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 5*time.Second)
			defer cancel()
			_ = n.Stop(ctx) // it holds nothing
		}()
		return f(c.Context(), n, args)
	}
	return c
}

// visitor is what whoever calls a verb is called in what the cluster records.
func visitor() string {
	host, err := os.Hostname()
	user := os.Getenv("USER")
	if err != nil || user == "" {
		return host
	}
	return user + "@" + host
}
