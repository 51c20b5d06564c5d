package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func namespaceCommand() *cobra.Command {
	c := &cobra.Command{Use: "namespace", Short: "look at namespaces, and limit them", Args: args(0, 0), RunE: help}
	c.AddCommand(namespaceListCommand(), namespaceGetCommand(), namespaceLimitCommand())
	return c
}

func namespaceListCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "list", Short: "list the namespaces that there are, and what bounds their runs", Args: args(0, 0)},
		func(ctx context.Context, to *asked, _ []string) error {
			all, err := to.ListNamespaces(ctx)
			if err != nil {
				return err
			}
			limits := map[string]string{}
			for _, name := range all.Namespaces {
				if l.output != formTable {
					break // nobody sees them
				}
				ns, err := to.GetNamespace(ctx, name)
				if err != nil {
					return err
				}
				limits[name] = limitsText(ns.Limits)
			}
			return l.show(all, "NAMESPACE\tLIMITS", func(put func(...any)) {
				for _, name := range all.Namespaces {
					put(name, limits[name])
				}
			})
		}))
}

func namespaceGetCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "get NAMESPACE", Short: "show what bounds the runs of a namespace", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			ns, err := to.GetNamespace(ctx, a[0])
			if err != nil {
				return err
			}
			return l.showNamespace(&ns)
		}))
}

func (l *listing) showNamespace(ns *api.Namespace) error {
	return l.show(ns, "NAMESPACE\tLIMITS", func(put func(...any)) { put(ns.Name, limitsText(ns.Limits)) })
}

func namespaceLimitCommand() *cobra.Command {
	var l listing
	var limits limitFlags
	c := ask(&cobra.Command{
		Use: "limit NAMESPACE", Short: "bound the runs of a namespace, or bound them no more", Args: args(1, 1),
		Long: `Limit puts limits in place of those that a namespace has. Without --limit it has
none any more.`,
		Example: `  muster namespace limit reports --limit namespace=20 --limit key=10/1m`,
	}, func(ctx context.Context, to *asked, a []string) error {
		ns, err := to.PutNamespace(ctx, a[0], limits)
		if err != nil {
			return err
		}
		return l.showNamespace(&ns)
	})
	limits.add(c, "namespace, job or key")
	return l.add(c)
}

// limitFlags are limits as people type them: "key=2" for two runs of a key at a
// time, "job=10/1m" for ten a minute.
type limitFlags []job.Limit

func (f *limitFlags) add(c *cobra.Command, by string) {
	c.Flags().Var(f, "limit", "runs that go on at a time, as in key=2, or begin in a time, as in key=10/1m, by "+by+"; repeat for more")
}

// Set adds a limit.
func (f *limitFlags) Set(text string) error {
	by, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("want what it counts by and a number or rate, as in key=2 or job=10/1m")
	}
	l := job.Limit{By: job.LimitBy(by)}
	if strings.Contains(value, "/") {
		l.Rate = value
	} else {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q: want a number, or a rate as in 10/1m", value)
		}
		l.Running = n
	}
	*f = append(*f, l)
	return nil
}

// Type names the value in the help.
func (f *limitFlags) Type() string { return "BY=LIMIT" }

// String returns the limits as people type them.
func (f *limitFlags) String() string { return limitsText(*f) }

func limitsText(limits []job.Limit) string {
	var all []string
	for _, l := range limits {
		by := l.By
		if by == "" {
			by = job.ByNamespace
		}
		if l.Running > 0 {
			all = append(all, fmt.Sprintf("%s=%d", by, l.Running))
		}
		if l.Rate != "" {
			all = append(all, fmt.Sprintf("%s=%s", by, l.Rate))
		}
	}
	return strings.Join(all, " ")
}
