package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/job"
)

func operationCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "operation", Short: "look at what is done to many runs, and end it", Args: args(0, 0), RunE: help,
		Long: "Bulk operations are begun by run cancel, stop and retry, with several runs or flags\nthat say which.",
	}
	c.AddCommand(operationListCommand(), operationGetCommand(), operationWaitCommand(), operationCancelCommand())
	return c
}

func operationListCommand() *cobra.Command {
	var l listing
	var p pagedIn
	var q client.OperationQuery
	var state string
	c := l.add(p.add(askIn(&cobra.Command{
		Use: "list", Short: "list bulk operations, the oldest first", Args: args(0, 0),
		Example: "  muster operation list --state running",
	}, func(ctx context.Context, to *asked, _ []string) error {
		q.State = job.OperationState(state)
		var found api.Operations
		var err error
		found.Operations, found.Next, err = gatherIn(ctx, to, &p, func(namespace, cursor string, limit int) ([]api.Operation, string, error) {
			q.Cursor, q.Limit = cursor, limit
			page, err := to.ListOperations(ctx, namespace, q)
			return page.Operations, page.Next, err
		})
		if err != nil {
			return err
		}
		more(l.told, found.Next)
		return l.operations(found, found.Operations...)
	})))
	f := c.Flags()
	f.StringVar(&state, "state", "", "only those in this state: running, done, canceled or failed")
	f.BoolVar(&q.Desc, "desc", false, "the latest first")
	return c
}

// operations shows bulk operations, as the value for programs.
func (l *listing) operations(value any, all ...api.Operation) error {
	return l.show(value, "OPERATION\tVERB\tSTATE\tDONE\tREFUSED\tBY\tREASON", func(put func(...any)) {
		for i := range all {
			o := &all[i]
			put(operationName(o), o.Verb, o.State, o.Done, o.Refused, o.By, o.Reason)
		}
	})
}

// operationName is what other verbs call an operation, in any namespace.
func operationName(o *api.Operation) string { return o.Namespace + "/" + o.ID }

func operationGetCommand() *cobra.Command {
	var l listing
	return l.add(askIn(&cobra.Command{Use: "get OPERATION", Short: "show a bulk operation, how far it is, and what was refused", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			namespace, id := to.job(a[0])
			o, err := to.GetOperation(ctx, namespace, id)
			if err != nil {
				return err
			}
			return l.detail(o, operationName(&o), func(put func(...any)) { operationRows(&o, put) })
		}))
}

// operationRows shows an operation to people.
func operationRows(o *api.Operation, put func(...any)) {
	meant := make([]string, 0, 5)
	say := func(flag, value string) {
		if value != "" {
			meant = append(meant, flag+" "+value)
		}
	}
	if o.Selected > 0 {
		say("named:", count(o.Selected))
	}
	say("--job", o.Job)
	say("--state", strings.Join(o.States, ","))
	say("--key", o.Key)
	say("--tag", strings.Join(o.Tags, ","))
	say("--from", instant(o.From))
	say("--until", instant(o.Until))
	for _, row := range [][2]string{
		{"verb", string(o.Verb)},
		{"meant", strings.Join(meant, " ")},
		{"reason", o.Reason},
		{"by", o.By},
		{"state", string(o.State)},
		{"because", o.EndReason},
		{"done", count(o.Done)},
		{"refused", count(o.Refused)},
		{"created", instant(o.Created)},
		{"ended", instant(o.Ended)},
	} {
		if row[1] != "" {
			put(row[0], row[1])
		}
	}
	for _, r := range o.Refusals {
		put(r.Name, r.Why)
	}
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func operationWaitCommand() *cobra.Command {
	var l listing
	var timeout time.Duration
	var c *cobra.Command
	c = l.add(askIn(&cobra.Command{
		Use: "wait OPERATION", Short: "wait until a bulk operation is over, and fail if it did not do all", Args: args(1, 1),
		Long: "Wait shows how far the operation is, on standard error, and how it ended. To interrupt\nit does nothing to the operation.",
	}, func(ctx context.Context, to *asked, a []string) error {
		namespace, id := to.job(a[0])
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		o, err := to.GetOperation(ctx, namespace, id)
		if err == nil {
			err = followOperation(ctx, c, to, &l, &o, 0)
		}
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) { // whatever the request that it ended says
			return fmt.Errorf("--timeout %v: operation %s is not over, and goes on: %w", timeout, a[0], ctx.Err())
		}
		return err
	}))
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; the operation goes on then (default: until it is over)")
	return c
}

func operationCancelCommand() *cobra.Command {
	var l listing
	var reason string
	c := l.add(askIn(&cobra.Command{Use: "cancel OPERATION", Short: "end a bulk operation where it is; what it has done stays done", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			namespace, id := to.job(a[0])
			o, err := to.CancelOperation(ctx, namespace, id, reason)
			if err != nil {
				return err
			}
			return l.operations(o, o)
		}))
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the operation later")
	return c
}

// followOperation shows how far an operation is until it is over, and then what
// came of it, with l if that is to be shown. Meant is how many it is for, about; 0
// is not known.
func followOperation(ctx context.Context, c *cobra.Command, to *asked, l *listing, o *api.Operation, meant int) error {
	w := c.ErrOrStderr()
	defer func() {
		if c.Context().Err() != nil {
			name := operationName(o)
			fmt.Fprintf(w, "\nThe operation goes on. Follow it again with\n  muster operation wait %s\nand end it with\n  muster operation cancel %s\n", name, name)
		}
	}()
	m := newMeter(w, string(o.Verb))
	for now, err := range to.WatchOperation(ctx, o.Namespace, o.ID) {
		if err != nil {
			return err
		}
		*o = now
		m.line(o.State.Over(), func(time.Duration) string { return operationBar(o, meant) })
	}
	m.end()
	if l != nil {
		if err := l.operations(*o, *o); err != nil {
			return err
		}
	}
	return operationOutcome(w, o)
}

// operationBar is how far an operation is, in a line.
func operationBar(o *api.Operation, meant int) string {
	through := o.Done + o.Refused
	s := fmt.Sprintf("%-14s %s done", o.Verb, count(o.Done))
	if meant = max(meant, o.Selected); meant > 0 {
		s = fmt.Sprintf("%-14s %s  %s of %s done", o.Verb, gauge(float64(through)/float64(meant)), count(o.Done), count(meant))
	}
	if o.Refused > 0 {
		s += fmt.Sprintf("  %s refused", count(o.Refused))
	}
	return s
}

// operationOutcome tells people what was refused, and is an error if an operation
// that is over did not do all.
func operationOutcome(w io.Writer, o *api.Operation) error {
	for _, r := range o.Refusals {
		fmt.Fprintf(w, "%s: %s\n", r.Name, r.Why)
	}
	if n := o.Refused - len(o.Refusals); n > 0 && len(o.Refusals) > 0 {
		fmt.Fprintf(w, "and %s more\n", count(n))
	}
	switch {
	case o.State != job.OperationDone:
		return fmt.Errorf("operation %s %s: %s", operationName(o), o.State, o.EndReason)
	case o.Refused > 0:
		return fmt.Errorf("operation %s: %s could not be done to %s", operationName(o), o.Verb, count(o.Refused))
	}
	return nil
}
