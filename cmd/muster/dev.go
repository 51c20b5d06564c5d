package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

func devCommand() *cobra.Command {
	var d dev
	var level string
	c := &cobra.Command{
		Use:   "dev",
		Short: "run a cluster of one node with jobs to try",
		Long: `Dev runs one node with a few declared jobs and the HTTP API until it is
interrupted. It is for looking round and for writing against: everybody on this
machine may do everything, and what it keeps is gone at its end, unless --dir
says where. docs/CLI.md and docs/API.md are tours that begin here.`,
		Example: `  muster dev
  muster job list
  muster job run greet --params '{"name":"you"}' --follow
  curl http://127.0.0.1:8080/api/v1/namespaces/default/jobs`,
		Args: args(0, 0),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if d.log, err = logger(level); err != nil {
				return err
			}
			if err := d.web.check(false, false); err != nil {
				return err
			}
			if d.web.addr != none && d.web.access != accessOpen {
				return fmt.Errorf("--http %q, --http-access %s: a cluster to try is open to everybody on this machine: want an address on loopback, or muster agent: %w", d.web.addr, d.web.access, errUsage)
			}
			return d.run(c.Context(), c.OutOrStdout(), nil)
		},
	}
	d.web.add(c)
	c.Flags().StringVar(&d.dir, "dir", "", "data directory (default: a temporary one, removed at the end)")
	c.Flags().BoolVar(&d.empty, "empty", false, "declare no jobs")
	c.Flags().StringVar(&level, "log", "warn", "least level of log lines: debug, info, warn or error")
	return c
}

// dev is a cluster of one node to try things on.
type dev struct {
	web   httpFlags
	dir   string
	empty bool
	log   *slog.Logger
}

// run is there until ctx ends. When it can be used it calls up, if that is not
// nil, with the address of the API.
func (d *dev) run(ctx context.Context, w io.Writer, up func(url string)) (err error) {
	cfg := node.Config{Name: "dev", Cluster: "dev", Dir: d.dir, Processors: processors(), Logger: d.log}
	cfg.Processors["greet"] = mapreduce.ProcessorFunc(greet)
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	var s *apiServer
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, s.stop(ctx), n.Stop(ctx))
	}()
	if !d.empty {
		for _, spec := range demoJobs() {
			if _, err := n.PutJob(ctx, spec, 0); err != nil {
				return err
			}
		}
	}
	if s, err = d.web.serve(ctx, n, nil, d.log); err != nil {
		return err
	}
	d.welcome(w, n, s)
	if up != nil && s != nil {
		up(s.url)
	}
	<-ctx.Done()
	return nil
}

// welcome says where to look.
func (d *dev) welcome(w io.Writer, n *node.Node, s *apiServer) {
	fmt.Fprintf(w, "muster: node %s is up, for everybody on this machine. Interrupt it to end it.\n\n", n.Name())
	if s != nil {
		at := s.url + api.Prefix
		fmt.Fprintf(w, "  jobs     %s/namespaces/default/jobs\n", at)
		fmt.Fprintf(w, "  runs     %s/namespaces/default/runs\n", at)
		fmt.Fprintf(w, "  cluster  %s/cluster\n", at)
		fmt.Fprintf(w, "  API      %s\n\nMake a run:\n\n", s.openapi())
		fmt.Fprintf(w, "  muster job run greet --params '{\"name\":\"you\"}' --follow%s\n", s.flag())
		fmt.Fprintf(w, "  curl %s/namespaces/default/jobs/greet/runs --json '{\"params\":\"{\\\"name\\\":\\\"you\\\"}\"}'\n\n", at)
	}
	fmt.Fprintf(w, "Join it from elsewhere:\n\n  muster agent --cluster dev --join %s\n\n", n.Gossip())
}

// demoJobs are jobs that show what there is.
func demoJobs() []job.Spec {
	when := func(text string) trigger.Schedule { return trigger.Schedule{When: text} }
	return []job.Spec{
		{Name: "greet", Processor: "greet", Params: `{"name":"world"}`},
		{Name: "tick", Processor: "greet", Params: `{"name":"again"}`, Schedule: when("every 1m"), Retain: job.Retention{Runs: 10}},
		{Name: "nightly", Processor: "sleep", Params: "1s", Schedule: trigger.Schedule{When: "30 2 * * *", Zone: "Europe/Berlin"}},
		{Name: "count", Processor: "fanout", Params: `{"tasks":1000}`},
		{Name: "bill", Processor: "greet", Params: `{"name":"customer"}`, Schedule: when(`event order.paid where "data.amount > 0"`)},
	}
}

// greeting is what greet is told.
type greeting struct {
	Name  string `json:"name"`
	Lines int    `json:"lines"` // how many it logs; 0 means 3
	Pause string `json:"pause"` // between two of them, as in 100ms
	Fail  bool   `json:"fail"`  // it fails in the end
}

// greet logs a few lines and returns a greeting, or fails if it is told to.
func greet(ctx context.Context, t *mapreduce.Task) (any, error) {
	var g greeting
	if t.Params != "" {
		if err := json.Unmarshal([]byte(t.Params), &g); err != nil {
			return nil, mapreduce.Permanent(fmt.Errorf("params %q: want JSON as in {\"name\":\"world\"}: %w", t.Params, err))
		}
	}
	pause, err := time.ParseDuration(g.Pause)
	if g.Pause != "" && err != nil {
		return nil, mapreduce.Permanent(fmt.Errorf("pause: %w", err))
	}
	if g.Lines == 0 {
		g.Lines = 3
	}
	for i := range g.Lines {
		t.Log.Info("hello", slog.String("to", g.Name), slog.Int("line", i+1), slog.Int("of", g.Lines))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if g.Fail {
		return nil, mapreduce.Permanent(errors.New("it was told to fail"))
	}
	return "hello " + g.Name, nil
}
