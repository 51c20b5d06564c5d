package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/runlog"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

const (
	// logFlush bounds how long a reader waits for nodes to hand on the lines
	// that were just written on them.
	logFlush = time.Second
	// logAnswer bounds how long a server may take to look for lines.
	logAnswer = 10 * time.Second
	// logLate is for how long a reader waits for the other servers when one has
	// answered: one of them may be gone, and nobody has noticed yet.
	logLate = 2 * time.Second
	// settledAfter is how long after the end of a run nobody has lines of it any
	// more that the servers do not.
	settledAfter = time.Minute
)

// Logs yields the lines that the attempts of the run have logged, those of all
// nodes by time: of an attempt they come in the order in which it wrote them,
// and between nodes as well as their clocks agree. Each server has all lines
// that it was there for, and what any of them has is yielded, once. What was
// logged before Logs was called is there, unless its node is out of reach.
//
// With q.Follow they are followed by those that come from then on, in the order
// in which they do, until the run is over and all is there. It ends early with
// ctx; an error is the last that is yielded. A run that was tried again is a run
// of its own: ask for its lines by the handle that Retry returned.
func (r *Run) Logs(ctx context.Context, q job.LogQuery) iter.Seq2[job.LogLine, error] {
	return func(yield func(job.LogLine, error) bool) {
		over := false // the caller has had enough
		each := func(l *job.LogLine) bool {
			over = !yield(*l, nil)
			return !over
		}
		err := q.Validate()
		if err == nil {
			err = r.readLogs(ctx, q, each)
		}
		if err != nil && !over {
			yield(job.LogLine{}, err)
		}
	}
}

func (r *Run) readLogs(ctx context.Context, q job.LogQuery, each func(*job.LogLine) bool) error {
	run, err := r.Get(ctx)
	if err != nil && (q.Follow || ctx.Err() != nil || !errors.Is(err, ErrNoLeader)) {
		return err // else any server has lines, whoever leads
	}
	if q.Cursor == "" && (run.Finished.IsZero() || r.n.wall().Sub(run.Finished) < settledAfter) {
		r.n.flushAll(ctx)
	}
	if q.Follow {
		err = r.followLogs(ctx, q, each)
	} else {
		err = r.pages(ctx, q, each)
	}
	return r.explain(err)
}

// Download writes all lines of the run to w, each as LogLine.String has it, and
// returns the SHA-256 of what it wrote in hexadecimal digits. As long as no line
// is added the same is written each time.
func (r *Run) Download(ctx context.Context, w io.Writer) (sum string, err error) {
	hash := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, hash), 64<<10)
	for l, err := range r.Logs(ctx, job.LogQuery{Level: job.LogAll}) {
		if err != nil {
			return "", err
		}
		if _, err := out.WriteString(l.String() + "\n"); err != nil {
			return "", fmt.Errorf("node: lines of run %.200q: %w", r.id, err)
		}
	}
	if err := out.Flush(); err != nil {
		return "", fmt.Errorf("node: lines of run %.200q: %w", r.id, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// flushAll has all members that are in reach hand on what was logged on them.
func (n *Node) flushAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, logFlush)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range n.peers.list() {
		if p.member.Has(roleWorker) {
			// A node that can't is one whose lines are not there yet.
			wg.Go(func() { _, _ = call[wire.Nothing](ctx, n, p.member.ID, wire.MethodLogFlush, wire.Nothing{}) })
		}
	}
	wg.Wait()
}

// pages asks the servers for one page of lines after another, merges them and
// passes them on.
func (r *Run) pages(ctx context.Context, q job.LogQuery, each func(*job.LogLine) bool) error {
	order := (*job.LogLine).Compare
	if q.Backward {
		order = func(a, b *job.LogLine) int { return b.Compare(a) }
	}
	for left := q.Limit; ; {
		q.Limit = runlog.MaxPage
		if left > 0 {
			q.Limit = min(left, runlog.MaxPage)
		}
		pages, err := r.page(ctx, &q)
		if err != nil {
			return err
		}
		lines, more := mergePages(pages, order)
		for i := range lines {
			if !each(&lines[i]) {
				return nil
			}
			if left--; left == 0 {
				return nil
			}
		}
		if !more {
			return nil
		}
		left = max(left, 0)
		q.Cursor = lines[len(lines)-1].Cursor()
	}
}

// logPage is what one server answers.
type logPage struct {
	lines []job.LogLine
	more  bool
}

// mergePages returns the lines of pages in order, each once, as far as all pages
// are known, and whether there are more.
func mergePages(pages []logPage, order func(a, b *job.LogLine) int) (lines []job.LogLine, more bool) {
	var bound *job.LogLine
	for i := range pages {
		p := &pages[i]
		lines = append(lines, p.lines...)
		if !p.more || len(p.lines) == 0 {
			continue
		}
		if last := &p.lines[len(p.lines)-1]; bound == nil || order(last, bound) < 0 {
			bound = last
		}
	}
	slices.SortFunc(lines, func(a, b job.LogLine) int { return order(&a, &b) })
	lines = slices.CompactFunc(lines, func(a, b job.LogLine) bool { return order(&a, &b) == 0 })
	if bound == nil {
		return lines, false
	}
	known := 0
	for known < len(lines) && order(&lines[known], bound) <= 0 {
		known++
	}
	return lines[:known], true
}

// page asks all servers for a page. It waits for one to answer.
func (r *Run) page(ctx context.Context, q *job.LogQuery) (pages []logPage, err error) {
	err = r.n.askServers(ctx, func(ctx context.Context, id string) (func(), error) {
		p, err := ask[wire.LogPage](ctx, r.n, id, wire.MethodLogPage, wire.LogPageRef{Run: r.id, Query: *q})
		if err != nil {
			return nil, err
		}
		lines, err := unpacked(r.id, p.Lines)
		return func() { pages = append(pages, logPage{lines, p.More}) }, err
	})
	return pages, err
}

// errNoLogs says that nobody could be asked for lines.
var errNoLogs = errors.New("node: no server that keeps the lines of runs answers")

// askServers asks all servers at the same time, and again while none answers.
// What a question returns is called by one after the other.
func (n *Node) askServers(ctx context.Context, question func(ctx context.Context, id string) (func(), error)) error {
	began := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var last error
		answers := 0
		asked, cancel := context.WithTimeout(ctx, logAnswer)
		var late *time.Timer
		for _, id := range n.serversInReach() {
			wg.Go(func() {
				answer, err := question(asked, id)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					last = err
					return
				}
				answers++
				answer()
				if late == nil {
					late = time.AfterFunc(logLate, cancel)
				}
			})
		}
		wg.Wait()
		cancel()
		if late != nil {
			late.Stop()
		}
		switch {
		case answers > 0:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case n.ctx.Err() != nil:
			return ErrStopped
		case time.Since(began) > patience && last != nil:
			return fmt.Errorf("%w: %w", errNoLogs, plain(last))
		case time.Since(began) > patience:
			return errNoLogs
		}
		pause(ctx, wait)
	}
}

// serversInReach returns the IDs of the servers that answer, as far as is known.
func (n *Node) serversInReach() (ids []string) {
	all := n.servers()
	for _, m := range all {
		if n.peers.knows(m.ID) {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) > 0 {
		return ids
	}
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}
