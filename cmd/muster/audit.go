package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "see who changed what", Args: args(0, 0), RunE: help}
	c.AddCommand(auditListCommand())
	return c
}

func auditListCommand() *cobra.Command {
	var l listing
	var q job.AuditQuery
	var since string
	c := visit(&cobra.Command{
		Use: "list", Short: "list who changed what, the latest first", Args: args(0, 0),
		Example: `  muster audit list --since 24h --verb job.put --join 127.0.0.1:7946
  muster audit list --who carol --limit 20 -o json --join 127.0.0.1:7946`,
	}, func(ctx context.Context, n *node.Node, _ []string) error {
		if since != "" {
			age, err := parseAge(since)
			if err != nil {
				return fmt.Errorf("--since %q: want how long ago, as in 24h or 7d: %w", since, errUsage)
			}
			q.Since = time.Now().Add(-age)
		}
		page, err := audits(ctx, n, q)
		if err != nil {
			return err
		}
		if page.Next != "" {
			defer fmt.Fprintf(os.Stderr, "There are more: --cursor %s\n", page.Next)
		}
		return l.show(page, "AT\tWHO\tFROM\tVERB\tNAMESPACE\tOBJECT\tOUTCOME", func(put func(...any)) {
			for _, a := range page.Records {
				put(a.At.Format(time.RFC3339), a.Who, a.From, a.Verb, a.Namespace, a.Object, cmp.Or(a.Outcome, "ok"))
			}
		})
	})
	s := c.Flags()
	s.StringVar(&q.Who, "who", "", "who it was, or a part of that")
	s.StringVar(&q.Verb, "verb", "", "what was asked for, as in job.put")
	s.StringVar(&q.Namespace, "namespace", "", "in which namespace")
	s.StringVar(&q.Object, "object", "", "of what, or a part of that, as in nightly")
	s.StringVar(&since, "since", "", "how long ago at most, as in 24h or 7d")
	s.StringVar(&q.Cursor, "cursor", "", "where to go on, as the page before says it")
	s.IntVar(&q.Limit, "limit", 100, "how many at most")
	return l.add(c)
}

// audits returns as many records as are asked for, if there are so many: a page
// may have fewer, and say that there are more.
func audits(ctx context.Context, n *node.Node, q job.AuditQuery) (all job.AuditPage, err error) {
	all.Records = []job.Audit{}
	for left := max(q.Limit, 1); left > 0; left = max(q.Limit, 1) - len(all.Records) {
		q := q
		q.Limit, q.Cursor = left, cmp.Or(all.Next, q.Cursor)
		page, err := n.Audit(ctx, q)
		if err != nil {
			return all, err
		}
		all.Records, all.Next = append(all.Records, page.Records...), page.Next
		if page.Next == "" {
			break
		}
	}
	return all, nil
}

// parseAge is time.ParseDuration that knows days.
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36_500 {
			return 0, fmt.Errorf("%q: want a number of days", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}
