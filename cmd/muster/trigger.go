package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/trigger"
)

func triggerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trigger",
		Short: "look at when a trigger is due, without a cluster",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("trigger: want a verb, as in muster trigger next: %w", errUsage)
		},
	}
	c.AddCommand(triggerNextCommand())
	return c
}

func triggerNextCommand() *cobra.Command {
	var v triggerNext
	c := &cobra.Command{
		Use:   "next 'EXPR'",
		Short: "print when a trigger is due next, with notes on days when clocks change",
		Long: `Next prints the next fires of a trigger, which is a cron expression or any of the
other forms, in the zone that is asked for: never in that of this machine. With
-o json it is a list of objects with at, local and notes.`,
		Example: `  muster trigger next '30 2 * * *' --zone America/New_York --after 2026-03-07T12:00:00Z
  muster trigger next 'every 2 months on last business day at 18:00' -n 3
  muster trigger next 'daily 09:00-17:30 every 15m on mon-fri' -o json`,
		Args: args(1, 1),
		RunE: func(c *cobra.Command, a []string) error {
			v.s.When = a[0]
			return v.run(c.OutOrStdout(), time.Now())
		},
	}
	s := c.Flags()
	s.StringVar(&v.s.Zone, "zone", "", "IANA name of the zone of local times (default: UTC)")
	s.StringVar(&v.after, "after", "", "instant from which on to look, as in 2026-03-08T02:30:00Z (default: now)")
	s.IntVarP(&v.n, "count", "n", 10, "how many fires to print, at most 1000")
	s.DurationVar(&v.s.Jitter, "jitter", 0, "by how much runs may start later")
	s.StringVarP(&v.output, "output", "o", "table", "table or json")
	return c
}

// triggerNext is what the command line asks for.
type triggerNext struct {
	s             trigger.Schedule
	after, output string
	n             int
}

func (v *triggerNext) run(w io.Writer, now time.Time) error {
	if v.output != "table" && v.output != "json" {
		return fmt.Errorf("-o %q: want table or json: %w", v.output, errUsage)
	}
	if v.n < 1 || v.n > 1000 {
		return fmt.Errorf("-n %d: want a number from 1 to 1000: %w", v.n, errUsage)
	}
	after := now
	if v.after != "" {
		var err error
		if after, err = time.Parse(time.RFC3339, v.after); err != nil {
			return fmt.Errorf("--after %q: want an instant as in 2026-03-08T02:30:00Z: %w", v.after, errUsage)
		}
	}
	t, err := v.s.Bind(trigger.Binding{Saved: after})
	if err == nil {
		err = v.s.Validate(after, nil)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	fires := t.Preview(after, v.n)
	if v.output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(fires)
	}
	return tabulate(w, trigger.Describe(t.Trigger()), fires)
}

func tabulate(w io.Writer, words string, fires []trigger.Upcoming) error {
	fmt.Fprintln(w, words)
	if len(fires) == 0 {
		fmt.Fprintln(w, "not due any more, or not by itself")
		return nil
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "AT\tLOCAL\tNOTES")
	for _, f := range fires {
		notes := "-"
		if len(f.Notes) > 0 {
			notes = strings.Join(f.Notes, "; ")
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\n", f.At.Format(time.RFC3339), f.Local, notes)
	}
	return tab.Flush()
}
