package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "see who changed what", Args: args(0, 0), RunE: help}
	c.AddCommand(auditListCommand())
	return c
}

func auditListCommand() *cobra.Command {
	var l listing
	var p paged
	var q job.AuditQuery
	var since, until string
	c := ask(&cobra.Command{
		Use: "list", Short: "list who changed what, the latest first", Args: args(0, 0),
		Example: `  muster audit list --since 24h --verb job.put
  muster audit list --who carol --limit 20 -o json`,
	}, func(ctx context.Context, to *asked, _ []string) (err error) {
		if q.Since, err = moment("--since", since, time.Now()); err != nil {
			return err
		}
		if q.Until, err = moment("--until", until, time.Now()); err != nil {
			return err
		}
		records, next, err := gather(&p, func(cursor string, limit int) ([]job.Audit, string, error) {
			q.Cursor, q.Limit = cursor, limit
			page, err := to.ListAudit(ctx, q)
			return page.Records, page.Next, err
		})
		if err != nil {
			return err
		}
		more(l.told, next)
		return l.show(job.AuditPage{Records: records, Next: next}, "AT\tWHO\tFROM\tVERB\tNAMESPACE\tOBJECT\tOUTCOME", func(put func(...any)) {
			for _, a := range records {
				put(a.At.Format(time.RFC3339), a.Who, a.From, a.Verb, a.Namespace, a.Object, cmp.Or(a.Outcome, "ok"))
			}
		})
	})
	s := c.Flags()
	s.StringVar(&q.Who, "who", "", "who it was, or a part of that")
	s.StringVar(&q.Verb, "verb", "", "what was asked for, as in job.put")
	s.StringVarP(&q.Namespace, "namespace", "n", "", "in which namespace (default: in any)")
	s.StringVar(&q.Object, "object", "", "of what, or a part of that, as in nightly")
	s.StringVar(&since, "since", "", "from when on: an instant, or how long ago, as in 24h or 7d")
	s.StringVar(&until, "until", "", "before when: an instant, or how long ago")
	return l.addStream(p.add(c))
}

// moment returns the instant that a flag names, or that was so long ago. Empty is
// none.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := parseAge(text); err == nil {
		return now.Add(-age), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s %q: want an instant as in 2026-03-01T00:00:00Z, or how long ago, as in 24h or 7d: %w", flag, text, errUsage)
	}
	return t, nil
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
