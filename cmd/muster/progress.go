package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// meter shows how a run goes, on one line that changes if the output is a
// terminal, else on a line every few seconds.
type meter struct {
	w            io.Writer
	title        string
	began, shown time.Time
	terminal     bool
}

func newMeter(w io.Writer, title string) *meter {
	return &meter{w: w, title: title, began: time.Now(), terminal: terminal(w)}
}

// every is how long a meter shows the same, at least.
func (m *meter) every() time.Duration {
	if m.terminal {
		return 100 * time.Millisecond
	}
	return 2 * time.Second
}

// show shows where a run stands, unless it has done so just now. What is over
// is shown in any case.
func (m *meter) show(p job.Progress, over bool, name func(id string) string) {
	m.line(over, func(took time.Duration) string { return bar(m.title, p, took, name) })
}

// line is show of what text says after so long.
func (m *meter) line(over bool, text func(took time.Duration) string) {
	now := time.Now()
	if !over && now.Sub(m.shown) < m.every() {
		return
	}
	m.shown = now
	end := "\n"
	if m.terminal {
		end = "\x1b[K\r"
	}
	fmt.Fprintf(m.w, "%s%s", text(now.Sub(m.began)), end)
}

// end leaves the line.
func (m *meter) end() {
	if m.terminal {
		fmt.Fprintln(m.w)
	}
}

// follow shows how a run goes until it is over, and returns where it ended.
func follow(ctx context.Context, w io.Writer, title string, r *node.Run, name func(id string) string) job.Progress {
	m, last := newMeter(w, title), job.Progress{}
	for p := range r.Watch(ctx, m.every()) {
		last = p
		m.show(p, true, name)
	}
	m.end()
	return last
}

// bar is a run's progress in a line.
func bar(title string, p job.Progress, took time.Duration, name func(id string) string) string {
	share := 0.0
	if p.Tasks > 0 {
		share = float64(p.Done+p.Failed) / float64(p.Tasks)
	}
	s := fmt.Sprintf("%-14s %s  %s of %s tasks  %s/s", title, gauge(share),
		count(p.Done+p.Failed), count(p.Tasks), count(int(float64(p.Done)/max(took.Seconds(), 1e-3))))
	for _, id := range byName(p.Members, name) {
		s += fmt.Sprintf("  %s:%s", name(id), count(p.Members[id]))
	}
	if p.Waiting != "" {
		s += "  waits: " + strings.TrimPrefix(p.Waiting, "waits: ")
	}
	return s
}

// gauge draws a share of a whole.
func gauge(share float64) string {
	const width = 24
	share = min(max(share, 0), 1)
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*share)
}

// byName returns the members in the order of their names.
func byName(members map[string]int, name func(id string) string) []string {
	ids := make([]string, 0, len(members))
	for id := range members {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(name(a), name(b)) })
	return ids
}

// nameOf names the members that n sees.
func nameOf(n *node.Node) func(id string) string {
	return func(id string) string {
		for _, m := range n.Members() {
			if m.ID == id {
				return m.Name
			}
		}
		return id
	}
}

// count writes a number with its thousands apart.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes for people.
func size(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g GB", n)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
