// Command logs has tasks run child processes and shows what both of them log
// while they do, as whoever looks at the run from anywhere in the cluster would
// see it.
//
//	go run ./examples/logs
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// script runs a shell script.
func script(ctx context.Context, t *mapreduce.Task) (any, error) {
	var text string
	if err := t.Decode(&text); err != nil {
		return nil, err
	}
	t.Log.Info("begins", slog.Int("bytes", len(text)))
	cmd := exec.CommandContext(ctx, "sh", "-c", text)
	cmd.Stdout, cmd.Stderr = t.Stdout(), t.Stderr()
	return nil, cmd.Run()
}

// run follows the lines of a run to its end, and then picks some of them.
func run(ctx context.Context, w io.Writer) (err error) {
	n, err := node.Start(ctx, node.Config{
		Name: "a", Slots: 1, Logger: slog.New(slog.DiscardHandler), // the run keeps the lines all the same
		Processors: mapreduce.Registry{"script": mapreduce.ProcessorFunc(script)},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Stop(context.WithoutCancel(ctx))) }()
	r, err := n.Submit(ctx, job.Spec{
		Processor: "script",
		Input:     job.Values("echo one; echo two", "echo this went wrong >&2; exit 3"),
		Retry:     job.Retry{Attempts: 1},
	})
	if err != nil {
		return err
	}
	for line, err := range r.Logs(ctx, job.LogQuery{Follow: true}) {
		if err != nil {
			return err
		}
		fmt.Fprintln(w, line.Task, line.Level, line.Text, line.Attrs)
	}
	_, failed := r.Wait(ctx)
	fmt.Fprintln(w, "the run has failed:", failed != nil)
	for line, err := range r.Logs(ctx, job.LogQuery{Level: slog.LevelWarn, Regexp: "wrong$|stderr"}) {
		if err != nil {
			return err
		}
		fmt.Fprintln(w, "because of", line.Task, "on", line.Node+":", line.Text)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
