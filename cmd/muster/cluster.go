package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{Use: "cluster", Short: "look at a cluster as a whole", Args: args(0, 0), RunE: help}
	c.AddCommand(clusterStatusCommand())
	return c
}

func clusterStatusCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "status", Short: "show who leads, who votes, and what is not as it should be", Args: args(0, 0)},
		func(ctx context.Context, to *asked, _ []string) error {
			c, err := to.GetCluster(ctx)
			if err != nil {
				return err
			}
			return l.detail(c, c.Name, func(put func(...any)) {
				put("health", c.Health)
				for _, why := range c.Why {
					put("", why)
				}
				put("leader", leaderOf(&c))
				for _, v := range c.Voters {
					put("voter", v.Name+" "+v.ID+away(v.InPool))
				}
				put("servers", c.Servers)
				put("members", c.Members)
				put("skew", c.Skew)
				put("asked", c.Asked.Name)
				put("id", c.ID)
			})
		}))
}

func away(inPool bool) string {
	if inPool {
		return ""
	}
	return ", which is not in the pool"
}

// leaderOf names the leader, who is a voter.
func leaderOf(c *api.Cluster) string {
	for _, v := range c.Voters {
		if v.ID == c.Leader {
			return fmt.Sprintf("%s, term %d", v.Name, c.Term)
		}
	}
	return fmt.Sprintf("%s, term %d", c.Leader, c.Term)
}

func processorCommand() *cobra.Command {
	c := &cobra.Command{Use: "processor", Short: "see what a cluster can run", Args: args(0, 0), RunE: help}
	c.AddCommand(processorListCommand())
	return c
}

func processorListCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "list", Short: "list what the members of the pool can run", Args: args(0, 0)},
		func(ctx context.Context, to *asked, _ []string) error {
			all, err := to.ListProcessors(ctx)
			if err != nil {
				return err
			}
			name := to.names(ctx)
			return l.show(all, "NAME\tKIND\tVERSION\tNODES", func(put func(...any)) {
				for _, p := range all.Processors {
					nodes := make([]string, len(p.Nodes))
					for i, id := range p.Nodes {
						nodes[i] = name(id)
					}
					put(p.Name, kindOf(&p), p.Version, strings.Join(nodes, ","))
				}
			})
		}))
}

// kindOf says what a processor has.
func kindOf(p *api.Processor) string {
	switch {
	case p.Keyed:
		return "mapreduce"
	case p.Reduces:
		return "map"
	}
	return "task"
}
