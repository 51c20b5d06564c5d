package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func runLogsCommand() *cobra.Command {
	var l listing
	var q job.LogQuery
	var level, file string
	var c *cobra.Command
	c = l.add(visit(&cobra.Command{
		Use: "logs RUN", Short: "show what the tasks of a run have logged", Args: args(1, 1),
		Long: `Logs shows what the tasks of a run have logged, whichever nodes they ran on, by
time. With --follow it goes on until the run is over; to interrupt it does
nothing to the run. A run that is tried again is one of its own: show the lines
of the ID that "muster run retry" prints.`,
		Example: `  muster run logs default/nightly@20260329T030000Z --join 127.0.0.1:7946 -f -n 20
  muster run logs default/nightly@20260329T030000Z --join 127.0.0.1:7946 --level warn --task m3 -o json
  muster run logs default/nightly@20260329T030000Z --join 127.0.0.1:7946 --download nightly.log`,
	}, func(ctx context.Context, n *node.Node, a []string) error {
		if err := q.Level.UnmarshalText([]byte(level)); err != nil {
			return fmt.Errorf("--level %q: want debug, info, warn or error: %w", level, errUsage)
		}
		if err := q.Validate(); err != nil {
			return fmt.Errorf("%w: %w", err, errUsage)
		}
		run := n.Run(job.RunID(a[0]))
		if file != "" {
			return download(ctx, run, file, c.ErrOrStderr())
		}
		return showLogs(ctx, run, q, &l)
	}))
	f := c.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on with lines as they come, until the run is over")
	f.StringVar(&level, "level", "info", "the least level: debug, info, warn or error")
	f.StringVar(&q.Task, "task", "", "only lines of this task, as in m3")
	f.IntVar(&q.Attempt, "attempt", 0, "only lines of this attempt at a task")
	f.StringVar(&q.Node, "node", "", "only lines from the node of this name")
	f.StringVar(&q.Text, "text", "", "only lines that contain this")
	f.StringVar(&q.Regexp, "grep", "", "only lines that match this regular expression")
	f.IntVarP(&q.Limit, "lines", "n", 0, "only the last so many lines, before those that --follow adds; 0 is all")
	f.StringVar(&file, "download", "", "write all lines to this file, and their SHA-256 to standard error")
	return c
}

// logRow is a line as programs read it.
type logRow struct {
	Time    time.Time         `json:"time"`
	Level   string            `json:"level"`
	Node    string            `json:"node,omitempty"`
	Run     job.RunID         `json:"run"`
	Task    string            `json:"task,omitempty"`
	Epoch   uint64            `json:"epoch,omitempty"`
	Attempt int               `json:"attempt,omitempty"`
	Seq     uint64            `json:"seq"`
	Text    string            `json:"text"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Dropped uint64            `json:"dropped,omitempty"`
	Cursor  string            `json:"cursor"`
}

func logRowOf(l *job.LogLine) logRow {
	r := logRow{
		Time: l.Time, Level: l.Level.String(), Node: l.Node, Run: l.Run, Epoch: l.Epoch, Attempt: l.Attempt, Seq: l.Seq,
		Text: l.Text, Dropped: l.Dropped, Cursor: l.Cursor(),
	}
	if l.Attempt > 0 {
		r.Task = l.Task.String()
	}
	for _, a := range l.Attrs {
		if r.Attrs == nil {
			r.Attrs = map[string]string{}
		}
		r.Attrs[a.Key] = a.Value
	}
	return r
}

// showLogs writes the lines that q asks for, each as JSON or for people.
func showLogs(ctx context.Context, run *node.Run, q job.LogQuery, l *listing) error {
	out := bufio.NewWriter(l.out)
	put := func(line *job.LogLine) error {
		if l.output == "json" {
			return json.NewEncoder(out).Encode(logRowOf(line))
		}
		_, err := fmt.Fprintln(out, line.String())
		return err
	}
	last := q.Limit > 0 && !q.Follow
	q.Backward = last
	var tail []job.LogLine
	for line, err := range run.Logs(ctx, q) {
		switch {
		case err == nil && last:
			tail = append(tail, line)
			continue
		case err == nil:
			err = put(&line)
		}
		if err == nil && q.Follow {
			err = out.Flush()
		}
		if err != nil {
			_ = out.Flush() // what came before is good
			return err
		}
	}
	for _, line := range slices.Backward(tail) {
		if err := put(&line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// download writes all lines of a run to a file.
func download(ctx context.Context, run *node.Run, path string, told io.Writer) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	sum, err := run.Download(ctx, file)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("--download %s: %w", path, err)
	}
	fmt.Fprintf(told, "%s  %s\n", sum, path)
	return nil
}
