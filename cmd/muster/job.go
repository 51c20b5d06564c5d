package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func jobCommand() *cobra.Command {
	c := &cobra.Command{Use: "job", Short: "declare jobs, and see when they are due", Args: args(0, 0), RunE: help}
	c.AddCommand(jobPutCommand(), jobListCommand(), jobGetCommand(), jobHistoryCommand(), jobNextCommand(), jobRunCommand(),
		jobBackfillCommand(), jobPauseCommand(), jobResumeCommand(), jobDeleteCommand())
	return c
}

// splitJob returns the namespace and the name of a job written as one.
func splitJob(s string) (namespace, name string) {
	if namespace, name, ok := strings.Cut(s, "/"); ok {
		return namespace, name
	}
	return "default", s
}

func jobPutCommand() *cobra.Command {
	var spec job.Spec
	var mode, overlap, misfire string
	var limits limitFlags
	var expect uint64
	var c *cobra.Command
	c = visit(&cobra.Command{
		Use: "put [NAMESPACE/]JOB", Short: "declare a job, or change one", Args: args(1, 1),
		Example: `  muster job put nightly --processor report --when '30 2 * * *' --zone Europe/Berlin --join 127.0.0.1:7946
  muster job put poll --processor sync --when 'every 5s' --overlap skip --join 127.0.0.1:7946`,
	}, func(ctx context.Context, n *node.Node, a []string) (err error) {
		spec.Namespace, spec.Name = splitJob(a[0])
		if spec.Mode, err = job.ParseMode(mode); err != nil {
			return fmt.Errorf("--mode: %w: %w", err, errUsage)
		}
		spec.Limits = limits
		d, err := n.PutJob(ctx, spec, expect)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "job %s/%s is at revision %d\n", d.Spec.Namespace, d.Spec.Name, d.Revision)
		next, err := n.NextFires(ctx, d.Spec.Namespace, d.Spec.Name, 3)
		for _, f := range next {
			fmt.Fprintf(c.ErrOrStderr(), "  due %s  %s\n", f.Local, strings.Join(f.Notes, "; "))
		}
		return err
	})
	s := c.Flags()
	s.StringVar(&spec.Processor, "processor", "", "what runs")
	s.StringVar(&mode, "mode", "auto", "auto, standalone, map, sharded, broadcast or mapreduce")
	s.StringVar(&spec.Params, "params", "", "text that every task sees")
	s.StringArrayVar(&spec.Input.Globs, "lines", nil, "files whose lines are the input, as a pattern; repeat for more")
	s.IntVar(&spec.Shards, "shards", 0, "tasks of a sharded run")
	s.IntVar(&spec.Retry.Attempts, "attempts", 0, "attempts at a task in all (default: 4)")
	s.IntVar(&spec.Repeat.Attempts, "repeat", 0, "attempts at a run in all, when it fails (default: 1)")
	s.DurationVar(&spec.Repeat.Backoff.Initial, "repeat-after", 0, "wait before the second attempt at a run; twice as long each time (default: 10s)")
	s.IntVar(&spec.Priority, "priority", 0, "which of several runs that wait begins first: the higher")
	s.IntVar(&spec.MaxRuns, "max-runs", 0, "runs that go on at a time (default: any number)")
	limits.add(c, "job or key")
	s.StringVar(&spec.LimitKey, "limit-key", "", "expression on a run's input, as data: what limits by key tell runs apart by")
	s.IntVar(&spec.Weight, "weight", 0, "runs that begin in the job's turn, where several jobs wait (default: 1)")
	s.DurationVar(&spec.RunTimeout, "timeout", 0, "bound on a whole run (default: none)")
	s.StringVar(&spec.Schedule.When, "when", "", "when it is due; see muster trigger next --help")
	s.StringVar(&spec.Schedule.Zone, "zone", "", "IANA zone of local times (default: UTC)")
	s.StringVar(&overlap, "overlap", "", "skip, queue-one, queue-all, cancel-old, kill-old or allow")
	s.StringVar(&spec.Schedule.OverlapKey, "overlap-key", "", "expression on a run's input, as data: only runs of the same value overlap")
	s.StringVar(&misfire, "misfire", "", "what becomes of fires that were missed: one, all or skip")
	s.DurationVar(&spec.Schedule.Jitter, "jitter", 0, "spread of what is due together")
	s.Uint64Var(&expect, "expect", 0, "refuse unless the job is at this revision")
	c.PreRun = func(*cobra.Command, []string) {
		setText(&spec.Schedule.Overlap, overlap)
		setText(&spec.Schedule.Misfire, misfire)
	}
	return c
}

func setText[S ~string](dst *S, s string) { *dst = S(s) }

// jobView is a job as programs read it.
type jobView struct {
	Job       string         `json:"job"`
	Revision  uint64         `json:"revision"`
	Saved     time.Time      `json:"saved"`
	Processor string         `json:"processor"`
	When      string         `json:"when,omitempty"`
	Zone      string         `json:"zone,omitempty"`
	Next      *time.Time     `json:"next,omitempty"`
	Ended     bool           `json:"ended,omitempty"`
	Paused    bool           `json:"paused,omitempty"`
	Runs      int            `json:"runs"`
	Skipped   map[string]int `json:"skipped,omitempty"`
	Recent    []job.Skipped  `json:"recent,omitempty"`
	Waiting   int            `json:"waiting,omitempty"`
	Refused   map[string]int `json:"refused,omitempty"`
	Last      job.RunID      `json:"last,omitempty"`
	Missing   []string       `json:"missing,omitempty"`
}

func jobViewOf(d *job.Declared) jobView {
	f := &d.Fires
	v := jobView{
		Job: d.Spec.Namespace + "/" + d.Spec.Name, Revision: d.Revision, Saved: d.Saved, Processor: d.Spec.Processor,
		When: d.Spec.Schedule.When, Zone: d.Spec.Schedule.Zone, Ended: f.Ended, Runs: f.Runs, Skipped: f.Skipped, Recent: f.Recent, Last: f.Last,
		Waiting: f.Waiting, Refused: f.Refused, Missing: d.Missing, Paused: !f.PausedAt.IsZero() && f.ResumedAt.Before(f.PausedAt),
	}
	if !f.Wake.IsZero() {
		v.Next = &f.Wake
	}
	return v
}

func jobListCommand() *cobra.Command {
	var l listing
	var namespace, after string
	var limit int
	c := l.add(visit(&cobra.Command{Use: "list", Short: "list jobs in the order of their names", Args: args(0, 0)},
		func(ctx context.Context, n *node.Node, _ []string) error {
			jobs, err := n.Jobs(ctx, namespace, after, limit)
			if err != nil {
				return err
			}
			rows := make([]jobView, 0, len(jobs))
			for i := range jobs {
				rows = append(rows, jobViewOf(&jobs[i]))
			}
			return l.show(rows, "JOB\tREVISION\tWHEN\tNEXT\tRUNS\tSKIPPED\tLAST", func(put func(...any)) {
				for _, r := range rows {
					put(r.Job, r.Revision, r.When, stamp(r.Next), r.Runs, sum(r.Skipped), r.Last)
				}
			})
		}))
	c.Flags().StringVar(&namespace, "namespace", "", "only jobs of this namespace")
	c.Flags().StringVar(&after, "after", "", "begin after this job")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most, up to 1000")
	return c
}

func stamp(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func sum(counts map[string]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

func jobGetCommand() *cobra.Command {
	var l listing
	return l.add(visit(&cobra.Command{Use: "get [NAMESPACE/]JOB", Short: "show a job and what became of its fires", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			d, err := n.Job(ctx, namespace, name)
			if err != nil {
				return err
			}
			v := jobViewOf(&d)
			return l.show(v, v.Job, func(put func(...any)) {
				put("revision", v.Revision)
				put("saved", v.Saved.Format(time.RFC3339))
				put("processor", v.Processor)
				put("when", strings.TrimSpace(v.When+" "+v.Zone))
				put("next", stamp(v.Next))
				put("paused", v.Paused)
				put("runs", v.Runs)
				put("last", v.Last)
				for _, name := range v.Missing {
					put("missing", fmt.Sprintf("job %s, which this one is due after", name))
				}
				if v.Waiting > 0 {
					put("waiting", fmt.Sprintf("%d letters of what has happened", v.Waiting))
				}
				for _, why := range slices.Sorted(maps.Keys(v.Refused)) {
					put("refused", fmt.Sprintf("%d by %s", v.Refused[why], why))
				}
				for _, s := range v.Recent {
					put("skipped", fmt.Sprintf("%d by %s, %s to %s", s.Count, s.Cause, s.From.Format(time.RFC3339), s.To.Format(time.RFC3339)))
				}
			})
		}))
}

func jobHistoryCommand() *cobra.Command {
	var l listing
	return l.add(visit(&cobra.Command{Use: "history [NAMESPACE/]JOB", Short: "show the revisions of a job, the present one first", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			all, err := n.Revisions(ctx, namespace, name)
			if err != nil {
				return err
			}
			type view struct {
				Revision  uint64    `json:"revision"`
				Saved     time.Time `json:"saved"`
				Processor string    `json:"processor"`
				When      string    `json:"when,omitempty"`
				Params    string    `json:"params,omitempty"`
			}
			rows := make([]view, 0, len(all))
			for i := range all {
				s := &all[i].Spec
				rows = append(rows, view{all[i].Revision, all[i].Saved, s.Processor, strings.TrimSpace(s.Schedule.When + " " + s.Schedule.Zone), s.Params})
			}
			return l.show(rows, "REVISION\tSAVED\tPROCESSOR\tWHEN\tPARAMS", func(put func(...any)) {
				for _, r := range rows {
					put(r.Revision, r.Saved.Format(time.RFC3339), r.Processor, r.When, r.Params)
				}
			})
		}))
}

func jobNextCommand() *cobra.Command {
	var l listing
	var k int
	c := l.add(visit(&cobra.Command{Use: "next [NAMESPACE/]JOB", Short: "show when a job is due next", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			next, err := n.NextFires(ctx, namespace, name, k)
			if err != nil {
				return err
			}
			return l.show(next, "AT\tLOCAL\tNOTES", func(put func(...any)) {
				for _, f := range next {
					put(f.At.Format(time.RFC3339), f.Local, strings.Join(f.Notes, "; "))
				}
			})
		}))
	c.Flags().IntVarP(&k, "number", "n", 10, "how many")
	return c
}

func jobRunCommand() *cobra.Command {
	var key, limitKey string
	var keyFor, delay time.Duration
	var extra map[string]string
	var c *cobra.Command
	c = visit(&cobra.Command{Use: "run [NAMESPACE/]JOB", Short: "make a run of a job now, and print its ID", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			var options []node.Option
			if key != "" {
				options = append(options, node.KeyFor(key, keyFor))
			}
			if limitKey != "" {
				options = append(options, node.LimitKey(limitKey))
			}
			for name, value := range extra {
				options = append(options, node.Extra(name, value))
			}
			if delay > 0 {
				options = append(options, node.NotBefore(time.Now().Add(delay)))
			}
			r, err := n.RunJob(ctx, namespace, name, options...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), r.ID())
			return err
		})
	c.Flags().StringVar(&key, "unique", "", "name of the run: while it lives there is no other of that name")
	c.Flags().DurationVar(&keyFor, "unique-for", 0, "how long there is no other of that name, at least (default: while the run lives)")
	c.Flags().StringVar(&limitKey, "limit-key", "", "what limits by key tell the run apart by (default: as the job says)")
	c.Flags().StringToStringVar(&extra, "extra", nil, "value that every task sees, as NAME=VALUE; repeat for more")
	c.Flags().DurationVar(&delay, "delay", 0, "how long the run waits before it begins")
	return c
}

func jobBackfillCommand() *cobra.Command {
	var from, until string
	var c *cobra.Command
	c = visit(&cobra.Command{Use: "backfill [NAMESPACE/]JOB", Short: "make runs for past fires of a job", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			begin, err := instant("--from", from)
			if err != nil {
				return err
			}
			end, err := instant("--until", until)
			if err != nil {
				return err
			}
			for all := 0; ; {
				made, rest, err := n.Backfill(ctx, namespace, name, begin, end)
				all += made
				if err != nil || rest.IsZero() {
					fmt.Fprintf(c.ErrOrStderr(), "%d runs made\n", all)
					return err
				}
				begin = rest
			}
		})
	c.Flags().StringVar(&from, "from", "", "first instant, as in 2026-03-01T00:00:00Z")
	c.Flags().StringVar(&until, "until", "", "the instant after the last")
	return c
}

func instant(flag, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%s %q: want a time as in 2026-03-01T00:00:00Z: %w", flag, s, errUsage)
	}
	return t, nil
}

func jobPauseCommand() *cobra.Command {
	var reason string
	c := visit(&cobra.Command{Use: "pause [NAMESPACE/]JOB", Short: "let no more runs of a job begin", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			return n.PauseJob(ctx, namespace, name, reason)
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the job later")
	return c
}

func jobResumeCommand() *cobra.Command {
	return visit(&cobra.Command{Use: "resume [NAMESPACE/]JOB", Short: "let runs of a job begin again", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			return n.ResumeJob(ctx, namespace, name)
		})
}

func jobDeleteCommand() *cobra.Command {
	return visit(&cobra.Command{Use: "delete [NAMESPACE/]JOB", Short: "remove a job; its runs stay", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			return n.DeleteJob(ctx, namespace, name)
		})
}
