package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/node"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "look at the nodes of a cluster, and drain them", Args: args(0, 0), RunE: help}
	c.AddCommand(nodeListCommand(), nodeGetCommand(), nodeDrainCommand(), nodeUndrainCommand())
	return c
}

// help is what a verb does that has verbs of its own.
func help(c *cobra.Command, _ []string) error { return c.Help() }

func nodeListCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{
		Use: "list", Short: "list the members of the pool", Args: args(0, 0),
		Example: "  muster node list -o json",
	}, func(ctx context.Context, to *asked, _ []string) error {
		all, err := to.ListNodes(ctx)
		if err != nil {
			return err
		}
		return l.show(all, "NAME\tROLES\tSLOTS\tRUNNING\tQUEUED\tRUNS\tCLOCK\tRPC\tTAGS\tID", func(put func(...any)) {
			for _, n := range all.Nodes {
				put(n.Name, strings.Join(n.Roles, ","), n.Slots, n.Running, n.Queued, n.Masters, clock(n.Ahead), n.RPC, strings.Join(n.Tags, ","), n.ID)
			}
		})
	}))
}

// clock says how far a clock is ahead.
func clock(ahead api.Duration) string { return fmt.Sprintf("%+.3fs", time.Duration(ahead).Seconds()) }

func nodeGetCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "get NAME|ID", Short: "show a member of the pool and what it does", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			n, err := to.GetNode(ctx, a[0])
			if err != nil {
				return err
			}
			return l.detail(n, n.Name, func(put func(...any)) {
				put("id", n.ID)
				put("roles", strings.Join(n.Roles, ", "))
				put("tags", strings.Join(n.Tags, ", "))
				put("version", n.Version)
				put("gossip", n.Gossip)
				put("rpc", n.RPC)
				put("work", fmt.Sprintf("%d of %d slots, %d attempts wait, %d were abandoned", n.Running, n.Slots, n.Queued, n.Abandoned))
				put("runs", n.Masters)
				put("machine", fmt.Sprintf("%d cores, %s of memory and %s of disk free", n.CPU, size(float64(n.Memory)), size(float64(n.Disk))))
				put("clock", clock(n.Ahead)+", within "+n.Within.String())
			})
		}))
}

func nodeDrainCommand() *cobra.Command {
	var l listing
	var timeout time.Duration
	c := ask(&cobra.Command{
		Use: "drain NAME|ID", Short: "let a node take no more work, and wait until it has none", Args: args(1, 1),
		Long: `Drain makes a node take no more work: it hands the runs that it conducts and its
leadership to others, and finishes the attempts that it executes. It stays a
member until it is stopped, and takes work again after undrain.`,
		Example: `  muster node drain b
  muster node drain b --timeout 60s`,
	}, func(ctx context.Context, to *asked, a []string) error {
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		n, err := drain(ctx, to, a[0])
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) { // whatever the request that it ended says
			return fmt.Errorf("--timeout %v: node %s still executes attempts or conducts runs, and the draining goes on: %w", timeout, a[0], ctx.Err())
		}
		if err != nil {
			return err
		}
		return l.show(n, "NAME\tROLES\tRUNNING\tQUEUED\tRUNS", func(put func(...any)) {
			put(n.Name, strings.Join(n.Roles, ","), n.Running, n.Queued, n.Masters)
		})
	})
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; the draining goes on then (default: until it is done)")
	return l.add(c)
}

// drainPause is how long to wait before a node is asked again whether it has
// nothing to do any more.
const drainPause = 500 * time.Millisecond

// drain asks for a node to be drained until it has nothing to do. The answer
// comes when it has, or after a while: to ask again changes nothing.
func drain(ctx context.Context, to *asked, name string) (api.Node, error) {
	for {
		n, err := to.DrainNode(ctx, name)
		if err != nil || n.Draining && n.Running+n.Queued+n.Masters == 0 {
			return n, err
		}
		select {
		case <-time.After(drainPause):
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

func nodeUndrainCommand() *cobra.Command {
	return ask(&cobra.Command{
		Use: "undrain NAME|ID", Short: "let a node take work again", Args: args(1, 1),
	}, func(ctx context.Context, to *asked, a []string) error { return to.UndrainNode(ctx, a[0]) })
}

// agentDrainCommand is drain for what stops a node from beside it: it has no
// token, but it has the certificates of the node.
func agentDrainCommand() *cobra.Command {
	var timeout time.Duration
	c := visit(&cobra.Command{
		Use: "drain [NAME]", Short: "let the agent of this machine take no more work, as a stop hook does", Args: args(0, 1),
		Long: `Drain does what muster node drain does as a member of the pool, without a token but
with what it takes to be one: its certificates. Without NAME it is the node that
is named after this host.`,
		Example: `  muster agent drain --join 127.0.0.1:7946 --tls /etc/muster/tls --timeout 60s`,
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
