package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func submitCommand() *cobra.Command {
	var f nodeFlags
	var spec job.Spec
	var mode, output string
	var values, lines, files []string
	c := &cobra.Command{
		Use:   "submit PROCESSOR",
		Short: "join a cluster for as long as a run takes, and print what it returns",
		Example: `  muster submit fanout --join 127.0.0.1:7946 --params '{"tasks":100000}'
  muster submit wordcount --join 127.0.0.1:7946 --lines '/usr/share/doc/**/*.txt' -o json`,
		Args: args(1, 1),
		RunE: func(c *cobra.Command, a []string) error {
			spec.Processor = a[0]
			var err error
			if spec.Mode, err = job.ParseMode(mode); err != nil {
				return fmt.Errorf("--mode: %w: %w", err, errUsage)
			}
			if output != "table" && output != "json" {
				return fmt.Errorf("-o %q: want table or json: %w", output, errUsage)
			}
			if len(f.cfg.Join) == 0 {
				return fmt.Errorf("--join is missing: name the gossip address of a node of the cluster: %w", errUsage)
			}
			if spec.Input, err = input(values, lines, files); err != nil {
				return err
			}
			cfg, err := f.config()
			if err != nil {
				return err
			}
			cfg.Client = true
			full := spec.WithDefaults()
			if err := full.Validate(); err != nil {
				return fmt.Errorf("%w: %w", err, errUsage)
			}
			return submit(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), cfg, spec, output == "json")
		},
	}
	f.add(c)
	_ = c.Flags().Set("log", "warn")
	s := c.Flags()
	s.StringVar(&spec.Name, "job", "", "name of the job (default: the processor's)")
	s.StringVar(&spec.Namespace, "namespace", "", "namespace of the job (default: default)")
	s.StringVar(&mode, "mode", "auto", "auto, standalone, map, sharded, broadcast or mapreduce")
	s.StringVar(&spec.Params, "params", "", "text that every task sees")
	s.StringArrayVar(&values, "value", nil, "inline input, a task's payload; repeat for more")
	s.StringArrayVar(&lines, "lines", nil, "files whose lines are the input, as a pattern; repeat for more")
	s.StringArrayVar(&files, "files", nil, "files that are the input, as a pattern; repeat for more")
	s.IntVar(&spec.Shards, "shards", 0, "tasks of a sharded run (default: one per worker)")
	s.IntVar(&spec.Partitions, "partitions", 0, "reduce tasks of a mapreduce run (default: four per slot)")
	s.BoolVar(&spec.Sorted, "sorted", false, "order the output of a mapreduce run by key as a whole")
	s.IntVar(&spec.Retry.Attempts, "attempts", 0, "attempts at a task in all (default: 4)")
	s.StringVar(&spec.Output.Dir, "out", "", "directory for the files that tasks create")
	s.StringVar(&spec.Output.Format, "format", "", "write pairs to files in --out: tsv or json")
	s.DurationVar(&spec.RunTimeout, "timeout", 0, "bound on the whole run (default: none)")
	s.StringSliceVar(&spec.Tags, "run-tag", nil, "tag by which the run is found; repeat for more")
	s.StringSliceVar(&spec.Placement.Tags, "tag", nil, "tag that a worker must have; repeat for more")
	s.StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func input(values, lines, files []string) (job.Input, error) {
	kinds := 0
	for _, k := range [][]string{values, lines, files} {
		kinds += min(len(k), 1)
	}
	switch {
	case kinds > 1:
		return job.Input{}, fmt.Errorf("--value, --lines and --files are three kinds of input: use one: %w", errUsage)
	case len(values) > 0:
		return job.Values(values...), nil
	case len(lines) > 0:
		return job.Lines(lines...), nil
	case len(files) > 0:
		return job.Files(files...), nil
	}
	return job.Input{}, nil
}

func submit(ctx context.Context, out, progress io.Writer, cfg node.Config, spec job.Spec, asJSON bool) error {
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = n.Stop(ctx) // it holds nothing
	}()
	r, err := n.Submit(ctx, spec)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "run %s\n", r.ID())
	follow(ctx, progress, spec.Processor, r, nameOf(n))
	returned, err := r.Wait(ctx)
	if err != nil {
		return err
	}
	return show(ctx, out, progress, returned, asJSON)
}

// show writes what a run returned: pairs as key and value, results as they
// are, one a line, or each as a JSON object. Tasks that failed go to failed.
func show(ctx context.Context, w, failed io.Writer, out mapreduce.Output, asJSON bool) error {
	enc := json.NewEncoder(w)
	for item, err := range out.Items(ctx) {
		if err != nil {
			return err
		}
		if item.Err != "" {
			fmt.Fprintf(failed, "%s failed: %s\n", item.Task, item.Err)
			continue
		}
		var value any
		if err := mapreduce.Decode(item.Value, &value); err != nil {
			return err
		}
		switch {
		case asJSON && item.Key != nil:
			err = enc.Encode(map[string]any{"key": string(item.Key), "value": value})
		case asJSON:
			err = enc.Encode(map[string]any{"task": item.Task, "value": value})
		case item.Key != nil:
			_, err = fmt.Fprintf(w, "%s\t%v\n", item.Key, value)
		default:
			_, err = fmt.Fprintf(w, "%v\n", value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
