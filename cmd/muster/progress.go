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

// follow shows how a run goes until it is over, on one line that changes if
// the output is a terminal, else on a line every few seconds, and returns
// where it ended.
func follow(ctx context.Context, w io.Writer, title string, r *node.Run, name func(id string) string) job.Progress {
	every, end := 2*time.Second, "\n"
	if terminal(w) {
		every, end = 100*time.Millisecond, "\x1b[K\r"
	}
	began, last := time.Now(), job.Progress{}
	for p := range r.Watch(ctx, every) {
		last = p
		fmt.Fprintf(w, "%s%s", bar(title, p, time.Since(began), name), end)
	}
	if terminal(w) {
		fmt.Fprintln(w)
	}
	return last
}

// bar is a run's progress in a line.
func bar(title string, p job.Progress, took time.Duration, name func(id string) string) string {
	const width = 24
	share := 0.0
	if p.Tasks > 0 {
		share = float64(p.Done+p.Failed) / float64(p.Tasks)
	}
	full := int(share * width)
	s := fmt.Sprintf("%-14s [%s%s] %3.0f%%  %s of %s tasks  %s/s", title,
		strings.Repeat("#", full), strings.Repeat(".", width-full), 100*share,
		count(p.Done+p.Failed), count(p.Tasks), count(int(float64(p.Done)/max(took.Seconds(), 1e-3))))
	for _, id := range byName(p.Members, name) {
		s += fmt.Sprintf("  %s:%s", name(id), count(p.Members[id]))
	}
	if p.Waiting != "" {
		s += "  waits: " + strings.TrimPrefix(p.Waiting, "waits: ")
	}
	return s
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
