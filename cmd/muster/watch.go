package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/job"
)

func watchCommand() *cobra.Command {
	var l listing
	var q client.ChangeQuery
	var length time.Duration
	c := &cobra.Command{
		Use: "watch", Short: "show what changes of runs, jobs and bulk operations, as it does", Args: args(0, 0),
		Long: `Watch shows what changes in a namespace until it is interrupted: runs that are
created, begin and end, jobs that are declared, paused, resumed and deleted, and
how far bulk operations are. When the node that it asks is gone for a short
while nothing is missed. For programs, -o json has an object for each change, and one with
"what":"reset" where those before are not known: they list what there is then.`,
		Example: `  muster watch --job nightly
  muster watch -n reports -o json --after "$LAST"`,
	}
	l.addStream(askIn(c, func(ctx context.Context, to *asked, _ []string) error {
		if length < 0 {
			return fmt.Errorf("--for %v: want a duration, or 0 for as long as it is not interrupted: %w", length, errUsage)
		}
		if length > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, length, errLongEnough)
			defer cancel()
		}
		err := l.changes(ctx, to, q)
		if errors.Is(context.Cause(ctx), errLongEnough) {
			return nil
		}
		return cmp.Or(err, context.Cause(ctx))
	}))
	f := c.Flags()
	f.StringVar(&q.Job, "job", "", "only changes of this job and its runs")
	f.StringVar(&q.After, "after", "", "go on behind the change of this id, from -o json")
	f.DurationVar(&length, "for", 0, "end after this time; 0 is when it is interrupted")
	return c
}

// errLongEnough is why something that was to last for a time ends.
var errLongEnough = errors.New("it was long enough")

// changes shows changes as they come.
func (l *listing) changes(ctx context.Context, to *asked, q client.ChangeQuery) error {
	for c, err := range to.FollowChanges(ctx, to.namespace, q) {
		switch {
		case err != nil:
			return err
		case l.output != formTable:
			err = l.value(c)
		case c.What == api.Reset && q.After == "":
			fmt.Fprintf(l.told, "What changes in namespace %s from now on:\n", c.Namespace)
		case c.What == api.Reset:
			fmt.Fprintln(l.told, "Some changes before this were missed: see what there is with run list, job list and operation list.")
		default:
			_, err = fmt.Fprintln(l.out, changeText(&c))
		}
		if err != nil {
			return err
		}
		q.After = c.ID
	}
	return nil
}

// changeText is a change as people read it.
func changeText(c *api.Change) string {
	name, more := c.Run, c.State
	switch c.Of {
	case job.JobChanged:
		name = c.Namespace + "/" + c.Job
		if c.Revision > 0 {
			more = fmt.Sprintf("revision %d", c.Revision)
		}
	case job.OperationChanged:
		name = c.Namespace + "/" + c.Operation
		more = fmt.Sprintf("%s, %d done, %d refused", c.State, c.Done, c.Refused)
	case job.RunChanged:
	}
	at := c.At.Local().Format("15:04:05.000")
	return strings.TrimRight(fmt.Sprintf("%s  %-18s  %s  %s  %s", at, string(c.Of)+" "+c.What, name, more, c.Reason), " ")
}
