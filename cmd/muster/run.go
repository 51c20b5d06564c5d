package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "look at runs, end them, and try them again", Args: args(0, 0), RunE: help}
	c.AddCommand(runListCommand(), runGetCommand(), runCancelCommand(), runStopCommand(), runRetryCommand(), runLogsCommand())
	return c
}

func runListCommand() *cobra.Command {
	var l listing
	var after string
	var limit int
	c := l.add(visit(&cobra.Command{Use: "list", Short: "list runs in the order of their IDs", Args: args(0, 0)},
		func(ctx context.Context, n *node.Node, _ []string) error {
			runs, err := n.Runs(ctx, job.RunID(after), limit)
			if err != nil {
				return err
			}
			return l.show(views(runs), "RUN\tSTATE\tTASKS\tDONE\tFAILED\tCREATED\tREASON", func(put func(...any)) {
				for _, r := range runs {
					put(r.ID, r.State, r.Progress.Tasks, r.Progress.Done, r.Progress.Failed, r.Created.Format(time.RFC3339), r.Reason)
				}
			})
		}))
	c.Flags().StringVar(&after, "after", "", "begin after this run")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most, up to 1000")
	return c
}

// view is a run as programs read it.
type view struct {
	ID       job.RunID       `json:"id"`
	State    string          `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Job      string          `json:"job"`
	Attempt  int             `json:"attempt"`
	Epoch    uint64          `json:"epoch"`
	Master   string          `json:"master,omitempty"`
	Created  time.Time       `json:"created"`
	Finished *time.Time      `json:"finished,omitempty"`
	Progress job.Progress    `json:"progress"`
	History  []job.Happening `json:"history,omitempty"`
}

func viewOf(r *job.Run) view {
	v := view{
		ID: r.ID, State: r.State.String(), Reason: r.Reason, Job: r.Spec.Namespace + "/" + r.Spec.Name, Attempt: max(r.Attempt, 1),
		Epoch: r.Epoch, Master: r.Master, Created: r.Created, Progress: r.Progress, History: r.History,
	}
	if !r.Finished.IsZero() {
		v.Finished = &r.Finished
	}
	return v
}

func views(runs []job.Run) []view {
	all := make([]view, 0, len(runs))
	for i := range runs {
		all = append(all, viewOf(&runs[i]))
	}
	return all
}

func runGetCommand() *cobra.Command {
	var l listing
	return l.add(visit(&cobra.Command{Use: "get RUN", Short: "show a run and what happened to it", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			handle := n.Run(job.RunID(a[0]))
			r, err := handle.Get(ctx)
			if err != nil {
				return err
			}
			if p, err := handle.Progress(ctx); err == nil {
				r.Progress = p
			}
			v := viewOf(&r)
			return l.show(v, string(r.ID), func(put func(...any)) { v.rows(nameOf(n), put) })
		}))
}

// rows shows a run to people, who call members by their names.
func (v *view) rows(name func(id string) string, put func(...any)) {
	if v.Master != "" {
		v.Master = fmt.Sprintf("%s, epoch %d", name(v.Master), v.Epoch)
	}
	by := make([]string, 0, len(v.Progress.Members))
	for _, id := range byName(v.Progress.Members, name) {
		by = append(by, fmt.Sprintf("%s %d", name(id), v.Progress.Members[id]))
	}
	p := v.Progress
	for _, row := range [][2]string{
		{"state", v.State},
		{"reason", v.Reason},
		{"attempt", fmt.Sprint(v.Attempt)},
		{"master", v.Master},
		{"tasks", fmt.Sprintf("%d of %d done, %d failed, %d attempts", p.Done, p.Tasks, p.Failed, p.Attempts)},
		{"members", strings.Join(by, ", ")},
		{"waits", p.Waiting},
	} {
		if row[1] != "" && (row[0] != "waits" || p.Waiting != v.Reason) {
			put(row[0], row[1])
		}
	}
	for _, h := range v.History {
		put(h.At.Format(time.RFC3339Nano), h.What)
	}
}

func runCancelCommand() *cobra.Command {
	var reason string
	c := visit(&cobra.Command{Use: "cancel RUN", Short: "ask a run to end early; its attempts may come to their end", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			return n.Run(job.RunID(a[0])).Cancel(ctx, reason)
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the run later")
	return c
}

func runStopCommand() *cobra.Command {
	var reason string
	c := visit(&cobra.Command{Use: "stop RUN", Short: "end a run at once", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			return n.Run(job.RunID(a[0])).Stop(ctx, reason)
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the run later")
	return c
}

func runRetryCommand() *cobra.Command {
	var all bool
	var c *cobra.Command
	c = visit(&cobra.Command{Use: "retry RUN", Short: "try the tasks again that did not succeed, as the next attempt of the run", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			retry := n.Run(job.RunID(a[0])).Retry
			if all {
				retry = n.Run(job.RunID(a[0])).RetryAll
			}
			r, err := retry(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), r.ID())
			return err
		})
	c.Flags().BoolVar(&all, "all", false, "try all tasks again")
	return c
}
