package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
)

func jobRunCommand() *cobra.Command {
	var l listing
	var r api.RunNow
	var delay, keyFor time.Duration
	var at string
	var wait, lines bool
	var c *cobra.Command
	c = l.add(askIn(&cobra.Command{
		Use: "run [NAMESPACE/]JOB", Short: "make a run of a job now, and print its ID", Args: args(1, 1),
		Long: `Run makes a run of a declared job, whatever its trigger says, and prints its ID. With
--wait it shows how the run goes until it is over, with --follow what it logs, and
fails if the run does. To interrupt it then does nothing to the run.`,
		Example: `  muster job run nightly --params '{"day":"monday"}' --follow
  muster job run charge --unique order-17 --delay 10m`,
	}, func(ctx context.Context, to *asked, a []string) (err error) {
		namespace, name := to.job(a[0])
		r.Delay, r.KeyFor = api.Duration(delay), api.Duration(keyFor)
		if at != "" {
			if r.At, err = time.Parse(time.RFC3339, at); err != nil {
				return fmt.Errorf("--at %q: want an instant as in 2026-03-29T02:30:00Z: %w", at, errUsage)
			}
		}
		made, err := to.RunJob(ctx, namespace, name, r)
		if err != nil {
			return err
		}
		if !wait && !lines {
			return l.made(&made)
		}
		return l.goesOn(c, to, &made, lines)
	}))
	f := c.Flags()
	f.StringVar(&r.Params, "params", "", "text that every task sees, in place of the job's params")
	f.StringVar(&r.Key, "unique", "", "name of the run: while it lives there is no other of that name")
	f.DurationVar(&keyFor, "unique-for", 0, "how long there is no other of that name, at least (default: while the run lives)")
	f.StringVar(&r.LimitKey, "limit-key", "", "what limits by key tell the run apart by (default: as the job says)")
	f.StringToStringVar(&r.Extra, "extra", nil, "value that every task sees, as NAME=VALUE; repeat for more")
	f.StringSliceVar(&r.Tags, "tag", nil, "tag of this run, beside the job's; repeat for more")
	f.DurationVar(&delay, "delay", 0, "how long the run waits before it begins")
	f.StringVar(&at, "at", "", "when it begins, as in 2026-03-29T02:30:00Z, in place of --delay")
	f.BoolVarP(&wait, "wait", "w", false, "wait until the run is over")
	f.BoolVarP(&lines, "follow", "f", false, "show what it logs until it is over")
	return c
}

// made shows a run that was made just now: people and scripts want its ID.
func (l *listing) made(r *api.Run) error {
	if l.output == formTable || l.output == formName {
		_, err := fmt.Fprintln(l.out, r.ID)
		return err
	}
	return l.value(r)
}

// goesOn shows the ID of a run that was made just now, then what it logs or how
// it goes, until it is over. For programs it shows the run at its end.
func (l *listing) goesOn(c *cobra.Command, to *asked, r *api.Run, lines bool) (err error) {
	ctx := c.Context()
	people := l.output == formTable || l.output == formName
	if people {
		err = l.made(r)
	} else {
		fmt.Fprintf(c.ErrOrStderr(), "run %s\n", r.ID)
	}
	if err != nil {
		return err
	}
	defer detached(ctx, c.ErrOrStderr(), r.ID)
	if lines {
		shown := listing{output: formTable, out: l.out}
		if !people {
			shown.out = c.ErrOrStderr()
		}
		if err := shown.lines().follow(ctx, to, r.ID, client.LogQuery{}); err != nil {
			return err
		}
	}
	over, err := waitRun(ctx, to, r.ID, c.ErrOrStderr(), !lines)
	if err != nil {
		return err
	}
	if !people {
		if err := l.value(over); err != nil {
			return err
		}
	}
	return outcome(&over)
}
