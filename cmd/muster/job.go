package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

func jobCommand() *cobra.Command {
	c := &cobra.Command{Use: "job", Short: "declare jobs, run them, and see when they are due", Args: args(0, 0), RunE: help}
	c.AddCommand(jobApplyCommand(), jobPutCommand(), jobListCommand(), jobGetCommand(), jobHistoryCommand(), jobNextCommand(), jobRunCommand(),
		jobBackfillCommand(), jobPauseCommand(), jobResumeCommand(), jobDeleteCommand(), jobExportCommand())
	return c
}

func jobPutCommand() *cobra.Command {
	var l listing
	var spec job.Spec
	var mode, overlap, misfire string
	var limits limitFlags
	var expect uint64
	c := askIn(&cobra.Command{
		Use: "put [NAMESPACE/]JOB", Short: "declare a job by flags, or change one", Args: args(1, 1),
		Long: `Put declares a job that is as the flags say, whatever it was before. See apply for
jobs that are kept in files.`,
		Example: `  muster job put nightly --processor report --when '30 2 * * *' --zone Europe/Berlin
  muster job put poll --processor sync --when 'every 5s' --overlap skip`,
	}, func(ctx context.Context, to *asked, a []string) (err error) {
		spec.Namespace, spec.Name = to.job(a[0])
		if spec.Mode, err = job.ParseMode(mode); err != nil {
			return fmt.Errorf("--mode: %w: %w", err, errUsage)
		}
		spec.Limits = limits
		spec.Schedule.Overlap, spec.Schedule.Misfire = trigger.Overlap(overlap), trigger.Misfire(misfire)
		j, err := to.PutJob(ctx, spec.Namespace, spec.Name, api.SpecOf(&spec), expect)
		if err != nil {
			return err
		}
		next, err := to.NextFires(ctx, spec.Namespace, spec.Name, 3)
		if err != nil {
			return err
		}
		if err := l.show(j, "JOB\tREVISION\tWHEN", func(put func(...any)) { put(nameOfJob(&j.Spec), j.Revision, whenOf(&j.Spec.Schedule)) }); err != nil {
			return err
		}
		due(l.told, &next)
		return nil
	})
	s := c.Flags()
	s.StringVar(&spec.Processor, "processor", "", "what runs")
	s.StringVar(&mode, "mode", "auto", "auto, standalone, map, sharded, broadcast or mapreduce")
	s.StringVar(&spec.Params, "params", "", "text that every task sees")
	s.StringSliceVar(&spec.Tags, "tag", nil, "tag by which the job's runs are found; repeat for more")
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
	return l.add(c)
}

func nameOfJob(s *api.Spec) string { return s.Namespace + "/" + s.Name }

func whenOf(s *api.Schedule) string { return strings.TrimSpace(s.When + " " + s.Zone) }

// due tells people when a job is due next.
func due(w io.Writer, next *api.NextFires) {
	for _, f := range next.Fires {
		fmt.Fprintf(w, "  due %s  %s\n", f.Local, strings.Join(f.Notes, "; "))
	}
}

func jobListCommand() *cobra.Command {
	var l listing
	var p pagedIn
	return l.add(p.add(askIn(&cobra.Command{
		Use: "list", Short: "list jobs in the order of their names", Args: args(0, 0),
		Example: `  muster job list -n reports
  muster job list -A -o name`,
	}, func(ctx context.Context, to *asked, _ []string) error {
		var jobs api.Jobs
		var err error
		jobs.Jobs, jobs.Next, err = gatherIn(ctx, to, &p, func(namespace, cursor string, limit int) ([]api.Job, string, error) {
			page, err := to.ListJobs(ctx, namespace, cursor, limit)
			return page.Jobs, page.Next, err
		})
		if err != nil {
			return err
		}
		more(l.told, jobs.Next)
		return l.show(jobs, "JOB\tREVISION\tWHEN\tNEXT\tRUNS\tSKIPPED\tLAST", func(put func(...any)) {
			for i := range jobs.Jobs {
				j := &jobs.Jobs[i]
				put(nameOfJob(&j.Spec), j.Revision, whenOf(&j.Spec.Schedule), nextOf(j), j.Fires.Runs, sum(j.Fires.Skipped), j.Fires.Last)
			}
		})
	})))
}

// nextOf says when a job is due next.
func nextOf(j *api.Job) string {
	switch f := &j.Fires; {
	case f.Paused:
		return "paused"
	case f.Ended || f.Next.IsZero():
		return "-"
	default:
		return f.Next.Format(time.RFC3339)
	}
}

func sum(counts map[string]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

func jobGetCommand() *cobra.Command {
	var l listing
	return l.add(askIn(&cobra.Command{Use: "get [NAMESPACE/]JOB", Short: "show a job and what became of its fires", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			namespace, name := to.job(a[0])
			j, err := to.GetJob(ctx, namespace, name)
			if err != nil {
				return err
			}
			return l.detail(j, nameOfJob(&j.Spec), func(put func(...any)) { jobRows(&j, put) })
		}))
}

// jobRows shows a job to people.
func jobRows(j *api.Job, put func(...any)) {
	f := &j.Fires
	put("revision", j.Revision)
	put("saved", j.Saved.Format(time.RFC3339))
	put("processor", j.Spec.Processor)
	if j.Spec.Params != "" {
		put("params", j.Spec.Params)
	}
	if len(j.Spec.Tags) > 0 {
		put("tags", strings.Join(j.Spec.Tags, ", "))
	}
	put("when", whenOf(&j.Spec.Schedule))
	put("next", nextOf(j))
	if f.PausedFor != "" {
		put("paused", f.PausedFor)
	}
	put("runs", f.Runs)
	put("last", f.Last)
	for _, name := range j.Missing {
		put("missing", fmt.Sprintf("job %s, which this one is due after", name))
	}
	if f.Waiting > 0 {
		put("waiting", fmt.Sprintf("%d letters of what has happened", f.Waiting))
	}
	for _, why := range slices.Sorted(maps.Keys(f.Refused)) {
		put("refused", fmt.Sprintf("%d by %s", f.Refused[why], why))
	}
	for _, s := range f.Recent {
		put("skipped", fmt.Sprintf("%d by %s, %s to %s", s.Count, s.Cause, s.From.Format(time.RFC3339), s.To.Format(time.RFC3339)))
	}
}

func jobHistoryCommand() *cobra.Command {
	var l listing
	return l.add(askIn(&cobra.Command{Use: "history [NAMESPACE/]JOB", Short: "show the revisions of a job, the present one first", Args: args(1, 1)},
		func(ctx context.Context, to *asked, a []string) error {
			namespace, name := to.job(a[0])
			all, err := to.ListRevisions(ctx, namespace, name)
			if err != nil {
				return err
			}
			return l.show(all, "REVISION\tSAVED\tPROCESSOR\tWHEN\tPARAMS", func(put func(...any)) {
				for _, r := range all.Revisions {
					put(r.Revision, r.Saved.Format(time.RFC3339), r.Spec.Processor, whenOf(&r.Spec.Schedule), r.Spec.Params)
				}
			})
		}))
}

func jobNextCommand() *cobra.Command {
	var l listing
	var n int
	c := &cobra.Command{Use: "next [NAMESPACE/]JOB", Short: "show when a job is due next", Args: args(1, 1)}
	c.Flags().IntVarP(&n, "count", "n", 10, "how many")
	return l.addStream(askIn(c,
		func(ctx context.Context, to *asked, a []string) error {
			namespace, name := to.job(a[0])
			next, err := to.NextFires(ctx, namespace, name, n)
			if err != nil {
				return err
			}
			return l.show(next, "AT\tLOCAL\tNOTES", func(put func(...any)) {
				for _, f := range next.Fires {
					put(f.At.Format(time.RFC3339), f.Local, strings.Join(f.Notes, "; "))
				}
			})
		}))
}

func jobBackfillCommand() *cobra.Command {
	var from, until string
	var c *cobra.Command
	c = askIn(&cobra.Command{
		Use: "backfill [NAMESPACE/]JOB", Short: "make runs for past fires of a job", Args: args(1, 1),
		Example: "  muster job backfill nightly --from 7d --until 2026-03-29T00:00:00Z",
	}, func(ctx context.Context, to *asked, a []string) error {
		namespace, name := to.job(a[0])
		if from == "" || until == "" {
			return fmt.Errorf("--from and --until are missing: say for which time, as in --from 7d --until 1d: %w", errUsage)
		}
		now := time.Now()
		begin, err := moment("--from", from, now)
		if err != nil {
			return err
		}
		end, err := moment("--until", until, now)
		if err != nil {
			return err
		}
		for all := 0; ; {
			made, err := to.BackfillJob(ctx, namespace, name, begin, end)
			all += made.Made
			if err != nil || made.Rest.IsZero() {
				fmt.Fprintf(c.ErrOrStderr(), "%d runs made\n", all)
				return err
			}
			begin = made.Rest
		}
	})
	c.Flags().StringVar(&from, "from", "", "first instant, as in 2026-03-01T00:00:00Z, or how long ago, as in 7d")
	c.Flags().StringVar(&until, "until", "", "the instant after the last, or how long ago that was")
	return c
}

func jobPauseCommand() *cobra.Command {
	var reason string
	c := severalJobs(&cobra.Command{
		Use: "pause [NAMESPACE/]JOB...", Short: "let no more runs of jobs begin",
		Example: "  muster job list -o name | xargs muster job pause --reason 'the source is down'",
	}, job.BulkPause, &reason, func(ctx context.Context, to *asked, namespace, name string) error {
		return to.PauseJob(ctx, namespace, name, reason)
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the job later")
	return c
}

func jobResumeCommand() *cobra.Command {
	return severalJobs(&cobra.Command{Use: "resume [NAMESPACE/]JOB...", Short: "let runs of jobs begin again"}, job.BulkResume, new(string),
		func(ctx context.Context, to *asked, namespace, name string) error {
			return to.ResumeJob(ctx, namespace, name)
		})
}

func jobDeleteCommand() *cobra.Command {
	return severalJobs(&cobra.Command{Use: "delete [NAMESPACE/]JOB...", Short: "remove jobs; their runs stay"}, job.BulkDelete, new(string),
		func(ctx context.Context, to *asked, namespace, name string) error {
			return to.DeleteJob(ctx, namespace, name)
		})
}

func jobExportCommand() *cobra.Command {
	var l listing
	return l.in(askIn(&cobra.Command{
		Use: "export", Short: "print the specs of all jobs of a namespace, as a file that apply takes", Args: args(0, 0),
		Long: `Export prints what jobs are declared as, with the inline values of their inputs. It
fails and names the job rather than lose values that YAML and JSON have no word
for, or print more than the 16 MiB that apply takes.`,
		Example: "  muster job export -n reports > reports.yaml",
	}, func(ctx context.Context, to *asked, _ []string) error {
		specs, err := to.ExportJobs(ctx, to.namespace)
		if err != nil {
			return err
		}
		return l.value(specs)
	}), formYAML, formJSON)
}
