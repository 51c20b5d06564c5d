package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/job"
)

func runLogsCommand() *cobra.Command {
	var l listing
	var q client.LogQuery
	var follow bool
	var file string
	c := &cobra.Command{
		Use: "logs RUN", Short: "show what the tasks of a run have logged", Args: args(1, 1),
		Long: `Logs shows what the tasks of a run have logged, whichever nodes they ran on, by
time. With --follow it goes on until the run is over; to interrupt it does
nothing to the run. A run that is tried again is one of its own: show the lines
of the ID that "muster run retry" prints.`,
		Example: `  muster run logs nightly@20260329T030000Z -f -n 20
  muster run logs nightly@20260329T030000Z --level warn --task m3 -o json
  muster run logs nightly@20260329T030000Z --download nightly.log`,
	}
	c.Flags().IntVarP(&q.Limit, "lines", "n", 0, "only the last so many lines, before those that --follow adds; 0 is all")
	l.addStream(askIn(c, func(ctx context.Context, to *asked, a []string) error {
		id, out := to.run(a[0]), l.lines()
		switch {
		case q.Limit < 0:
			return fmt.Errorf("--lines %d: want a number of lines, or 0 for all: %w", q.Limit, errUsage)
		case file != "":
			return download(ctx, to, id, file, c.ErrOrStderr())
		case follow:
			defer detached(ctx, c.ErrOrStderr(), id)
			return out.follow(ctx, to, id, q)
		case q.Limit > 0:
			return out.last(ctx, to, id, q)
		}
		return out.all(ctx, to, id, q)
	}))
	f := c.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with lines as they come, until the run is over")
	f.StringVar(&q.Level, "level", "info", "the least level: all, debug, info, warn or error")
	f.StringVar(&q.Task, "task", "", "only lines of this task, as in m3")
	f.IntVar(&q.Attempt, "attempt", 0, "only lines of this attempt at a task")
	f.StringVar(&q.Node, "node", "", "only lines from the node of this name")
	f.StringVar(&q.Text, "text", "", "only lines that contain this")
	f.StringVar(&q.Regexp, "grep", "", "only lines that match this regular expression")
	f.StringVar(&file, "download", "", "write all lines to this file, and their SHA-256 to standard error")
	return c
}

// lines shows what a run has logged, line by line.
type lines struct {
	listing
	buffer *bufio.Writer
}

func (l *listing) lines() *lines {
	b := bufio.NewWriter(l.out)
	return &lines{listing{output: l.output, out: b}, b}
}

func (w *lines) put(l *api.LogLine) error {
	if w.output != formTable && w.output != formName {
		return w.value(l)
	}
	_, err := fmt.Fprintln(w.out, textOf(l))
	return err
}

// textOf is a line as people read it, in a file that was downloaded too.
func textOf(l *api.LogLine) string {
	line := job.LogLine{Time: l.Time, Node: l.Node, Attempt: l.Attempt, Text: l.Text}
	if err := line.Level.UnmarshalText([]byte(l.Level)); err != nil {
		line.Level = slog.LevelInfo // which there is no other word for
	}
	if l.Task != "" {
		n, _ := strconv.Atoi(l.Task[1:])
		line.Task = job.TaskID{Kind: job.Kind(l.Task[0]), N: n}
	}
	for _, a := range l.Attrs {
		line.Attrs = append(line.Attrs, job.LogAttr(a))
	}
	return line.String()
}

// follow shows lines as they come.
func (w *lines) follow(ctx context.Context, to *asked, id job.RunID, q client.LogQuery) error {
	for line, err := range to.FollowLogs(ctx, id, q) {
		if err == nil {
			err = w.put(&line)
		}
		if err == nil {
			err = w.buffer.Flush()
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// all shows the lines that there are.
func (w *lines) all(ctx context.Context, to *asked, id job.RunID, q client.LogQuery) error {
	for q.Limit = pageSize; ; {
		page, err := to.ListLogs(ctx, id, q)
		if err != nil {
			return err
		}
		for i := range page.Lines {
			if err := w.put(&page.Lines[i]); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return w.buffer.Flush()
		}
	}
}

// last shows the last lines that there are.
func (w *lines) last(ctx context.Context, to *asked, id job.RunID, q client.LogQuery) error {
	q.Desc = true
	tail, _, err := gather(&paged{limit: q.Limit}, func(cursor string, limit int) ([]api.LogLine, string, error) {
		q.Cursor, q.Limit = cursor, limit
		page, err := to.ListLogs(ctx, id, q)
		return page.Lines, page.Next, err
	})
	if err != nil {
		return err
	}
	for _, line := range slices.Backward(tail) {
		if err := w.put(&line); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}

// download writes all lines of a run to a file.
func download(ctx context.Context, to *asked, id job.RunID, path string, told io.Writer) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--download: %w", err)
	}
	hash := sha256.New()
	err = to.DownloadLogs(ctx, id, io.MultiWriter(file, hash))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("--download %s: %w", path, err)
	}
	fmt.Fprintf(told, "%s  %s\n", hex.EncodeToString(hash.Sum(nil)), path)
	return nil
}
