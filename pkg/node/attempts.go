package node

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxEntries bounds how many entries of a journal one page of attempts looks at:
// half a million outcomes or so.
const maxEntries = 500

// Attempts returns the attempts at the run's tasks that have ended, a page of
// those that q asks for, in the order in which they were recorded or from the
// latest on. A page costs as much of the journal as it shows or passes over,
// however many tasks the run has. Of a run that was compacted what it did not
// need any more is gone, and the page says so.
func (r *Run) Attempts(ctx context.Context, q job.AttemptQuery) (page job.AttemptPage, err error) {
	from, err := pointOf(&q)
	if err != nil {
		return page, err
	}
	run, err := r.Get(ctx)
	if err != nil {
		return page, err
	}
	// Without a reduce step the outcomes are the result, and what failed is kept
	// of every run.
	page.Compacted = run.Compacted && run.Plan.Reduces > 0 && !q.Failed
	limit, entries := cmp.Or(q.Limit, 100), 0
	for e, err := range r.n.journalFrom(ctx, &run, from.entry(), q.Backward, wire.EntryOutcomes) {
		if err != nil {
			return page, r.explain(err)
		}
		if len(page.Attempts) == limit || entries == maxEntries {
			page.Next = from.edge(e.Seq)
			return page, nil
		}
		entries++
		all, err := wire.AllOutcomes(e.N, e.Blob)
		if err != nil {
			return page, fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, r.id, err)
		}
		last := ""
		for at := range from.order(len(all)) {
			if !from.leads(e.Seq, at) {
				continue
			}
			if len(page.Attempts) == limit {
				page.Next = last
				return page, nil
			}
			a := attempted(&e, &all[at-1], at)
			if last = a.Cursor; q.Wants(&a) {
				page.Attempts = append(page.Attempts, a)
			}
		}
	}
	return page, nil
}

// point is where in a journal a page of attempts goes on: behind the outcome at, from
// 1, of the entry seq, or before it.
type point struct {
	seq  uint64
	at   int
	back bool
}

func pointOf(q *job.AttemptQuery) (p point, err error) {
	p.back = q.Backward
	if p.seq, p.at, err = q.Place(); q.Backward && q.Cursor == "" {
		p.seq = math.MaxUint64 // the end
	}
	return p, err
}

// entry returns the entry from which, or below which, the journal is read.
func (p point) entry() uint64 {
	if p.back && p.at > 1 { // some before it are in the entry itself
		return p.seq + 1
	}
	return p.seq
}

// leads reports whether the outcome at of an entry comes after the point, in the
// direction of it.
func (p point) leads(seq uint64, at int) bool {
	return seq != p.seq || p.back && at < p.at || !p.back && at > p.at
}

// order yields 1 to n, or the other way round.
func (p point) order(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			at := i + 1
			if p.back {
				at = n - i
			}
			if !yield(at) {
				return
			}
		}
	}
}

// edge returns the cursor of which the entry seq is the next.
func (p point) edge(seq uint64) string {
	if p.back {
		return job.AttemptPlace(seq+1, 0)
	}
	return job.AttemptPlace(seq, 0)
}

// attempted returns the outcome of an entry that comes at a place in it, from 1.
func attempted(e *entry, o *job.Outcome, at int) job.Attempted {
	a := job.Attempted{
		Task: o.Task, Epoch: e.Epoch, Attempt: o.Attempt, Final: final(o), Failure: o.Failure,
		Result: bytes.Clone(o.Result), Files: slices.Clone(o.Files), Took: o.Took, Bytes: o.Bytes, Cursor: job.AttemptPlace(e.Seq, at),
	}
	for _, m := range e.Members {
		if at <= m.N {
			a.Node = m.Member
			break
		}
		at -= m.N
	}
	return a
}
