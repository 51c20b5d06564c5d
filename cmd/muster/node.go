package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/pkg/node"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "look at the nodes of a cluster, and drain them", Args: args(0, 0), RunE: help}
	c.AddCommand(nodeListCommand(), nodeDrainCommand(), nodeUndrainCommand())
	return c
}

// help is what a verb does that has verbs of its own.
func help(c *cobra.Command, _ []string) error { return c.Help() }

func nodeListCommand() *cobra.Command {
	var l listing
	return l.add(visit(&cobra.Command{
		Use: "list", Short: "list the members of the pool", Args: args(0, 0),
		Example: "  muster node list --join 127.0.0.1:7946 -o json",
	}, func(_ context.Context, n *node.Node, _ []string) error {
		type row struct {
			ID, Name, RPC, Version string
			Roles, Tags            []string
			Slots, Running, Runs   int
			AheadSeconds           float64 // of the leader's clock
		}
		rows := []row{}
		for _, m := range n.Nodes() {
			if isClient(m.Member) {
				continue
			}
			rows = append(rows, row{m.ID, m.Name, m.RPC, m.Version, m.Roles, m.Tags, m.Slots, m.Running, m.Masters, m.Ahead.Seconds()})
		}
		return l.show(rows, "NAME\tROLES\tSLOTS\tRUNNING\tRUNS\tCLOCK\tRPC\tTAGS\tID", func(put func(...any)) {
			for _, r := range rows {
				put(r.Name, strings.Join(r.Roles, ","), r.Slots, r.Running, r.Runs, fmt.Sprintf("%+.3fs", r.AheadSeconds), r.RPC, strings.Join(r.Tags, ","), r.ID)
			}
		})
	}))
}

// isClient reports whether a member only submits.
func isClient(m membership.Member) bool { return len(m.Roles) == 0 }

func nodeDrainCommand() *cobra.Command {
	var timeout time.Duration
	c := visit(&cobra.Command{
		Use: "drain [NAME]", Short: "let a node take no more work, and wait until it has none", Args: args(0, 1),
		Long: `Drain makes a node take no more work: it hands the runs that it conducts and its
leadership to others, and finishes the attempts that it executes. It stays a
member until it is stopped, and takes work again after undrain. Without NAME it
is the node that is named after this host.`,
		Example: `  muster node drain b --join 127.0.0.1:7946
  muster node drain --join 127.0.0.1:7946 --timeout 60s`,
	}, func(ctx context.Context, n *node.Node, a []string) error {
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		if len(a) == 0 {
			a = []string{hostname()}
		}
		return n.Drain(ctx, a[0])
	})
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; the draining goes on then (default: until it is done)")
	return c
}

func nodeUndrainCommand() *cobra.Command {
	return visit(&cobra.Command{
		Use: "undrain NAME", Short: "let a node take work again", Args: args(1, 1),
	}, func(ctx context.Context, n *node.Node, a []string) error { return n.Undrain(ctx, a[0]) })
}
