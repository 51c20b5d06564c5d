package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

// visit makes a verb of f, which joins the cluster as a client for as long as
// f takes.
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

// listing shows rows as a table for people or as one JSON value for programs.
type listing struct {
	output string
	out    io.Writer
}

func (l *listing) add(c *cobra.Command) *cobra.Command {
	c.Flags().StringVarP(&l.output, "output", "o", "table", "table or json")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		l.out = c.OutOrStdout()
		if l.output != "table" && l.output != "json" {
			return fmt.Errorf("-o %q: want table or json: %w", l.output, errUsage)
		}
		return nil
	}
	return c
}

// show writes value as JSON, or calls rows for a table with the given heads.
func (l *listing) show(value any, heads string, rows func(row func(cells ...any))) error {
	if l.output == "json" {
		return json.NewEncoder(l.out).Encode(value)
	}
	w := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heads)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}
