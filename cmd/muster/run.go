package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/job"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "look at runs, end them, and try them again", Args: args(0, 0), RunE: help}
	c.AddCommand(runListCommand(), runGetCommand(), runTasksCommand(), runAttemptsCommand(), runResultCommand(), runWaitCommand(),
		runCancelCommand(), runStopCommand(), runRetryCommand(), runLogsCommand())
	return c
}

func runListCommand() *cobra.Command {
	var l listing
	var p pagedIn
	var q client.RunQuery
	var from, until string
	c := l.add(p.add(askIn(&cobra.Command{
		Use: "list", Short: "list runs, the latest first", Args: args(0, 0),
		Example: `  muster run list --job nightly --state failed,canceled --limit 10
  muster run list --tag billing,monthly --from 7d --sort created
  muster run list -A --state running -o name`,
	}, func(ctx context.Context, to *asked, _ []string) (err error) {
		now := time.Now()
		if q.From, err = moment("--from", from, now); err != nil {
			return err
		}
		if q.Until, err = moment("--until", until, now); err != nil {
			return err
		}
		var runs api.Runs
		runs.Runs, runs.Next, err = gatherIn(ctx, to, &p, func(namespace, cursor string, limit int) ([]api.Run, string, error) {
			q.Cursor, q.Limit = cursor, limit
			page, err := to.ListRuns(ctx, namespace, q)
			return page.Runs, page.Next, err
		})
		if err != nil {
			return err
		}
		if p.all {
			sortRuns(runs.Runs, q.Sort)
		}
		more(l.told, runs.Next)
		return l.runs(runs, runs.Runs...)
	})))
	f := c.Flags()
	f.StringVar(&q.Job, "job", "", "only runs of this job")
	f.StringSliceVar(&q.States, "state", nil, "only runs in one of these states: pending, running, succeeded, failed, canceled")
	f.StringVar(&q.Key, "key", "", "only runs that the caller named so, by --unique")
	f.StringVar(&from, "from", "", "only runs created from then on: an instant, or how long ago, as in 24h or 7d")
	f.StringVar(&until, "until", "", "only runs created before then: an instant, or how long ago")
	f.StringSliceVar(&q.Tags, "tag", nil, "only runs that have this tag; repeat for more, of which they have all")
	f.StringVar(&q.Sort, "sort", "-created", "-created, the latest first; created; job, the first run of each job first; or -job")
	return c
}

// sortRuns brings together runs of several namespaces, whose order of creation is
// known by clocks alone.
func sortRuns(runs []api.Run, by string) {
	switch by {
	case "created":
		slices.SortStableFunc(runs, func(a, b api.Run) int { return a.Created.Compare(b.Created) })
	case "-created":
		slices.SortStableFunc(runs, func(a, b api.Run) int { return b.Created.Compare(a.Created) })
	}
}

// runs shows runs, as the value for programs.
func (l *listing) runs(value any, runs ...api.Run) error {
	return l.show(value, "RUN\tSTATE\tTASKS\tDONE\tFAILED\tCREATED\tREASON", func(put func(...any)) {
		for i := range runs {
			r := &runs[i]
			put(r.ID, r.State, r.Progress.Tasks, r.Progress.Done, r.Progress.Failed, r.Created.Format(time.RFC3339), r.Reason)
		}
	})
}

func runGetCommand() *cobra.Command {
	var l listing
	return l.add(askIn(&cobra.Command{Use: "get RUN", Short: "show a run, where it stands and what happened to it", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			r, err := to.GetRun(ctx, to.run(a[0]))
			if err != nil {
				return err
			}
			name := func(id string) string { return id }
			if l.output == formTable {
				name = to.names(ctx)
			}
			return l.detail(r, string(r.ID), func(put func(...any)) { runRows(&r, name, put) })
		}))
}

// runRows shows a run to people, who call members by their names.
func runRows(r *api.Run, name func(id string) string, put func(...any)) {
	master := ""
	if r.Master != "" {
		master = fmt.Sprintf("%s, epoch %d", name(r.Master), r.Epoch)
	}
	p := &r.Progress
	by := make([]string, 0, len(p.Members))
	for _, id := range byName(p.Members, name) {
		by = append(by, fmt.Sprintf("%s %d", name(id), p.Members[id]))
	}
	for _, row := range [][2]string{
		{"state", r.State},
		{"reason", r.Reason},
		{"params", r.Params},
		{"tags", strings.Join(r.Tags, ", ")},
		{"attempt", fmt.Sprint(max(r.Attempt, 1))},
		{"master", master},
		{"tasks", fmt.Sprintf("%d of %d done, %d failed, %d attempts", p.Done, p.Tasks, p.Failed, p.Attempts)},
		{"members", strings.Join(by, ", ")},
		{"waits", p.Waiting},
	} {
		if row[1] != "" && (row[0] != "waits" || p.Waiting != r.Reason) {
			put(row[0], row[1])
		}
	}
	for _, h := range r.History {
		put(h.At.Format(time.RFC3339Nano), h.What)
	}
}

func runTasksCommand() *cobra.Command {
	return attemptsCommand(&cobra.Command{
		Use: "tasks RUN", Short: "list the tasks of a run that have ended for good, in the order in which they did", Args: args(1, 1),
		Example: "  muster run tasks nightly@20260329T030000Z --state failed -o name",
	}, (*client.Client).ListTasks)
}

func runAttemptsCommand() *cobra.Command {
	return attemptsCommand(&cobra.Command{
		Use: "attempts RUN", Short: "list the attempts at the tasks of a run that have ended, in the order in which they did", Args: args(1, 1),
		Example: "  muster run attempts nightly@20260329T030000Z --task m3",
	}, (*client.Client).ListAttempts)
}

// attemptsCommand lists attempts, or the last ones of tasks.
func attemptsCommand(c *cobra.Command, list func(*client.Client, context.Context, job.RunID, client.TaskQuery) (api.Attempts, error)) *cobra.Command {
	var l listing
	var p paged
	var q client.TaskQuery
	c = l.add(p.add(askIn(c, func(ctx context.Context, to *asked, a []string) error {
		if q.Node != "" {
			n, err := to.GetNode(ctx, q.Node)
			if err != nil {
				return fmt.Errorf("--node %s: %w", q.Node, err)
			}
			q.Node = n.ID
		}
		compacted := false
		found, next, err := gather(&p, func(cursor string, limit int) ([]api.Attempt, string, error) {
			q.Cursor, q.Limit = cursor, limit
			page, err := list(to.Client, ctx, to.run(a[0]), q)
			compacted = compacted || page.Compacted
			return page.Attempts, page.Next, err
		})
		if err != nil {
			return err
		}
		if compacted {
			fmt.Fprintln(l.told, "Some are not listed: of a large run that has succeeded, what succeeded before the reduce step is counted by muster run get and not kept.")
		}
		more(l.told, next)
		name := func(id string) string { return id }
		if l.output == formTable {
			name = to.names(ctx)
		}
		return l.show(api.Attempts{Attempts: found, Compacted: compacted, Page: api.Page{Next: next}}, "TASK\tATTEMPT\tSTATE\tNODE\tTOOK\tREASON", func(put func(...any)) {
			for i := range found {
				t := &found[i]
				put(t.Task, t.Attempt, t.State, name(t.Node), t.Took, t.Reason)
			}
		})
	})))
	c.Flags().StringVar(&q.Task, "task", "", "only this task, as in m12, or this kind of tasks: b, m or r")
	c.Flags().StringVar(&q.Node, "node", "", "only what this node executed, by its name or ID")
	c.Flags().StringVar(&q.State, "state", "", "only what succeeded or failed")
	c.Flags().BoolVar(&q.Desc, "desc", false, "the latest first")
	return c
}

func runResultCommand() *cobra.Command {
	var l listing
	return l.addStream(askIn(&cobra.Command{
		Use: "result RUN", Short: "print what a run that is over returned", Args: args(1, 1),
		Long: `Result prints what a run returned as it comes: pairs as key and value, results as
they are, one a line, or each as an object for programs. Tasks that failed go to
standard error.`,
		Example: "  muster run result words@20260329T030000Z -o json",
	}, func(ctx context.Context, to *asked, a []string) error {
		for item, err := range to.DownloadResult(ctx, to.run(a[0])) {
			if err != nil {
				return err
			}
			switch {
			case l.output != formTable:
				err = l.value(item)
			case item.Error != "":
				fmt.Fprintf(l.told, "%s failed: %s\n", item.Task, item.Error)
			case item.Key != nil:
				_, err = fmt.Fprintf(l.out, "%v\t%v\n", item.Key, item.Value)
			default:
				_, err = fmt.Fprintf(l.out, "%v\n", item.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func runWaitCommand() *cobra.Command {
	var l listing
	var timeout time.Duration
	var c *cobra.Command
	c = l.add(askIn(&cobra.Command{
		Use: "wait RUN", Short: "wait until a run is over, and fail if it did not succeed", Args: args(1, 1),
		Long: `Wait shows how a run goes, on standard error, and how it ended. To interrupt it does
nothing to the run.`,
		Example: "  muster run wait nightly@20260329T030000Z --timeout 10m",
	}, func(ctx context.Context, to *asked, a []string) error {
		id := to.run(a[0])
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		defer detached(c.Context(), c.ErrOrStderr(), id)
		r, err := waitRun(ctx, to, id, c.ErrOrStderr(), true)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) { // whatever the request that it ended says
			return fmt.Errorf("--timeout %v: run %s is not over, and goes on: %w", timeout, id, ctx.Err())
		}
		if err != nil {
			return err
		}
		if err := l.runs(r, r); err != nil {
			return err
		}
		return outcome(&r)
	}))
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; the run goes on then (default: until it is over)")
	return c
}

// waitRun returns a run when it is over. Until then it shows how it goes, if
// people want to see that.
func waitRun(ctx context.Context, to *asked, id job.RunID, w io.Writer, show bool) (last api.Run, err error) {
	if !show {
		return to.WaitRun(ctx, id)
	}
	m := newMeter(w, id.Job())
	name := to.names(ctx)
	for r, err := range to.WatchRun(ctx, id) {
		if err != nil {
			return r, err
		}
		last = r
		m.show(job.Progress(r.Progress), isOver(r.State), name)
	}
	m.end()
	if ctx.Err() != nil {
		return last, context.Cause(ctx)
	}
	return last, nil
}

// isOver reports whether a run in that state changes no more.
func isOver(state string) bool {
	s, err := job.ParseState(state)
	return err == nil && s.Done()
}

// outcome is an error if a run that is over did not succeed.
func outcome(r *api.Run) error {
	if r.State == job.Succeeded.String() {
		return nil
	}
	return fmt.Errorf("run %s %s: %s", r.ID, r.State, r.Reason)
}

// detached tells whoever has interrupted a verb that the run goes on.
func detached(ctx context.Context, w io.Writer, id job.RunID) {
	if ctx.Err() != nil {
		fmt.Fprintf(w, "\nThe run goes on. Follow it again with\n  muster run logs -f %s\nand end it with\n  muster run cancel %s\n", id, id)
	}
}

func runCancelCommand() *cobra.Command {
	return runEndCommand(&cobra.Command{
		Use: "cancel [RUN]...", Short: "ask runs to end early; their attempts may come to their end",
		Example: `  muster run cancel nightly@20260329T030000Z
  muster run cancel --job nightly --state pending --reason 'no need any more'`,
	}, job.BulkCancel, (*client.Client).CancelRun)
}

func runStopCommand() *cobra.Command {
	return runEndCommand(&cobra.Command{
		Use: "stop [RUN]...", Short: "end runs at once",
		Example: "  muster run stop --job nightly --from 1h --yes",
	}, job.BulkStop, (*client.Client).StopRun)
}

// runEndCommand ends runs in one of the ways that there are.
func runEndCommand(c *cobra.Command, verb job.Verb, end func(*client.Client, context.Context, job.RunID, string) (api.Run, error)) *cobra.Command {
	return manyCommand(c, "why, for those who look at the runs later", func() job.Verb { return verb }, func(ctx context.Context, to *asked, l *listing, id job.RunID, reason string) error {
		r, err := end(to.Client, ctx, id, reason)
		if err != nil {
			return err
		}
		return l.runs(r, r)
	})
}

func runRetryCommand() *cobra.Command {
	var all bool
	c := manyCommand(&cobra.Command{
		Use: "retry [RUN]...", Short: "try the tasks again that did not succeed, as the next attempt of a run, and print its ID",
		Example: `  muster run retry nightly@20260329T030000Z
  muster run retry --job nightly --state failed --from 7d`,
	}, "why, of many runs, for those who look at the operation later", func() job.Verb {
		if all {
			return job.BulkRetryAll
		}
		return job.BulkRetry
	}, func(ctx context.Context, to *asked, l *listing, id job.RunID, _ string) error {
		r, err := to.RetryRun(ctx, id, all)
		if err != nil {
			return err
		}
		return l.made(&r)
	})
	c.Flags().BoolVar(&all, "all", false, "try all tasks again")
	return c
}

// manyCommand does something to one run, or a verb to many.
func manyCommand(c *cobra.Command, why string, verb func() job.Verb, one func(ctx context.Context, to *asked, l *listing, id job.RunID, reason string) error) *cobra.Command {
	var l listing
	var m many
	var reason string
	c.Args, c.Long = args(0, job.MaxBulk), manyHelp
	c = l.add(askIn(c, func(ctx context.Context, to *asked, a []string) error {
		if len(a) == 1 && !m.isAsked(a) {
			return one(ctx, to, &l, to.run(a[0]), reason)
		}
		b, err := m.bulk(to, verb(), a, reason)
		if err != nil {
			return err
		}
		return m.carryOut(ctx, c, to, &l, &b)
	}))
	m.add(c)
	c.Flags().StringVar(&reason, "reason", "", why)
	return c
}
