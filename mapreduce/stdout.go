package mapreduce

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// Stdout returns where to let a child process write its standard output: each
// line of it goes to Log at level Info, with the attribute stream=stdout.
//
//	cmd := exec.CommandContext(ctx, "convert", in, out)
//	cmd.Stdout, cmd.Stderr = t.Stdout(), t.Stderr()
//
// A line that is very long comes in pieces. The last one needs no end: it is
// passed on when the attempt ends, or by Flush.
func (t *Task) Stdout() io.Writer { return t.output(slog.LevelInfo, "stdout") }

// Stderr is Stdout for standard error, whose lines have level Warn.
func (t *Task) Stderr() io.Writer { return t.output(slog.LevelWarn, "stderr") }

// Flush passes on what was written to Stdout and Stderr of a line that has no
// end yet.
func (t *Task) Flush() {
	if t.out == nil {
		return // as for most tasks
	}
	t.out.mu.Lock()
	all := t.out.all
	t.out.mu.Unlock()
	for _, w := range all {
		w.flush()
	}
}

// outputs is what was made for the child processes of a task and its copies.
type outputs struct {
	mu  sync.Mutex
	all []*lineWriter // guarded by mu
}

// first makes sure that a task, which is a value that is copied, gets outputs
// once.
var first sync.Mutex

func (t *Task) output(level slog.Level, stream string) *lineWriter {
	w := &lineWriter{log: t.Log, level: level, stream: slog.String("stream", stream)}
	first.Lock()
	if t.out == nil {
		t.out = new(outputs)
	}
	first.Unlock()
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	t.out.all = append(t.out.all, w)
	return w
}

// maxLine is how long a line gets before it is passed on in pieces.
const maxLine = 8 << 10

// lineWriter logs what is written to it line by line.
type lineWriter struct {
	log    *slog.Logger
	level  slog.Level
	stream slog.Attr

	mu   sync.Mutex
	rest []byte // of a line that has no end yet; guarded by mu
	cut  bool   // the line's first pieces were passed on; guarded by mu
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	var lines []string
	w.mu.Lock()
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		take := end
		if end < 0 {
			take = len(p)
		}
		if take = min(take, maxLine-len(w.rest)); take < end || end < 0 {
			w.rest = append(w.rest, p[:take]...)
			p = p[take:]
			if len(w.rest) == maxLine {
				lines = append(lines, w.takeLocked())
				w.cut = true
			}
			continue
		}
		w.rest = append(w.rest, p[:end]...)
		p = p[end+1:]
		if len(w.rest) > 0 || !w.cut {
			lines = append(lines, w.takeLocked())
		}
		w.cut = false
	}
	w.mu.Unlock()
	for _, line := range lines {
		w.say(line)
	}
	return n, nil
}

// takeLocked returns the line so far, without its end.
func (w *lineWriter) takeLocked() string {
	line := string(bytes.TrimSuffix(w.rest, []byte("\r")))
	w.rest = w.rest[:0]
	return line
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	line := w.takeLocked()
	w.mu.Unlock()
	if line != "" {
		w.say(line)
	}
}

func (w *lineWriter) say(line string) {
	w.log.LogAttrs(context.Background(), w.level, line, w.stream) //nolint:sloglint // the process says what it says
}
